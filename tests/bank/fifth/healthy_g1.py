"""Healthy runs of the loop: a warm-up, tiny batches, autocast."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, NAdam

from ..runs import (
    accuracy,
    examiner,
    explained,
    overlap,
    stepping,
    supervised_run,
    unpacked,
)
from . import BANK
from . import tasks_g as tasks
from .nets_g import (
    Attentive,
    Flat,
    ResidualTable,
    Tagger,
    UNet,
    dense,
    groups,
    lenet,
    listener,
    resnet,
)

ENTROPY = nn.CrossEntropyLoss()


def noam(done, width=32, warm=120, factor=0.8):
    """The rate of "Attention is all you need"."""
    done = done + 1
    return factor * width**-0.5 * min(done**-0.5, done * warm**-1.5)


def cosine(done, steps, warm, peak):
    if done < warm:
        return peak * done / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (done - warm) / (steps - warm)))


def flat_after(done, warm, peak):
    return peak * min(1.0, (done + 1) / warm)


def one_cycle(done, steps, peak):
    """Up for three tenths, then down to nearly nothing."""
    up = int(0.3 * steps)
    if done < up:
        return peak * (0.04 + 0.96 * done / up)
    return peak * max(1e-4, 1 - (done - up) / (steps - up))


def warm_encoder():
    task = tasks.unsorted(6000)
    model = Attentive(12, 32, 12, 8, drop=0.05)
    optimizer = Adam(model.parameters(), lr=0.0, betas=(0.9, 0.98), eps=1e-9)
    more = {"goal": 0.9, "steps": 450, "size": 64, "step": partial(stepping, schedule=noam)}
    return supervised_run(task, model, optimizer, ENTROPY, accuracy, **more)


def warm_resnet():
    model = resnet(10, 8)
    optimizer = SGD(model.parameters(), 0.0, momentum=0.9, nesterov=True, weight_decay=5e-4)
    step = partial(stepping, schedule=partial(cosine, steps=150, warm=30, peak=0.2))
    more = {"goal": 0.93, "steps": 150, "size": 128, "step": step}
    return supervised_run(tasks.digits(), model, optimizer, ENTROPY, accuracy, **more)


def warm_table():
    model = ResidualTable(12, 48, 5, drop=0.1)
    optimizer = AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)
    step = partial(stepping, schedule=partial(flat_after, warm=60, peak=2e-3), clip=1.0)
    more = {"goal": 0.85, "steps": 400, "size": 64, "step": step}
    return supervised_run(tasks.forest(3000), model, optimizer, ENTROPY, accuracy, **more)


def warm_listener():
    model = listener(5)
    optimizer = AdamW(model.parameters(), lr=1e-3)
    step = partial(stepping, schedule=partial(one_cycle, steps=240, peak=0.01))
    more = {"goal": 0.8, "steps": 240, "size": 48, "step": step}
    return supervised_run(tasks.chirps(2000), model, optimizer, ENTROPY, accuracy, **more)


@BANK.healthy(
    {"make": warm_encoder, "at": (15, "loss")},
    {"make": warm_resnet, "at": (0, None)},
    {"make": warm_table, "at": (40, "loss")},
    {"make": warm_listener, "at": (236, "score")},
)
def rate_that_warms_up_g(seed, make, at):
    return make().handed(*at)


def single_flowers():
    model = dense(4, 16, 3, act=nn.Tanh)
    optimizer = SGD(model.parameters(), lr=0.02)
    more = {"goal": 0.88, "steps": 1200, "size": 1}
    return supervised_run(tasks.bundled("iris"), model, optimizer, ENTROPY, accuracy, **more)


def pairs_of_rows():
    model = Flat(dense(8, 48, 48, 1))
    optimizer = Adam(model.parameters(), lr=1e-3)
    more = {"goal": 0.85, "steps": 3000, "size": 2, "keys": ("x", "y")}
    return supervised_run(tasks.friedman(2400), model, optimizer, nn.MSELoss(), explained, **more)


def gathered(loss, every):
    """A step of the optimiser after `every` batches, with the mean of their gradients."""

    def step(model, optimizer, batch):
        value = loss(model, batch)
        (value / every).backward()
        group = optimizer.param_groups[0]
        group["seen"] = group.get("seen", 0) + 1
        if group["seen"] % every == 0:
            optimizer.step()
            optimizer.zero_grad()
        return value.item()

    return step


def pairs_of_digits():
    model = nn.Sequential(
        *(nn.Conv2d(1, 12, 3, 2, 1), groups(12), nn.ReLU()),
        *(nn.Conv2d(12, 24, 3, 2, 1), groups(24), nn.ReLU()),
        *(nn.Conv2d(24, 32, 3, 1, 1), groups(32), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(32 * 2 * 2, 10)),
    )
    optimizer = AdamW(model.parameters(), lr=2e-3)
    more = {"goal": 0.9, "steps": 2400, "size": 2, "step": partial(gathered, every=8)}
    return supervised_run(tasks.digits(), model, optimizer, ENTROPY, accuracy, **more)


def one_line_at_a_time():
    tokens, letters = tasks.story(12000)
    train, test = tasks.windows(tokens, 40)
    model = Tagger(letters, 48, letters, nn.RNN)
    optimizer = Adagrad(model.parameters(), lr=0.03)
    more = {"goal": 0.72, "steps": 700, "size": 1, "step": partial(stepping, clip=5.0)}
    return supervised_run((train, test), model, optimizer, ENTROPY, accuracy, **more)


@BANK.healthy(
    {"make": single_flowers, "at": (300, "loss")},
    {"make": pairs_of_rows, "at": (0, None)},
    {"make": pairs_of_digits, "at": (1203, "loss")},
    {"make": one_line_at_a_time, "at": (660, None)},
)
def tiny_batches_g(seed, make, at):
    return make().handed(*at)


def half(criterion):
    """The forward pass in bfloat16, the loss in float32."""

    def loss(model, batch):
        x, y = unpacked(batch)[:2]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(x)
        return criterion(out.float(), y)

    return loss


def half_inside(criterion):
    """Forward pass and loss under autocast, as in PyTorch's recipe."""

    def loss(model, batch):
        x, y = unpacked(batch)[:2]
        with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
            return criterion(model(x), y)

    return loss


def half_digits():
    model = lenet(10, 8)
    optimizer = Adam(model.parameters(), lr=3e-3)
    more = {"goal": 0.92, "steps": 1200, "size": 32, "loss": half_inside(ENTROPY)}
    return supervised_run(tasks.digits(), model, optimizer, None, accuracy, **more)


def half_cells():
    model = UNet(1, 8, "group")
    optimizer = AdamW(model.parameters(), lr=4e-3)
    more = {"goal": 0.67, "steps": 300, "size": 8, "step": partial(stepping, clip=1.0)}
    loss = half(F.binary_cross_entropy_with_logits)
    return supervised_run(tasks.cells(400, 24), model, optimizer, None, overlap, loss=loss, **more)


def half_rows():
    model = Flat(dense(8, 96, 96, 1, act=nn.GELU))
    optimizer = NAdam(model.parameters(), lr=2e-3)
    more = {"goal": 0.87, "steps": 500, "size": 64, "loss": half(nn.MSELoss())}
    more["keys"] = ("features", "target")
    return supervised_run(tasks.friedman(2400), model, optimizer, None, explained, **more)


def in_half(test):
    """Accuracy as it is measured in use, under autocast too."""

    def number(model):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return (model(test[0]).argmax(1) == test[1]).float().mean()

    return examiner(number)


def half_signals():
    model = listener(5, width=12)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    step = partial(stepping, schedule=partial(cosine, steps=260, warm=20, peak=0.1))
    more = {"goal": 0.8, "steps": 260, "size": 64, "loss": half_inside(ENTROPY), "step": step}
    return supervised_run(tasks.chirps(2400), model, optimizer, None, in_half, **more)


@BANK.healthy(
    {"make": half_digits, "at": (0, None)},
    {"make": half_cells, "at": (280, "loss")},
    {"make": half_rows, "at": (200, "loss")},
    {"make": half_signals, "at": (0, None)},
)
def autocast_on_the_cpu_g(seed, make, at):
    return make().handed(*at)
