"""Healthy runs whose oddity is the architecture."""

from functools import partial

from torch import nn
from torch.optim import SGD, Adam, Adamax, AdamW, NAdam, RMSprop

from ..runs import stepping
from . import BANK
from .nets_b import ConvNet, Former, Recurrent, UNet, mlp
from .tasks_b import posed


def trained(name, model, optimizer, before, shown=None, clip=None, **more):
    step = partial(stepping, clip=clip) if clip else None
    return posed(name, model, optimizer, step=step, **more).handed(before, shown)


slow_norm = partial(nn.BatchNorm1d, momentum=0.05)


@BANK.healthy(
    {"name": "digits", "size": 8, "rate": 0.01, "steps": 300, "before": 0},
    {"name": "gestures", "size": 10, "rate": 0.01, "before": 60, "shown": "loss"},
    {"name": "textures", "size": 6, "rate": 0.02, "before": 50, "shown": "loss", "steps": 120},
    {"name": "tumours", "size": 12, "rate": 0.01, "before": 175, "shown": "score", "steps": 180},
)
def normed_over_a_dozen_examples(seed, name, rate, **more):
    """Batch norm with batches that are small, yet large enough."""
    model = {
        "digits": lambda: ConvNet((16, 32), 10, norm=nn.BatchNorm2d),
        "gestures": lambda: ConvNet((24, 32), 5, dims=1, inputs=2, norm=nn.BatchNorm1d),
        "textures": lambda: UNet(1, 8, 3, norm=nn.BatchNorm2d),
        "tumours": lambda: mlp(30, 24, 24, 1, norm=slow_norm, act=nn.Tanh),
    }[name]()
    optimizer = SGD(model.parameters(), rate, momentum=0.9, weight_decay=1e-4)
    return trained(name, model, optimizer, **more)


def own_loss(model, batch):
    _, loss = model(batch["idx"], batch["targets"])
    return loss


@BANK.healthy(
    {"name": "sorting", "rate": 4e-3, "before": 70, "shown": "loss", "loss": own_loss},
    {"name": "digits", "rate": 4e-3, "before": 0, "steps": 400},
    {"name": "mackey", "rate": 2e-3, "before": 240, "shown": "score"},
    {"name": "gestures", "rate": 3e-3, "before": 20, "shown": "loss", "clip": 1.0, "steps": 240},
)
def attention_over_places(seed, name, rate, **more):
    """Words with a loss by the model itself, rows of pictures, numbers, points."""
    model = {
        "sorting": lambda: Former(5, 48, 5, 8, words=True, every=True, norm_first=True),
        "digits": lambda: Former(8, 48, 10, 8, dropout=0.1),
        "mackey": lambda: Former(1, 24, 1, 18, activation="relu"),
        "gestures": lambda: Former(2, 32, 5, 24, norm_first=True),
    }[name]()
    if name == "sorting":
        more["keys"] = ("idx", "targets")
    parts = list(model.named_parameters())
    groups = [
        {"params": [p for _, p in parts if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for _, p in parts if p.dim() < 2], "weight_decay": 0.0},
    ]
    return trained(name, model, AdamW(groups, lr=rate, betas=(0.9, 0.95)), **more)


def forget_nothing(model):
    """Orthogonal recurrent weights; the forget gates begin open."""
    for name, weight in model.rnn.named_parameters():
        if "weight_hh" in name:
            nn.init.orthogonal_(weight)
        elif "bias_ih" in name:
            weight.data.chunk(4)[1].fill_(1.0)
    return model


@BANK.healthy(
    {"name": "depth", "made": Adam, "rate": 1e-2, "before": 60, "shown": "loss"},
    {"name": "digits", "made": Adamax, "rate": 1e-2, "before": 445, "shown": "score", "steps": 450},
    {"name": "mackey", "made": RMSprop, "rate": 2e-3, "before": 0, "clip": 1.0, "steps": 420},
    {"name": "gestures", "made": Adam, "rate": 4e-3, "before": 40, "shown": "loss"},
)
def memory_of_four_kinds(seed, name, made, rate, **more):
    """Labels for each letter, rows of pictures, a chaotic series, curves."""
    model = {
        "depth": lambda: Recurrent(nn.GRU, 8, 40, 4, words=5, every=True),
        "digits": lambda: Recurrent(nn.LSTM, 8, 48, 10, num_layers=2),
        "mackey": lambda: Recurrent(nn.GRU, 1, 32, 1),
        "gestures": lambda: forget_nothing(Recurrent(nn.LSTM, 2, 24, 5, bidirectional=True)),
    }[name]()
    return trained(name, model, made(model.parameters(), lr=rate), **more)


def soft_dice(out, mask):
    p = out.sigmoid()
    return 1 - 2 * (p * mask).sum() / (p.sum() + mask.sum() + 1)


@BANK.healthy(
    {"name": "strokes", "made": Adam, "rate": 4e-3, "before": 0, "criterion": soft_dice},
    {"name": "textures", "made": AdamW, "rate": 5e-3, "before": 30, "shown": "loss"},
    {"name": "tiles", "made": Adam, "rate": 6e-3, "before": 12, "shown": "loss"},
    {"name": "bars", "made": NAdam, "rate": 3e-3, "before": 85, "shown": "score"},
)
def down_and_up_again(seed, name, made, rate, before, **more):
    """U-Nets for masks and textures."""
    model = {
        "strokes": lambda: UNet(1, 8, 1, norm=nn.BatchNorm2d),
        "textures": lambda: UNet(1, 10, 3, sharp=True),
        "tiles": lambda: UNet(1, 8, 3, norm=nn.InstanceNorm2d),
        "bars": lambda: UNet(1, 8, 1, norm=nn.InstanceNorm2d, sharp=True),
    }[name]()
    steps = {"strokes": 120, "textures": 150, "tiles": 120, "bars": 90}[name]
    optimizer = made(model.parameters(), lr=rate)
    name = {"bars": "strokes", "tiles": "textures"}.get(name, name)
    return trained(name, model, optimizer, before, steps=steps, size=24, **more)
