"""Healthy runs that are put together unusually: frozen parts and gradients that take detours."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW

from ..runs import accuracy, explained, supervised
from . import BANK
from . import nets_k as nets
from . import tasks_k as tasks
from .tasks_k import judged, made

ENTROPY = nn.CrossEntropyLoss()


def reservoir():
    model = nets.Reservoir(120)
    optimizer = Adam(model.parameters(), lr=0.01)
    task, loss = tasks.memory(600), supervised(nn.MSELoss())
    return made(task, model, optimizer, loss, explained, 0.75, 500, 30)


def pretrained(x, y):
    """A net that knows the digits 0 to 4."""
    net = nets.mlp(64, 96, 96, 5)
    optimizer = Adam(net.parameters(), lr=3e-3)
    for rows in torch.randint(len(x), (150, 64)):
        optimizer.zero_grad()
        F.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
    return net


def low_rank():
    x, y = tasks.digit_rows()
    old = y < 5
    net = pretrained(x[old], y[old])
    for i in (0, 2):
        net[i] = nets.LoRA(net[i], 4)
    net[4] = nn.Linear(96, 5)
    learning = [p for p in net.parameters() if p.requires_grad]
    optimizer = AdamW(learning, lr=3e-3, weight_decay=0.01)
    task = tasks.split(x[~old], y[~old] - 5)
    return made(task, net, optimizer, supervised(ENTROPY), accuracy, 0.92, 250, 32)


def two_places():
    """Labels from one place only; examined on both."""

    def loss(model, batch):
        x, y, place = batch
        told, where = model(x)
        here = place == 0
        return F.cross_entropy(told[here], y[here]) + F.cross_entropy(where, place)

    def number(model, x, y, place):
        return (model(x)[0].argmax(1) == y).float().mean()

    model = nets.Adversarial(12)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    return made(tasks.two_hospitals(3000), model, optimizer, loss, judged(number), 0.85, 500, 64)


def signs():
    x, y = tasks.digit_rows()
    model = nets.BinaryCode(64, 24, 10)
    optimizer = Adam(model.parameters(), lr=2e-3)
    return made(tasks.split(x, y), model, optimizer, supervised(ENTROPY), accuracy, 0.92, 400, 64)


@BANK.healthy(
    {"make": reservoir, "at": (0, None)},
    {"make": low_rank, "at": (0, None)},
    {"make": two_places, "at": (250, "loss")},
    {"make": signs, "at": (370, "score")},
)
def detours_k(seed, make, at):
    return make().handed(*at)
