"""Healthy runs with labels that are wrong, rare or soft."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Adam, AdamW, NAdam, RMSprop

from ..runs import accuracy, stepping, unpacked, yes_or_no
from . import BANK
from . import tasks_a as tasks
from .nets_a import Bag, Recurrent, convnet, learn, mlp, momentum, precision, recalls, whole

ENTROPY = nn.CrossEntropyLoss()
bce = F.binary_cross_entropy_with_logits


def generalised(out, y, q=0.7):
    """(1 - p^q) / q, between cross-entropy and the mean absolute error."""
    return ((1 - out.softmax(1).gather(1, y[:, None]) ** q) / q).mean()


def bootstrapped(out, y, trust=0.8):
    """Labels mixed with what the model itself says."""
    own = out.detach().softmax(1).argmax(1)
    return trust * F.cross_entropy(out, y) + (1 - trust) * F.cross_entropy(out, own)


@BANK.healthy(
    {"data": "digits", "at": (0, None)},
    {"data": "tumours", "at": (120, "loss")},
    {"data": "tickets", "at": (250, "loss")},
    {"data": "waves", "at": (240, "score")},
)
def labels_of_careless_annotators(seed, data, at):
    """Wrong at random, or confused with the next class; the test's labels are right."""
    (x, y, *_), test = getattr(tasks, data)(*[2400] * (data == "tickets"))
    share, criterion, net, by, goal, steps = {
        "digits": (
            *(0.3, ENTROPY, lambda: convnet(10, 16, norm=nn.BatchNorm2d)),
            *(partial(Adam, lr=3e-3), 0.9, 250),
        ),
        "tumours": (
            *(0.2, ENTROPY, lambda: mlp(30, 32, 2, act=nn.Tanh, drop=0.3)),
            *(partial(momentum, lr=0.02, weight_decay=0.02), 0.92, 240),
        ),
        "tickets": (
            *(0.25, generalised, lambda: Bag(24, 32, 6, drop=0.5)),
            *(partial(AdamW, lr=6e-3), 0.9, 250),
        ),
        "waves": (
            *(0.35, bootstrapped, lambda: convnet(4, 16, 1, nn.BatchNorm1d)),
            *(partial(RMSprop, lr=1e-3), 0.9, 240),
        ),
    }[data]
    classes = int(y.max()) + 1
    jump = 1 if data == "tickets" else torch.randint(1, classes, y.shape)
    y = torch.where(torch.rand(y.shape) < share, (y + jump) % classes, y)
    keys = ("x", "y") if data == "tumours" else ()
    more = {"goal": goal, "steps": steps, "at": at, "keys": keys}
    if data == "digits":
        more["step"] = partial(stepping, schedule=lambda i: 3e-3 * (1 - i / 250))
    return learn(([x, y], test), net(), by, criterion, accuracy, **more)


def long_tailed(task, ratio):
    """Class c keeps ratio^c of its training examples; the test is even."""
    train, test = task
    rows = torch.rand(len(train[1])) < ratio ** train[1]
    return [part[rows] for part in train], test


@BANK.healthy(
    {"way": "plain", "at": (500, "loss")},
    {"way": "pos_weight", "at": (0, None)},
    {"way": "weights", "at": (100, "score")},
    {"way": "adjusted", "at": (30, "loss")},
)
def few_cases_of_what_matters(seed, way, at):
    """Three to six per cent of frauds; topics and signals with a long tail."""
    if way in ("plain", "pos_weight"):
        task = tasks.accounts(0.04 if way == "plain" else 0.06, 5000)
        if way == "plain":
            net = mlp(8, 64, 64, 1)
            more = {"goal": 0.7, "steps": 500, "at": at, "size": 100}
            return learn(task, net, partial(Adam, lr=3e-3), bce, precision, **more)
        net = mlp(8, 48, 48, 1, act=nn.GELU, norm=nn.LayerNorm, drop=0.1)
        more = {"goal": 0.9, "steps": 300, "at": at, "size": 128}
        loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(15.0))
        return learn(task, net, partial(AdamW, lr=4e-3), loss, yes_or_no, **more)
    if way == "weights":
        task = long_tailed(tasks.tickets(4000, share=0.35), 0.55)
        weights = len(task[0][1]) / (6.0 * task[0][1].bincount())
        more = {"goal": 0.9, "steps": 300, "at": at, "keys": ("ids", "topic")}
        loss, by = nn.CrossEntropyLoss(weights), partial(NAdam, lr=4e-3)
        return learn(task, Bag(16, 32, 6, drop=0.2), by, loss, recalls, **more)
    task = long_tailed(tasks.waves(3000, 0.3), 0.4)
    prior = task[0][1].bincount().float().log()
    net, by = convnet(4, 12, 1, act=nn.SiLU), partial(momentum, lr=0.05)
    more = {"goal": 0.9, "steps": 400, "at": at}
    return learn(task, net, by, lambda out, y: F.cross_entropy(out + prior, y), recalls, **more)


@whole
def mixed(model, batch):
    """Mixup with a one-hot target."""
    x, y = unpacked(batch)[:2]
    share, other = torch.distributions.Beta(0.3, 0.3).sample(), torch.randperm(len(x))
    soft = F.one_hot(y, 4).float()
    soft = share * soft + (1 - share) * soft[other]
    return -(soft * model(share * x + (1 - share) * x[other]).log_softmax(1)).sum(1).mean()


@BANK.healthy(
    {"way": "smooth", "at": (200, "loss")},
    {"way": "mixup", "at": (100, "loss")},
    {"way": "votes", "at": (0, None)},
    {"way": "tanh", "at": (60, "loss")},
)
def targets_never_quite_reached(seed, way, at):
    """Smoothed by .25; mixed; votes of five; 0.2 and 0.8 for a sigmoid, squared, as in 1995."""
    if way == "smooth":
        net = convnet(10, 12, norm=nn.BatchNorm2d)
        more = {"goal": 0.95, "steps": 200, "at": at}
        loss = nn.CrossEntropyLoss(label_smoothing=0.25)
        return learn(tasks.digits(), net, partial(AdamW, lr=3e-3), loss, accuracy, **more)
    if way == "mixup":
        net, by = Recurrent(nn.GRU, 4, 32, each=False), partial(Adam, lr=6e-3)
        task = [[x.transpose(1, 2)[:, ::2], y] for x, y, _ in tasks.waves(1200, 0.1)]
        more = {"goal": 0.92, "steps": 200, "at": at, "step": partial(stepping, clip=1.0)}
        return learn(task, net, by, mixed, accuracy, **more)
    if way == "votes":
        (ids, topic), test = tasks.tickets(1800, 6, 0.3)
        wrong = torch.rand(len(ids), 5) < 0.3
        votes = torch.where(wrong, torch.randint(6, wrong.shape), topic[:, None])
        soft = F.one_hot(votes, 6).float().mean(1)
        more = {"goal": 0.93, "steps": 250, "size": 64, "keys": ("text", "votes")}
        net, by = Bag(32, 6), partial(Adam, lr=1e-2)
        return learn(([ids, soft], test), net, by, ENTROPY, accuracy, at=at, **more)
    net = nn.Sequential(mlp(30, 24, 2, act=nn.Sigmoid), nn.Sigmoid())
    more = {"goal": 0.94, "steps": 400, "at": at, "size": 16}

    def squared(out, y):
        return F.mse_loss(out, 0.2 + 0.6 * F.one_hot(y, 2))

    return learn(tasks.tumours(), net, partial(momentum, lr=0.3), squared, accuracy, **more)
