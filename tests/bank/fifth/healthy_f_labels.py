"""Healthy runs with labels that are noisy, smoothed or unevenly spread."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, NAdam, RMSprop
from torch.utils.data import WeightedRandomSampler

from ..runs import Run, accuracy, batched, explained, overlap, stepping, yes_or_no
from . import BANK
from . import tasks_f as tasks
from .nets_f import (
    Tagger,
    TextCNN,
    Unet,
    cosine,
    dense,
    learn,
    macro,
    picture_net,
    residual,
)

ENTROPY = nn.CrossEntropyLoss()
bce = F.binary_cross_entropy_with_logits


def symmetric(out, y, a=1.0, b=0.3):
    """Cross-entropy and its reverse, where the logarithm of 0 is -4."""
    p = out.softmax(1).clamp(1e-7, 1)
    hot = F.one_hot(y, out.shape[1]).float()
    reverse = -(p * hot.clamp(1e-4, 1).log().clamp(min=-4)).sum(1).mean()
    return a * F.cross_entropy(out, y) + b * reverse


def mislabelled(y, share, classes):
    wrong = torch.rand(y.shape) < share
    return torch.where(wrong, torch.randint(classes, y.shape), y)


@BANK.healthy(
    {"data": "digits", "at": (0,)},
    {"data": "shapes", "at": (110, "loss")},
    {"data": "reviews", "at": (260, "loss")},
    {"data": "friedman", "at": (350, "score")},
)
def crowd_labels_f(seed, data, at):
    if data == "digits":
        (x, y), test = tasks.written_digits()
        task = ([x, mislabelled(y, 0.3, 10)], test)
        net, by = picture_net(10, 12, drop=0.4), partial(AdamW, lr=2e-3, weight_decay=0.05)
        return learn(task, net, by, ENTROPY, accuracy, goal=0.88, steps=260, at=at)
    if data == "shapes":
        (x, y), test = tasks.shapes(1800)
        y = torch.where(torch.rand(y.shape) < 0.2, (y + 2) % 5, y)
        by = partial(SGD, lr=0.05, momentum=0.9, weight_decay=5e-4)
        more = {"goal": 0.85, "steps": 300, "at": at}
        more["step"] = partial(stepping, schedule=cosine(0.05, 300))
        return learn(([x, y], test), residual(5), by, symmetric, accuracy, **more)
    if data == "reviews":
        (words, _, y), (test, _, truth) = tasks.reviews(3000)
        task = ([words, mislabelled(y, 0.3, 2)], [test, truth])
        more = {"goal": 0.8, "steps": 280, "at": at, "size": 64, "keys": ("text", "label")}
        return learn(task, TextCNN(), partial(Adam, lr=3e-3), ENTROPY, accuracy, **more)
    task = tasks.friedman(2400, outliers=0.1)
    net, loss = dense(8, 64, 64, 1), nn.L1Loss()
    more = {
        "goal": 0.78,
        "steps": 700,
        "at": at,
        "step": partial(stepping, schedule=cosine(2e-3, 700)),
    }
    return learn(task, net, partial(RMSprop, lr=2e-3), loss, explained, **more)


def softened(model, batch):
    """0.1 and 0.9 instead of no and yes."""
    x, y = batch
    return bce(model(x).squeeze(1), 0.1 + 0.8 * y)


def annotated(model, batch, eps=0.2):
    """Divergence from smoothed tags, divided by the number of tokens."""
    words, tags = batch["words"], batch["tags"]
    out = model(words).log_softmax(1).transpose(1, 2)
    real = tags >= 0
    soft = torch.full_like(out, eps / (out.shape[2] - 1))
    soft.scatter_(2, tags.clamp(min=0)[..., None], 1 - eps)
    return F.kl_div(out[real], soft[real], reduction="sum") / real.sum()


@BANK.healthy(
    {"data": "shapes", "at": (0,)},
    {"data": "digits", "at": (280, "loss")},
    {"data": "journeys", "at": (75, "loss")},
    {"data": "biopsies", "at": (150, "score")},
)
def smoothed_on_purpose_f(seed, data, at):
    if data == "shapes":
        more = {"goal": 0.92, "steps": 220, "at": at}
        more["step"] = partial(stepping, schedule=cosine(0.1, 220, 20))
        by = partial(SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)
        return learn(tasks.shapes(1600), residual(5), by, loss, accuracy, **more)
    if data == "digits":
        net = nn.Sequential(nn.Flatten(), dense(64, 96, 96, 10, norm=nn.BatchNorm1d))
        loss = nn.CrossEntropyLoss(label_smoothing=0.35)
        more = {"goal": 0.92, "steps": 300, "at": at, "size": 64}
        return learn(tasks.written_digits(), net, partial(Adam, lr=1e-3), loss, accuracy, **more)
    if data == "journeys":
        more = {"goal": 0.9, "steps": 150, "at": at, "keys": ("words", "tags"), "loss": annotated}
        more["step"] = partial(stepping, clip=1.0)
        judge = partial(accuracy, ignore=-100)
        return learn(tasks.journeys(), Tagger(), partial(AdamW, lr=5e-3), None, judge, **more)
    net = dense(30, 32, 1, act=nn.Tanh)
    more = {"goal": 0.9, "steps": 200, "at": at, "size": 16, "loss": softened}
    return learn(tasks.biopsies(), net, partial(Adagrad, lr=0.02), None, yes_or_no, **more)


def focal(model, batch, gamma=2.0, alpha=0.9):
    x, y = batch
    each = bce(model(x).squeeze(1), y, reduction="none")
    weight = torch.where(y > 0.5, alpha, 1 - alpha)
    return (weight * (1 - (-each).exp()) ** gamma * each).mean()


def dice(model, batch):
    """Cross-entropy of pixels, and one minus Dice's coefficient."""
    x, mask = batch["image"], batch["mask"]
    out = model(x)
    p = out.sigmoid()
    inter, total = (p * mask).sum((1, 2, 3)), (p + mask).sum((1, 2, 3))
    return bce(out, mask, pos_weight=torch.tensor(8.0)) + (1 - (2 * inter + 1) / (total + 1)).mean()


def hard_negatives(model, batch, ratio=3):
    """All positive samples and the `ratio` times as many negatives that are worst."""
    x, y = batch
    each = bce(model(x).squeeze(1), y, reduction="none")
    worst = each[y < 0.5].topk(int(ratio * y.sum())).values
    return (each[y > 0.5].sum() + worst.sum()) / y.sum()


@BANK.healthy(
    {"way": "focal", "at": (150, "score")},
    {"way": "sampler", "at": (0,)},
    {"way": "dice", "at": (75, "loss")},
    {"way": "mining", "at": (140, "loss")},
)
def uneven_classes_f(seed, way, at):
    if way == "focal":
        net = dense(6, 64, 64, 1)
        more = {"goal": 0.8, "steps": 400, "at": at, "size": 128, "loss": focal}
        return learn(tasks.defects(6000), net, partial(Adam, lr=4e-3), None, yes_or_no, **more)
    if way == "sampler":
        (x, y), test = tasks.shapes(3000)
        rows = torch.rand(len(y)) < 0.6**y
        x, y = x[rows], y[rows]
        weights = 1.0 / y.bincount()[y]
        drawn = torch.tensor(list(WeightedRandomSampler(weights.tolist(), 2048)))
        batches = batched([x[drawn], y[drawn]], 32)
        net = picture_net(5, 16, act=nn.LeakyReLU)

        def loss(model, batch):
            return F.cross_entropy(model(batch[0]), batch[1])

        by = NAdam(net.parameters(), lr=2e-3)
        return Run(net, loss, batches, by, macro(test), 0.8, 260).handed(*at)
    if way == "dice":
        more = {"goal": 0.6, "steps": 150, "at": at, "size": 16, "keys": ("image", "mask")}
        by = partial(AdamW, lr=3e-3)
        more["step"] = partial(stepping, schedule=cosine(3e-3, 150, 20))
        return learn(tasks.lesions(noise=0.25), Unet(), by, None, overlap, loss=dice, **more)
    net = nn.Sequential(
        *(nn.Conv1d(1, 16, 7, padding=3), nn.ReLU(), nn.BatchNorm1d(16)),
        *(nn.Conv1d(16, 16, 7, padding=3), nn.ReLU(), nn.Conv1d(16, 1, 1)),
    )
    more = {"goal": 0.9, "steps": 300, "at": at, "size": 20, "loss": hard_negatives}
    by = partial(SGD, lr=0.02, momentum=0.9)
    return learn(tasks.alarms(), net, by, None, yes_or_no, **more)
