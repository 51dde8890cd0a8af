"""Sick runs of two faults, each of which alone keeps the run from its goal."""

from functools import partial

import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW

from ..runs import accuracy, explained, stepping, supervised_run
from . import BANK, tasks
from .nets import Recurrent, Transformer, deep_conv, mlp


@BANK.sick("model", "too_small", "rate_too_low")
def one_cell_in_slow_motion(seed, has):
    model = Recurrent(2, 1 if "too_small" in has else 24, 3, nn.LSTM)
    optimizer = Adam(model.parameters(), 1e-5 if "rate_too_low" in has else 1e-2)
    task = tasks.waves()
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, goal=0.85, steps=300)
    return run.after(80, "loss")


@BANK.sick("model", "dropout_too_strong", "weight_decay")
def held_down_twice(seed, has):
    """Both against overfitting, of which there was a little."""
    model = Transformer(40, 4, drop=0.9 if "dropout_too_strong" in has else 0.1)
    if "dropout_too_strong" in has:
        model.head = nn.Sequential(nn.Dropout(0.95), model.head)
    optimizer = Adam(model.parameters(), 3e-3, weight_decay=0.3 if "weight_decay" in has else 1e-5)
    task = tasks.topics()
    run = supervised_run(
        task,
        model,
        optimizer,
        F.cross_entropy,
        accuracy,
        goal=0.8,
        steps=300,
        keys=("inputs", "targets"),
    )
    return run.after(60, "loss")


@BANK.sick("outputs", "double_softmax", "rate_too_low")
def slow_and_softmax_twice(seed, has):
    model = mlp(64, 48, 48, 10)
    if "double_softmax" in has:
        model.append(nn.Softmax(dim=-1))
    optimizer = SGD(model.parameters(), 1e-4 if "rate_too_low" in has else 0.2)
    run = supervised_run(
        tasks.digits(seed),
        model,
        optimizer,
        F.cross_entropy,
        accuracy,
        goal=0.83,
        steps=300,
        keys=("inputs", "targets"),
    )
    return run.after(100, "loss")


@BANK.sick("loss", "wrong_loss", "no_activation")
def unbounded_score_of_rings(seed, has):
    """`nll_loss` of raw scores, and layers without nonlinearity."""
    act = None if "no_activation" in has else nn.ReLU
    model = mlp(2, 32, 32, 4, act=act)
    criterion = F.nll_loss if "wrong_loss" in has else F.cross_entropy
    task, optimizer = tasks.rings(4), SGD(model.parameters(), 0.03, momentum=0.9)
    run = supervised_run(task, model, optimizer, criterion, accuracy, goal=0.9, steps=300)
    return run.after(80, "score")


@BANK.sick("loop", "missing_zero_grad", "rate_too_high")
def swinging_ever_wider(seed, has):
    model = Recurrent(1, 16, 1)
    optimizer = SGD(model.parameters(), 3.0 if "rate_too_high" in has else 0.05, momentum=0.9)
    run = supervised_run(
        *(tasks.ahead(), model, optimizer, F.mse_loss, explained),
        goal=0.9,
        steps=300,
        step=partial(stepping, zero="missing_zero_grad" not in has),
    )
    return run.after(60, "loss")


@BANK.sick("model", "dead_start", "double_softmax")
def zeros_and_softmax_twice(seed, has):
    model = mlp(13, 24, 24, 24, 24, 3)
    if "dead_start" in has:
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
    if "double_softmax" in has:
        model.append(nn.Softmax(1))
    optimizer = SGD(model.parameters(), 0.1)
    run = supervised_run(
        tasks.table("wine"), model, optimizer, F.cross_entropy, accuracy, goal=0.9, steps=200
    )
    return run.after(0)


@BANK.sick("optimiser", "adam_epsilon", "too_few_steps")
def large_epsilon_and_an_early_end(seed, has):
    model = Transformer(20, 3, width=24, each=True)
    optimizer = AdamW(model.parameters(), 1e-2, eps=0.3 if "adam_epsilon" in has else 1e-8)
    run = supervised_run(
        tasks.tags(), model, optimizer, F.cross_entropy, accuracy, goal=0.85, steps=0
    )
    return run.after(24 if "too_few_steps" in has else 400, "loss")


@BANK.sick("model", "too_small", "too_few_steps")
def two_units_one_epoch(seed, has):
    model = mlp(64, 2 if "too_small" in has else 48, 10)
    optimizer = Adam(model.parameters(), 2e-3)
    run = supervised_run(
        tasks.digits(seed), model, optimizer, F.cross_entropy, accuracy, goal=0.9, steps=0
    )
    return run.after(37 if "too_few_steps" in has else 600, "score")


@BANK.sick("loop", "schedule_to_zero", "dropout_too_strong", also=("rate_too_low",))
def annealed_in_one_epoch(seed, has):
    """The schedule's length was given in epochs, and counts steps."""
    model = Transformer(20, 3, width=24, each=True)
    model.head = nn.Sequential(
        nn.Dropout(0.97 if "dropout_too_strong" in has else 0.05), model.head
    )
    length = 20 if "schedule_to_zero" in has else 1000
    run = supervised_run(
        *(tasks.tags(), model, Adam(model.parameters(), 1e-2), F.cross_entropy, accuracy),
        goal=0.85,
        steps=450,
        keys=("inputs", "targets"),
        step=partial(stepping, schedule=lambda done: 1e-2 * max(0.0, 1 - done / length)),
    )
    return run.after(50, "loss")


@BANK.sick("loss", "loss_sign", "too_small")
def likelihood_goes_down(seed, has):
    """The log-likelihood itself is minimised, by a net of a single cell."""
    model = Recurrent(2, 1 if "too_small" in has else 24, 3)
    sign = 1 if "loss_sign" in has else -1

    def criterion(out, labels):
        return sign * F.log_softmax(out, 1).gather(1, labels[:, None]).mean()

    optimizer = Adam(model.parameters(), 5e-3)
    run = supervised_run(tasks.waves(), model, optimizer, criterion, accuracy, goal=0.85, steps=250)
    return run.after(20, "loss")


@BANK.sick("model", "batchnorm_tiny_batch", "rate_too_high")
def pairs_in_great_strides(seed, has):
    size = 2 if "batchnorm_tiny_batch" in has else 32
    model = deep_conv(10, 8, 2, skips=True, norm="batch")
    optimizer = SGD(model.parameters(), 10.0 if "rate_too_high" in has else 0.1, momentum=0.9)
    run = supervised_run(
        *(tasks.digits(seed), model, optimizer, F.cross_entropy, accuracy),
        goal=0.8,
        steps=200,
        size=size,
    )
    return run.after(60, "score")


@BANK.sick("model", "degradation", "rate_too_high")
def deep_and_fast(seed, has):
    model = deep_conv(10, 8, 10, skips="degradation" not in has)
    optimizer = Adam(model.parameters(), 0.3 if "rate_too_high" in has else 2e-3)
    run = supervised_run(
        *(tasks.digits(seed), model, optimizer, F.cross_entropy, accuracy), goal=0.8, steps=400
    )
    return run.after(20, "loss")
