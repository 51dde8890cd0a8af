"""Healthy runs: labels and targets of all kinds."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam

from ..runs import accuracy, explained, overlap, supervised_run, yes_or_no
from . import BANK, tasks
from .nets import Transformer, UNet, mlp
from .settings import SETTINGS, usual


@BANK.healthy(
    {"name": "digits_mlp", "width": 48, "noise": 0.1, "before": 0},
    {"name": "digits_conv", "width": 12, "noise": 0.2, "before": 250, "shown": "loss"},
    {"name": "waves", "width": 16, "noise": 0.15, "before": 280, "shown": "score"},
    {"name": "rings", "width": 24, "noise": 0.2, "before": 60, "shown": "loss"},
)
def noisy_labels(seed, name, width, noise, before, shown=None):
    """A share of the training labels is drawn at random; the test's are clean."""
    (inputs, labels), test = SETTINGS[name].task(seed)
    drawn = torch.randint(int(labels.max()) + 1, labels.shape)
    labels = torch.where(torch.rand(labels.shape) < noise, drawn, labels)
    task = (inputs, labels), test
    return usual(seed, name, width, partial(Adam, lr=5e-3), task=task).handed(before, shown)


@BANK.healthy(
    {"name": "digits_mlp", "width": 48, "smoothing": 0.1, "before": 0},
    {"name": "digits_conv", "width": 12, "smoothing": 0.2, "before": 250, "shown": "loss"},
    {"name": "topics", "width": 16, "smoothing": 0.1, "before": 340, "shown": "loss"},
    {"name": "wine", "width": 16, "smoothing": 0.1, "before": 190, "shown": "loss"},
)
def label_smoothing(seed, name, width, smoothing, before, shown=None):
    """The loss cannot fall to 0, and is not meant to."""
    criterion = partial(F.cross_entropy, label_smoothing=smoothing)
    run = usual(seed, name, width, partial(Adam, lr=5e-3), criterion=criterion)
    return run.handed(before, shown)


def focal(out, target):
    """The focal loss, alpha 0.9, gamma 2."""
    entropy = F.binary_cross_entropy_with_logits(out, target, reduction="none")
    weight = torch.where(target > 0.5, 0.9, 0.1)
    return (weight * (1 - (-entropy).exp()) ** 2 * entropy).mean()


def dice(out, mask):
    p = out.sigmoid()
    return 1 - (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1)


@BANK.healthy(
    {"criterion": "weight", "before": 0},
    {"criterion": "focal", "before": 150, "shown": "loss"},
    {"criterion": "dice", "before": 100, "shown": "loss"},
    {"criterion": "weight", "before": 290, "shown": "score"},
)
def imbalance_with_a_fit_loss(seed, criterion, before, shown=None):
    weighted = partial(F.binary_cross_entropy_with_logits, pos_weight=torch.tensor(25.0))
    if criterion == "dice":
        task, model, judge, goal = tasks.discs(radius=2.0), UNet(), overlap, 0.4
    else:
        task, model, judge, goal = tasks.rare(), mlp(12, 16, 1), yes_or_no, 0.7
    chosen = {"dice": dice, "focal": focal, "weight": weighted}[criterion]
    optimizer = Adam(model.parameters(), 4e-3)
    run = supervised_run(task, model, optimizer, chosen, judge, goal=goal, steps=300)
    return run.handed(before, shown)


@BANK.healthy(
    {"width": 24, "layers": 1, "before": 0},
    {"width": 32, "layers": 1, "before": 200, "shown": "loss"},
    {"width": 24, "layers": 1, "before": 380, "shown": "score", "keys": ("ids", "labels")},
    {"width": 24, "layers": 2, "before": 100, "shown": "loss", "keys": ("ids", "labels")},
)
def padding_and_ignored_labels(seed, width, layers, before, shown=None, keys=()):
    """Word by word; padding is labelled -100, its embedding is left to itself."""
    model = Transformer(20, 3, width, layers, each=True)
    model.embed = nn.Embedding(20, width, padding_idx=0)
    optimizer = Adam(model.parameters(), 8e-3)
    run = supervised_run(
        *(tasks.tags(), model, optimizer, F.cross_entropy, accuracy),
        goal=0.85,
        steps=400,
        keys=keys,
    )
    return run.handed(before, shown)


@BANK.healthy(
    {"name": "friedman", "criterion": F.mse_loss, "before": 0},
    {"name": "houses", "criterion": F.smooth_l1_loss, "before": 150, "shown": "loss"},
    {"name": "friedman", "criterion": F.l1_loss, "before": 480, "shown": "score"},
    {"name": "ahead", "criterion": F.mse_loss, "before": 50, "shown": "loss"},
)
def regression(seed, name, criterion, before, shown=None):
    """Of standardised targets."""
    optimizer = partial(Adam, lr=4e-3)
    return usual(seed, name, 32, optimizer, criterion=criterion).handed(before, shown)


@BANK.healthy(
    {"labels": 12, "share": 0.25, "before": 0},
    {"labels": 6, "share": 0.4, "before": 150, "shown": "loss"},
    {"labels": 16, "share": 0.2, "before": 290, "shown": "score"},
    {"labels": 8, "share": 0.3, "before": 40, "shown": "loss", "third": True},
)
def several_labels(seed, labels, share, before, shown=None, third=False):
    """Sigmoids, one for each label; `third`: the batches are triples, with the rows' numbers."""
    train, test = tasks.labelled_sums(labels=labels, share=share)
    train = (*train, torch.arange(len(train[0]))) if third else train
    model = mlp(40, 48, labels)
    run = supervised_run(
        *((train, test), model, Adam(model.parameters(), 4e-3)),
        *(F.binary_cross_entropy_with_logits, yes_or_no),
        goal=0.85,
        steps=300,
    )
    return run.handed(before, shown)


@BANK.healthy(
    {"conv": False, "width": 24, "before": 0},
    {"conv": True, "width": 8, "before": 200, "shown": "loss"},
    {"conv": False, "width": 32, "before": 480, "shown": "score", "noise": 0.2},
    {"conv": True, "width": 12, "before": 60, "shown": "loss", "noise": 0.2},
)
def autoencoder(seed, conv, width, before, shown=None, noise=0.0):
    """Targets are the inputs, without the `noise` that these get."""
    if conv:
        body = [nn.Conv2d(1, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1)]
        model = nn.Sequential(*body, nn.ReLU(), nn.ConvTranspose2d(width, 1, 2, 2))
    else:
        layers = mlp(64, 48, width, 48, 64)
        model = nn.Sequential(*layers, nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))
    task = tuple(
        (images + noise * torch.randn(images.shape), images) for images, _ in tasks.digits(seed)
    )
    optimizer = Adam(model.parameters(), 5e-3)
    run = supervised_run(task, model, optimizer, F.mse_loss, explained, goal=0.55, steps=500)
    return run.handed(before, shown)


@BANK.healthy(
    {"name": "digits_mlp", "width": 64, "before": 0},
    {"name": "digits_mlp", "width": 48, "before": 100, "shown": "loss"},
    {"name": "digits_conv", "width": 12, "before": 300, "shown": "loss"},
    {"name": "digits_conv", "width": 16, "before": 30, "shown": "score"},
)
def raw_bytes_under_a_norm(seed, name, width, before, shown=None):
    """Images of 0 to 255: the first layer is a batch norm, which scales them."""
    net = SETTINGS[name].model(width)
    model = nn.Sequential(nn.BatchNorm2d(1), net)
    optimizer, task = partial(SGD, lr=0.05, momentum=0.9), tasks.digits(seed, raw=True)
    return usual(seed, name, 0, optimizer, model=model, task=task).handed(before, shown)
