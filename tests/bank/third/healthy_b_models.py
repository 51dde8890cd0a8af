"""Healthy runs whose oddity lies in the model: norms, dropout, frozen parts, depth, outputs."""

import math
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations as parametrised
from torch.optim import SGD, Adam, AdamW, NAdam, RMSprop

from ..runs import accuracy
from . import BANK
from .nets_b import Attender, Patches, Reader, Seer, Skip, Speaker, dense, unet
from .tasks_b import PROBLEMS, beats, gratings, posed


class Noisy(nn.Module):
    """Noise on the inputs, in training only."""

    def __init__(self, deviation, net):
        super().__init__()
        self.deviation, self.net = deviation, net

    def forward(self, x):
        return self.net(x + self.deviation * torch.randn_like(x) if self.training else x)


@BANK.healthy(
    {"name": "loans", "before": 0},
    {"name": "figures", "before": 200, "shown": "loss"},
    {"name": "climbs", "before": 400, "shown": "score", "keys": ("tokens", "label")},
    {"name": "gratings", "before": 60, "shown": "loss"},
)
def dropped_by_halves_or_drowned_in_noise(seed, name, before, shown=None, keys=()):
    """What the training sees is far worse than what counts, and is meant to be."""
    model = {
        "loans": lambda: dense(11, 256, 256, 1, drop=0.6),
        "figures": lambda: Seer((24, 48), 4, norm=nn.BatchNorm2d, drop=0.6),
        "climbs": lambda: Reader(nn.LSTM, 48, 2, words=3, drop=0.5),
        "gratings": lambda: Noisy(0.8, Seer((16, 32), 6)),
    }[name]()
    return posed(name, model, Adam(model.parameters(), 3e-3), keys=keys).handed(before, shown)


class RootMeanSquare(nn.Module):
    """RMSNorm, by hand."""

    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.gain * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


@BANK.healthy(
    {"name": "gratings", "size": 6, "rate": 0.02, "before": 300, "shown": "loss"},
    {"name": "beats", "size": 12, "rate": 0.01, "before": 0, "steps": 600},
    {"name": "figures", "size": 4, "rate": 0.004, "steps": 800, "before": 400, "shown": "score"},
    {"name": "arm", "size": 16, "rate": 0.03, "before": 40, "shown": "loss"},
)
def normed_within_few_or_within_one(seed, name, size, rate, before, shown=None, steps=400):
    """Batch norm of six or eight examples; group norm of four; RMSNorm."""
    model = {
        "gratings": lambda: Seer((16, 32), 6, norm=nn.BatchNorm2d),
        "beats": lambda: Seer((16, 32), 4, 1, nn.BatchNorm1d),
        "figures": lambda: Seer((16, 32), 4, norm=partial(nn.GroupNorm, 4), act=nn.SiLU),
        "arm": lambda: dense(3, 64, 64, 2, norm=RootMeanSquare, act=nn.GELU),
    }[name]()
    run = posed(name, model, SGD(model.parameters(), rate, momentum=0.9), size=size, steps=steps)
    return run.handed(before, shown)


class Waves(nn.Module):
    """Random Fourier features: never trained."""

    def __init__(self, inputs, width, scale):
        super().__init__()
        self.lin = nn.Linear(inputs, width).requires_grad_(False)
        nn.init.normal_(self.lin.weight, std=scale)
        nn.init.uniform_(self.lin.bias, 0, 2 * math.pi)

    def forward(self, x):
        return math.sqrt(2) * self.lin(x).cos()


def on_waves(name):
    """The problem for a head of one or two layers upon frozen random features."""
    inputs, head, scale = (2, (3,), 3.0) if name == "spirals" else (3, (32, 2), 1.0)
    model = nn.Sequential(Waves(inputs, 256, scale), dense(256, *head))
    return posed(name, model, NAdam([p for p in model.parameters() if p.requires_grad], 3e-3))


def transferred(name, body, head):
    """Trained on much, then a new head for other classes of few examples; a rate for each part."""
    if name == "beats":
        model, make, classes = Seer((16, 32), 4, 1, nn.BatchNorm1d), beats, 2
    else:
        model, make, classes = Seer((16, 32), 6), gratings, 3
    posed(name, model, Adam(model.parameters(), 4e-3)).train(400)
    model.classifier = nn.Linear(64, classes)
    model.features.requires_grad_(body > 0)
    halves = [(x, y % classes) for x, y in make(720)]
    groups = [
        {"params": model.features.parameters(), "lr": body},
        {"params": model.classifier.parameters(), "lr": head, "weight_decay": 0.0},
    ]
    optimizer = AdamW(groups, weight_decay=0.02)
    return posed(name, model, optimizer, data=halves, steps=300, size=16)


@BANK.healthy(
    {"name": "spirals", "before": 0},
    {"name": "arm", "before": 390, "shown": "score"},
    {"name": "gratings", "rates": (0.0, 5e-3), "before": 100, "shown": "loss"},
    {"name": "beats", "rates": (5e-4, 5e-3), "before": 0},
)
def features_kept_or_hardly_tuned(seed, name, before, shown=None, rates=None):
    """Frozen and random, frozen and learnt (yet within the optimiser), tuned at a small rate."""
    return (transferred(name, *rates) if rates else on_waves(name)).handed(before, shown)


@BANK.healthy(
    {"name": "majority", "rate": 3e-3, "before": 0, "keys": ("input_ids", "labels")},
    {"name": "gratings", "rate": 2e-3, "before": 100, "shown": "loss", "steps": 250},
    {"name": "rhymes", "rate": 3e-3, "before": 390, "shown": "loss"},
    {"name": "beats", "rate": 3e-3, "before": 40, "shown": "score"},
)
def attention_to_all_sorts(seed, name, rate, before, shown=None, **more):
    """Words, patches of images, words so far, pieces of a signal."""
    model = {
        "majority": lambda: Attender(nn.Embedding(4, 16), 16, 3, 15, layers=1),
        "gratings": lambda: Attender(Patches(4, 32), 32, 6, 9, layers=1, drop=0.1),
        "rhymes": lambda: Attender(nn.Embedding(12, 32), 32, 12, 14, layers=1, causal=True),
        "beats": lambda: Attender(Patches(8, 32, nn.Conv1d), 32, 4, 8, layers=1),
    }[name]()
    optimizer = AdamW(model.parameters(), lr=rate, weight_decay=0.05, betas=(0.9, 0.98))
    return posed(name, model, optimizer, **more).handed(before, shown)


@BANK.healthy(
    {"name": "climbs", "cell": nn.GRU, "rate": 5e-3, "before": 0},
    {"name": "adding", "cell": nn.LSTM, "rate": 8e-3, "before": 450, "shown": "loss", "steps": 700},
    {"name": "rhymes", "cell": nn.LSTM, "rate": 8e-3, "before": 40, "shown": "loss"},
    {
        "name": "majority",
        "cell": nn.GRU,
        "rate": 5e-3,
        "before": 239,
        "shown": "score",
        "steps": 240,
    },
)
def gates_through_time(seed, name, cell, rate, before, shown=None, **more):
    """Packed words, pairs of numbers, next words; one in both directions."""
    model = {
        "climbs": lambda: Reader(cell, 20, 2, words=3),
        "adding": lambda: Reader(cell, 24, 1, inputs=2),
        "rhymes": lambda: Speaker(cell, 12, 40),
        "majority": lambda: Reader(cell, 16, 3, words=4, both=True),
    }[name]()
    return posed(name, model, RMSprop(model.parameters(), rate / 2), **more).handed(before, shown)


def jaccard(out, mask):
    p = out.sigmoid().flatten(1)
    both = (p * mask.flatten(1)).sum(1)
    return 1 - ((both + 1) / (p.sum(1) + mask.flatten(1).sum(1) - both + 1)).mean()


@BANK.healthy(
    {"name": "outlines", "width": 6, "before": 0, "keys": ("img", "msk"), "steps": 120},
    {
        "name": "regions",
        "width": 8,
        "before": 60,
        "shown": "loss",
        "norm": nn.BatchNorm2d,
        "steps": 140,
    },
    {"name": "bumps", "width": 8, "before": 190, "shown": "score", "norm": nn.InstanceNorm1d},
    {
        "name": "outlines",
        "width": 6,
        "before": 20,
        "shown": "loss",
        "criterion": jaccard,
        "steps": 140,
    },
)
def hourglass_with_shortcuts(seed, name, width, before, shown=None, norm=None, **more):
    """U-Nets: masks, three kinds of pixels, denoising of signals."""
    model = unet(width, 3 if name == "regions" else 1, 1 if name == "bumps" else 2, 2, norm)
    return posed(name, model, Adam(model.parameters(), 5e-3), **more).handed(before, shown)


class CosineHead(nn.Linear):
    """Logits are cosines, twenty times as large."""

    def forward(self, x):
        return 20 * F.linear(F.normalize(x), F.normalize(self.weight))


def under(reparametrisation, model):
    """Each dense or convolutional weight of `model`, reparametrised."""
    for module in list(model.modules()):
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            reparametrisation(module)
    return model


@BANK.healthy(
    {"name": "rhymes", "before": 150, "shown": "loss"},
    {"name": "spirals", "before": 0},
    {"name": "gratings", "before": 390, "shown": "score"},
    {"name": "beats", "before": 30, "shown": "loss"},
)
def weights_in_disguise(seed, name, before, shown=None):
    """Tied, normed, of spectral norm 1, compared by cosines."""
    model = {
        "rhymes": lambda: Speaker(nn.GRU, 12, 32, tied=True),
        "spirals": lambda: under(parametrised.weight_norm, dense(2, 64, 64, 3)),
        "gratings": lambda: under(parametrised.spectral_norm, Seer((24, 48), 6, act=nn.LeakyReLU)),
        "beats": lambda: under(parametrised.weight_norm, Seer((16, 32), 4, 1, nn.BatchNorm1d)),
    }[name]()
    if name == "beats":
        model.classifier = CosineHead(64, 4, bias=False)
    return posed(name, model, Adam(model.parameters(), 3e-3)).handed(before, shown)


@dataclass
class Output:
    loss: Tensor | None
    logits: Tensor


class ForClassification(nn.Module):
    """Called with labels it gives its own loss, as models of a well-known library do."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, inputs, labels=None):
        logits = self.encoder(inputs)
        return Output(None if labels is None else F.cross_entropy(logits, labels), logits)


class Lit(nn.Module):
    """The loss is a method of the model."""

    def __init__(self, net, criterion):
        super().__init__()
        self.net, self.criterion = net, criterion

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, index=0):
        x, y = batch
        return self.criterion(self(x), y)


class Reading(nn.Module):
    """(logits, reconstruction), the second with a small share in the loss."""

    def __init__(self, inputs, width, outputs):
        super().__init__()
        self.encoder, self.decoder = dense(inputs, 64, width), nn.Linear(width, inputs)
        self.clf = nn.Sequential(nn.SELU(), dense(width, 48, outputs))

    def forward(self, x):
        code = self.encoder(x)
        return self.clf(code), self.decoder(code)

    def objective(self, x, y):
        logits, again = self(x)
        return F.cross_entropy(logits, y) + 0.2 * F.mse_loss(again, x.flatten(1))


def of_part(judge, part):
    """Judges only what `part` takes from a model's answer."""

    def made(test):
        class Part(nn.Module):
            def __init__(self, model):
                super().__init__()
                self.model = model

            def forward(self, x):
                return part(self.model(x))

        examine = judge(test)
        return lambda model: examine(Part(model).train(model.training))

    return made


@BANK.healthy(
    {"name": "beats", "keys": ("inputs", "labels"), "before": 0},
    {"name": "arm", "before": 200, "shown": "loss"},
    {"name": "shells", "before": 60, "shown": "score"},
    {"name": "majority", "keys": ("inputs", "labels"), "before": 300, "shown": "loss"},
)
def losses_by_the_model_itself(seed, name, before, shown=None, **more):
    """A data class with a loss, a method for the loss, a pair of outputs."""
    more["judge"] = PROBLEMS[name].judge
    if name == "arm":
        model = Lit(dense(3, 48, 48, 2, act=nn.ELU), nn.SmoothL1Loss())
        more["loss"] = lambda m, b: m.training_step(b)
    elif name == "shells":
        model = Reading(6, 24, 2)
        more["loss"] = lambda m, b: m.objective(*b)
        more["judge"] = of_part(accuracy, lambda out: out[0])
    else:
        body = Seer((16, 32), 4, 1, nn.BatchNorm1d) if name == "beats" else None
        body = body or Attender(nn.Embedding(4, 16), 16, 3, 15, layers=1)
        model = ForClassification(body)
        more["loss"] = lambda m, b: m(**b).loss
        more["judge"] = of_part(accuracy, lambda out: out.logits)
    return posed(name, model, Adam(model.parameters(), 2e-3), **more).handed(before, shown)


def many(block, number, width, drop=0.0):
    """Residual blocks; the later, the oftener they are left out."""
    blocks = [Skip(block(width), drop * i / number) for i in range(number)]
    return nn.Sequential(*blocks)


def normed_block(width):
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)
    )


def conv_block(width):
    conv = nn.Conv2d(width, width, 3, padding=1)
    nn.init.zeros_(conv.weight)
    return nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), conv)


def plain_selu(inputs, width, depth, outputs):
    """Without norms or skips; the start of self-normalising nets."""
    net = dense(inputs, *[width] * depth, outputs, act=nn.SELU)
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            nn.init.zeros_(layer.bias)
    return net


@BANK.healthy(
    {"name": "arm", "depth": 24, "rate": 1e-3, "before": 0, "steps": 150},
    {"name": "gratings", "depth": 20, "rate": 3e-3, "steps": 110, "before": 50, "shown": "loss"},
    {"name": "spirals", "depth": 12, "rate": 1e-3, "before": 20, "shown": "loss"},
    {"name": "shells", "depth": 22, "rate": 2e-3, "before": 199, "shown": "score", "steps": 200},
)
def deep_and_well_begun(seed, name, depth, rate, before, shown=None, **more):
    """More than 20 residual blocks, two of them with stochastic depth; 12 plain layers of SELUs."""
    if name == "gratings":
        body = many(conv_block, depth, 12, drop=0.2)
        model = nn.Sequential(nn.Conv2d(1, 12, 4, 2, 1), body, dense(432, 6))
    elif name == "spirals":
        model = plain_selu(2, 48, depth, 3)
    else:
        inputs, drop = (3, 0.0) if name == "arm" else (6, 0.3)
        body = many(normed_block, depth, 24, drop)
        model = nn.Sequential(nn.Linear(inputs, 24), body, nn.LayerNorm(24), nn.Linear(24, 2))
    return posed(name, model, Adam(model.parameters(), rate), **more).handed(before, shown)


@BANK.healthy(
    {"name": "spirals", "sizes": (2, 512, 512, 3), "rate": 1e-3, "left": 0, "shown": "loss"},
    {"name": "iris", "sizes": (4, 3, 3), "rate": 2e-2, "left": 200, "size": 10},
    {"name": "gratings", "sizes": (144, 1500, 6), "rate": 5e-4, "left": 20, "shown": "loss"},
    {"name": "shells", "sizes": (6, 24, 2), "rate": 1.5e-2, "left": 200, "shown": "score"},
)
def far_more_weights_or_just_enough(seed, name, sizes, rate, left, shown=None, size=32):
    """Wide nets at their end, with next to no loss left; small ones that do."""
    model = dense(*sizes)
    run = posed(name, model, Adam(model.parameters(), rate), size=size)
    return run.handed(run.steps - left, shown)
