"""Healthy runs whose oddity is a rate by plan, noise in training, or parts learnt before."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, NAdam, RMSprop

from ..runs import stepping
from . import BANK
from .nets_b import ConvNet, Former, Recurrent, UNet, mlp, resnet
from .tasks_b import curves, digits, gestures, posed, split

momentum = partial(SGD, momentum=0.9)
nesterov = partial(SGD, momentum=0.9, nesterov=True)

MODELS = {
    "digits": lambda: ConvNet((16, 32), 10),
    "tumours": lambda: mlp(30, 32, 16, 1),
    "friedman": lambda: mlp(10, 64, 64, 1, act=nn.SiLU),
    "gestures": lambda: Recurrent(nn.GRU, 2, 40, 5),
    "mackey": lambda: Recurrent(nn.LSTM, 1, 32, 1),
    "sorting": lambda: Former(5, 32, 5, 8, words=True, every=True),
    "dna": lambda: ConvNet((32, 32), 2, dims=1, inputs=8, words=4),
    "strokes": lambda: UNet(1, 8, 1),
}


def scheduled(name, made, top, plan, steps, before, shown=None, clip=None, model=None, **more):
    """The rate is `top` times `plan(share of the steps that are done)`."""
    model = model or MODELS[name]()
    optimizer = made(model.parameters(), lr=top * plan(0.0))

    def step(loss):
        return stepping(loss, clip=clip, schedule=lambda i: top * plan(min(1, i / steps)))

    return posed(name, model, optimizer, steps=steps, step=step, **more).handed(before, shown)


def linear(share, x):
    return min(1.0, (x + 0.002) / share)


def up_and_down(share, x):
    """Linear warm-up, then a cosine."""
    return linear(share, x) if x < share else 0.51 + 0.49 * math.cos(math.pi * (x - share))


def one_cycle(x):
    near = 0.5 - 0.5 * math.cos(math.pi * (x / 0.3 if x < 0.3 else (1 - x) / 0.7))
    return 0.04 + 0.96 * near if x < 0.3 else 0.001 + near


@BANK.healthy(
    {"name": "digits", "made": nesterov, "top": 0.08, "plan": partial(linear, 0.25), "before": 3},
    {"name": "friedman", "made": Adam, "top": 1e-2, "plan": one_cycle, "before": 0, "size": 64},
    {
        "name": "sorting",
        "made": partial(AdamW, betas=(0.9, 0.98)),
        "top": 8e-3,
        "plan": partial(up_and_down, 0.2),
        "before": 6,
        "shown": "loss",
        "keys": ("idx", "targets"),
    },
    {
        "name": "gestures",
        "made": RMSprop,
        "top": 3e-3,
        "plan": partial(linear, 0.3),
        "steps": 260,
        "before": 4,
        "shown": "score",
    },
)
def at_the_foot_of_a_warmup(seed, **settings):
    """Handed over while the rate is still far below what it will be."""
    return scheduled(**{"steps": 360, **settings})


def cosine(x):
    return 0.5 + 0.5 * math.cos(math.pi * x)


@BANK.healthy(
    {"name": "tumours", "made": momentum, "top": 0.05, "plan": cosine, "steps": 120, "before": 117},
    {
        "name": "mackey",
        "made": Adam,
        "top": 1e-2,
        "plan": lambda x: 0.1 ** int(2 * x) * 0.1 ** int(x / 0.8),
        "steps": 500,
        "before": 440,
        "shown": "loss",
    },
    {
        "name": "strokes",
        "made": AdamW,
        "top": 1e-2,
        "plan": lambda x: (1 - x) ** 0.9,
        "steps": 120,
        "before": 113,
        "shown": "score",
        "keys": ("image", "mask"),
    },
    {
        "name": "dna",
        "made": NAdam,
        "top": 8e-3,
        "plan": lambda x: 0.98 ** (300 * x),
        "steps": 300,
        "before": 270,
        "shown": "loss",
    },
)
def annealed_and_nearly_done(seed, **settings):
    """Handed over when the schedule has taken the rate down, as it should."""
    return scheduled(**settings)


@BANK.healthy(
    {"name": "digits", "made": Adam, "rate": 2e-3, "before": 0},
    {"name": "tumours", "made": momentum, "rate": 0.03, "before": 148, "shown": "loss"},
    {"name": "dna", "made": AdamW, "rate": 5e-3, "before": 200, "shown": "loss"},
    {"name": "gestures", "made": RMSprop, "rate": 3e-3, "before": 100, "shown": "score"},
)
def many_units_left_out_while_training(seed, name, made, rate, before, shown=None):
    """Dropout of halves: the training's loss is much above that of the examination."""
    model = {
        "digits": lambda: mlp(64, 512, 512, 10, drop=0.5, first=0.2),
        "tumours": lambda: mlp(30, 128, 64, 1, drop=0.6, norm=nn.BatchNorm1d),
        "dna": lambda: ConvNet((48, 64), 2, dims=1, inputs=8, words=4, drop=0.6),
        "gestures": lambda: Recurrent(nn.GRU, 2, 48, 5, drop=0.5),
    }[name]()
    steps = 150 if name == "tumours" else 280
    run = posed(name, model, made(model.parameters(), lr=rate), steps=steps)
    return run.handed(before, shown)


def other_digits(before, shown):
    """Learnt on 0 to 4, the body frozen and in eval mode, a new head for 5 to 9."""
    data = digits()
    known, new = (
        [(x[(y < 5) == low], y[(y < 5) == low] % 5) for x, y in data] for low in (True, False)
    )
    model = ConvNet((16, 32, 32), 5, norm=nn.BatchNorm2d)
    posed("digits", model, Adam(model.parameters(), 3e-3), known).train(160)
    model.head = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 5))
    model.body.requires_grad_(False)

    def step(loss):
        usual = stepping(loss)

        def train_step(model, optimizer, batch):
            model.train()
            model.body.eval()
            return usual(model, optimizer, batch)

        return train_step

    optimizer = Adam(model.head.parameters(), 5e-3)
    return posed("digits", model, optimizer, new, step=step).handed(before, shown)


def other_gestures(before, shown):
    """Learnt on curves without noise, then tuned: a small rate for the body, a large one above."""
    x, y = curves(800)
    model = Recurrent(nn.GRU, 2, 40, 5)
    posed("gestures", model, Adam(model.parameters(), 5e-3), split(x, y, 100)).train(120)
    model.fc = nn.Linear(40, 5)
    body, head = model.rnn.parameters(), model.fc.parameters()
    groups = [{"params": body, "lr": 3e-4}, {"params": head, "lr": 1e-2, "weight_decay": 0.0}]
    optimizer = AdamW(groups, weight_decay=0.05)
    data = gestures(1000)
    return posed("gestures", model, optimizer, data, size=16, steps=160).handed(before, shown)


def coded_digits(before, shown):
    """A classifier upon the frozen code of an autoencoder; all weights are in the optimiser."""
    data = digits()
    encoder, decoder = mlp(64, 96, 24, act=nn.ELU), mlp(24, 96, 64, act=nn.ELU)
    both = nn.Sequential(encoder, decoder)
    pictures = [(x, x.flatten(1)) for x, _ in data]
    posed("digits", both, Adam(both.parameters(), 3e-3), pictures, criterion=F.mse_loss).train(300)
    model = nn.Sequential(encoder.requires_grad_(False), mlp(24, 64, 10))
    return posed("digits", model, Adagrad(model.parameters(), 0.05), data).handed(before, shown)


def fixed_vectors(before, shown):
    """Letters as fixed one-hot vectors; the optimiser gets what is trainable."""
    model = ConvNet((32, 32), 2, dims=1, inputs=4, words=4, norm=nn.BatchNorm1d)
    model.embed = nn.Embedding.from_pretrained(torch.eye(4), freeze=True)
    trainable = filter(lambda p: p.requires_grad, model.parameters())
    return posed("dna", model, NAdam(trainable, 4e-3), size=40).handed(before, shown)


@BANK.healthy(
    {"made": other_digits, "before": 0},
    {"made": other_gestures, "before": 40, "shown": "loss"},
    {"made": coded_digits, "before": 290, "shown": "score"},
    {"made": fixed_vectors, "before": 150, "shown": "loss"},
)
def parts_fixed_or_learnt_elsewhere(seed, made, before, shown=None):
    return made(before, shown)


def averaging(decay):
    """Steps after which `model.shadow` follows `model.net`."""

    def made(loss):
        usual = stepping(loss, clip=5.0)

        def train_batch(model, optimizer, batch):
            value = usual(model, optimizer, batch)
            with torch.no_grad():
                for old, new in zip(model.shadow.parameters(), model.net.parameters(), strict=True):
                    old.lerp_(new, 1 - decay)
            return value

        return train_batch

    return made


class Shadowed(nn.Module):
    """Two equal nets; in eval mode the averaged one answers."""

    def __init__(self, make):
        super().__init__()
        self.net, self.shadow = make(), make()
        self.shadow.load_state_dict(self.net.state_dict())
        self.shadow.requires_grad_(False)

    def forward(self, x):
        return (self.net if self.training else self.shadow)(x)


def accumulating(chunks):
    """The mean gradient of the parts of a batch, each of them passed alone; then a clipped step."""

    def made(loss):
        def update(model, optimizer, batch):
            optimizer.zero_grad(set_to_none=True)
            total = 0.0
            for part in zip(*(tensor.chunk(chunks) for tensor in batch), strict=True):
                value = loss(model, part) / chunks
                value.backward()
                total += value.item()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            return total

        return update

    return made


def every(number):
    """One step of the optimiser for `number` batches."""

    def made(loss):
        def micro_step(model, optimizer, batch):
            value = loss(model, batch)
            (value / number).backward()
            group = optimizer.param_groups[0]
            group["seen"] = group.get("seen", 0) + 1
            if group["seen"] % number == 0:
                optimizer.step()
                optimizer.zero_grad()
            return value.item()

        return micro_step

    return made


def half(model, batch):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(batch[0])
    return F.cross_entropy(logits.float(), batch[1], label_smoothing=0.1)


@BANK.healthy(
    {"name": "digits", "rate": 3e-3, "loss": half, "steps": 200, "before": 60, "shown": "loss"},
    {
        "name": "gestures",
        "rate": 4e-3,
        "step": averaging(0.97),
        "before": 120,
        "shown": "score",
        "steps": 240,
    },
    {
        "name": "friedman",
        "rate": 3e-3,
        "step": accumulating(4),
        "size": 64,
        "before": 0,
        "steps": 220,
    },
    {
        "name": "dna",
        "rate": 6e-3,
        "step": every(4),
        "size": 8,
        "steps": 1000,
        "before": 402,
        "shown": "loss",
    },
)
def loops_with_something_added(seed, name, rate, before, shown=None, **more):
    """Half precision, a moving average, a deep net with summed gradients, a step now and then."""
    model = Shadowed(MODELS["gestures"]) if name == "gestures" else None
    model = resnet(10, 48, 1, 8) if name == "friedman" else model or MODELS[name]()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = AdamW(trained, lr=rate, weight_decay=0.05)
    return posed(name, model, optimizer, **more).handed(before, shown)
