"""Healthy runs: architectures of all kinds."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW

from ..runs import accuracy, explained, overlap, supervised_run
from . import BANK, tasks
from .nets import Recurrent, Transformer, UNet, conv_net, deep_conv, deep_mlp, depthwise_net, mlp
from .settings import usual


@BANK.healthy(
    {"name": "digits_conv", "before": 0},
    {"name": "digits_mlp", "before": 200, "shown": "loss"},
    {"name": "digits_conv", "before": 480, "shown": "score", "size": 8},
    {"name": "cancer", "before": 50, "shown": "loss"},
)
def batch_norm(seed, name, before, shown=None, size=32):
    sizes = {"digits_mlp": (64, 48, 48, 10), "cancer": (30, 32, 1)}
    if name == "digits_conv":
        model = conv_net(10, 12, "batch")
    else:
        model = mlp(*sizes[name], norm=nn.BatchNorm1d)
    optimizer = partial(SGD, lr=0.05, momentum=0.9)
    return usual(seed, name, 0, optimizer, model=model, size=size).handed(before, shown)


@BANK.healthy(
    {"name": "digits_conv", "before": 0, "size": 4},
    {"name": "digits_mlp", "before": 200, "shown": "loss"},
    {"name": "discs", "before": 180, "shown": "score", "size": 10},
    {"name": "friedman", "before": 100, "shown": "loss"},
)
def group_and_layer_norm(seed, name, before, shown=None, size=32):
    models = {
        "digits_conv": lambda: conv_net(10, 12, "group"),
        "digits_mlp": lambda: mlp(64, 48, 48, 10, norm=nn.LayerNorm, act=nn.GELU),
        "discs": lambda: UNet(12, "group"),
        "friedman": lambda: mlp(10, 48, 48, 1, norm=nn.LayerNorm, act=nn.SiLU),
    }
    optimizer = partial(AdamW, lr=4e-3)
    return usual(seed, name, 0, optimizer, model=models[name](), size=size).handed(before, shown)


@BANK.healthy(
    {"depth": 6, "norm": "batch", "before": 0},
    {"depth": 4, "norm": None, "before": 100, "shown": "loss"},
    {"depth": 24, "before": 150, "shown": "score"},
    {"depth": 3, "norm": "group", "before": 280, "shown": "loss"},
)
def residual(seed, depth, before, shown=None, norm="dense"):
    if norm == "dense":
        model = deep_mlp(64, 32, depth, 10, skips=True)
    else:
        model = deep_conv(10, 8, depth, skips=True, norm=norm)
    optimizer = partial(Adam, lr=3e-3)
    return usual(seed, "digits_conv", 0, optimizer, model=model, goal=0.84, steps=300).handed(
        before, shown
    )


@BANK.healthy(
    {"width": 12, "norm": "batch", "before": 0},
    {"width": 16, "norm": "group", "before": 200, "shown": "loss"},
    {"width": 16, "norm": "batch", "before": 480, "shown": "score"},
    {"width": 8, "norm": "group", "before": 50, "shown": "loss"},
)
def depthwise(seed, width, norm, before, shown=None):
    optimizer, model = partial(Adam, lr=8e-3), depthwise_net(10, width, norm)
    return usual(seed, "digits_conv", 0, optimizer, model=model).handed(before, shown)


@BANK.healthy(
    {"rows": False, "layers": 2, "drop": 0.1, "before": 0},
    {"rows": True, "layers": 1, "drop": 0.0, "before": 150, "shown": "loss"},
    {"rows": False, "layers": 1, "drop": 0.3, "before": 300, "shown": "score"},
    {"rows": True, "layers": 2, "drop": 0.1, "before": 50, "shown": "loss"},
)
def transformer(seed, rows, layers, drop, before, shown=None):
    """Over words, or over the eight rows of a digit."""
    optimizer = partial(AdamW, lr=3e-3, weight_decay=0.01)
    if rows:
        task = tuple((images[:, 0], labels) for images, labels in tasks.digits(seed))
        model = Transformer(8, 10, 32, layers, drop, words=False)
        more = {"task": task, "goal": 0.85, "keys": ("pixels", "label")}
    else:
        model, more = Transformer(40, 4, 24, layers, drop), {}
    run = usual(seed, "topics", 0, optimizer, model=model, steps=500, **more)
    return run.handed(before, shown)


@BANK.healthy(
    {"name": "waves", "cell": nn.LSTM, "before": 0},
    {"name": "ahead", "cell": nn.GRU, "before": 150, "shown": "loss"},
    {"name": "topics", "cell": nn.GRU, "before": 380, "shown": "score"},
    {"name": "ahead", "cell": nn.LSTM, "before": 30, "shown": "loss"},
)
def recurrent(seed, name, cell, before, shown=None):
    inputs, outputs, words = {"waves": (2, 3, 0), "ahead": (1, 1, 0), "topics": (40, 4, 1)}[name]
    model = Recurrent(inputs, 24, outputs, cell, bool(words))
    optimizer = partial(Adam, lr=8e-3)
    return usual(seed, name, 0, optimizer, model=model, steps=400).handed(before, shown)


def dice_and_entropy(out, mask):
    p = out.sigmoid()
    dice = (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1)
    return 1 - dice + F.binary_cross_entropy_with_logits(out, mask)


@BANK.healthy(
    {"width": 8, "radius": 3.0, "before": 0},
    {"width": 12, "radius": 4.0, "before": 80, "shown": "loss", "keys": ("image", "mask")},
    {"width": 8, "radius": 2.5, "before": 190, "shown": "score", "dice": True},
    {"width": 6, "radius": 3.0, "before": 20, "shown": "loss", "dice": True},
)
def unet(seed, width, radius, before, shown=None, dice=False, keys=()):
    model = UNet(width)
    criterion = dice_and_entropy if dice else F.binary_cross_entropy_with_logits
    run = supervised_run(
        *(tasks.discs(radius=radius), model, Adam(model.parameters(), 5e-3), criterion, overlap),
        goal=0.6,
        steps=200,
        size=16,
        keys=keys,
    )
    return run.handed(before, shown)


@BANK.healthy(
    {"name": "digits_mlp", "drop": 0.6, "before": 0},
    {"name": "digits_conv", "drop": 0.5, "before": 200, "shown": "loss"},
    {"name": "digits_mlp", "drop": 0.5, "before": 480, "shown": "score"},
    {"name": "cancer", "drop": 0.7, "before": 100, "shown": "loss"},
)
def heavy_dropout(seed, name, drop, before, shown=None):
    """The training loss is far above that in eval mode, and is meant to be."""
    sizes = {"digits_mlp": (64, 128, 128, 10), "cancer": (30, 64, 1)}
    model = conv_net(10, 16, drop=drop) if name == "digits_conv" else mlp(*sizes[name], drop=drop)
    return usual(seed, name, 0, partial(Adam, lr=3e-3), model=model).handed(before, shown)


class TiedAutoencoder(nn.Module):
    """Decodes with the transpose of what it encodes with."""

    def __init__(self, width: int):
        super().__init__()
        self.encode = nn.Linear(64, width)
        self.bias = nn.Parameter(torch.zeros(64))

    def forward(self, x):
        hidden = F.relu(self.encode(x.flatten(1)))
        return F.linear(hidden, self.encode.weight.T, self.bias).view_as(x)


class TiedWords(nn.Module):
    """A GRU that predicts the next word; the embedding is the output layer, too."""

    def __init__(self, words: int, width: int):
        super().__init__()
        self.embed, self.body = nn.Embedding(words, width), nn.GRU(width, width, batch_first=True)
        self.out = nn.Linear(width, words)
        self.out.weight = self.embed.weight

    def forward(self, x):
        return self.out(self.body(self.embed(x))[0]).movedim(-1, 1)


@BANK.healthy(
    {"words": True, "width": 24, "before": 0},
    {"words": False, "width": 32, "before": 150, "shown": "loss"},
    {"words": True, "width": 32, "before": 350, "shown": "score"},
    {"words": False, "width": 24, "before": 0},
)
def tied_weights(seed, words, width, before, shown=None):
    if words:
        model, task, criterion = TiedWords(24, width), tasks.counting(), F.cross_entropy
    else:
        model, criterion = TiedAutoencoder(width), F.mse_loss
        task = tuple((images, images) for images, _ in tasks.digits(seed))
    run = supervised_run(
        *(task, model, Adam(model.parameters(), 5e-3), criterion),
        accuracy if words else explained,
        goal=0.7 if words else 0.6,
        steps=400,
    )
    return run.handed(before, shown)


@BANK.healthy(
    {"name": "wine", "width": 8, "before": 0},
    {"name": "cancer", "width": 32, "before": 100, "shown": "score"},
    {"name": "houses", "width": 24, "before": 390, "shown": "loss"},
    {"name": "rings", "width": 24, "before": 40, "shown": "loss"},
)
def small_table(seed, name, width, before, shown=None):
    return usual(seed, name, width, partial(Adam, lr=8e-3)).handed(before, shown)


@BANK.healthy(
    {"name": "digits_mlp", "act": nn.Sigmoid, "before": 0},
    {"name": "friedman", "act": nn.Tanh, "before": 100, "shown": "loss"},
    {"name": "cancer", "act": nn.Sigmoid, "before": 240, "shown": "score"},
    {"name": "rings", "act": nn.Tanh, "before": 30, "shown": "loss"},
)
def saturating_activations(seed, name, act, before, shown=None):
    """Sigmoids and tanh, as in old books, in nets of one or two hidden layers."""
    sizes = {"digits_mlp": (64, 48, 10), "friedman": (10, 48, 1), "cancer": (30, 16, 1)}
    model = mlp(*sizes.get(name, (2, 32, 32, 2)), act=act)
    return usual(seed, name, 0, partial(Adam, lr=1e-2), model=model).handed(before, shown)
