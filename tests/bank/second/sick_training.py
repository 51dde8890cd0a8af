"""Sick runs whose fault lies in the optimiser, the loop or the evaluation."""

from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam

from ..runs import accuracy, batched, examiner, explained, overlap, stepping, supervised_run
from . import BANK, tasks
from .nets import Recurrent, Transformer, UNet, conv_net, deep_conv, mlp


@BANK.sick("optimiser", "rate_too_high")
def adam_by_tenths(seed, has):
    """A rate that suited SGD."""
    model = conv_net()
    optimizer = Adam(model.parameters(), 0.3 if "rate_too_high" in has else 5e-3)
    run = supervised_run(
        tasks.digits(seed), model, optimizer, F.cross_entropy, accuracy, goal=0.88, steps=400
    )
    return run.after(60, "loss")


@BANK.sick("optimiser", "rate_too_low")
def tiny_steps(seed, has):
    model = mlp(30, 32, 2)
    (rows, labels), test = tasks.table("breast_cancer")
    optimizer = SGD(model.parameters(), 1e-5 if "rate_too_low" in has else 0.05)
    run = supervised_run(
        ((rows, labels, torch.arange(len(rows))), test),
        model,
        optimizer,
        F.cross_entropy,
        accuracy,
        goal=0.92,
        steps=300,
        step=stepping,
    )
    return run.after(80, "loss")


@BANK.sick("loop", "schedule_to_zero", also=("rate_too_low",))
def decays_by_the_batch(seed, has):
    """A decay of 0.8 for every epoch, called after every batch."""
    model = conv_net(width=8)
    decay = 0.8 if "schedule_to_zero" in has else 0.8 ** (1 / 37)
    optimizer = Adam(model.parameters(), 1e-2)
    run = supervised_run(
        tasks.digits(seed),
        model,
        optimizer,
        F.cross_entropy,
        accuracy,
        goal=0.82,
        steps=400,
        step=partial(stepping, schedule=lambda done: 1e-2 * decay**done),
    )
    return run.after(80, "loss")


@BANK.sick("optimiser", "adam_epsilon", also=("rate_too_low",))
def epsilon_of_one(seed, has):
    """Recommended for another net."""
    model = conv_net()
    optimizer = Adam(model.parameters(), 3e-3, eps=1.0 if "adam_epsilon" in has else 1e-8)
    run = supervised_run(
        tasks.digits(seed),
        model,
        optimizer,
        F.cross_entropy,
        accuracy,
        goal=0.85,
        steps=400,
        keys=("inputs", "targets"),
    )
    return run.after(100, "loss")


@BANK.sick("optimiser", "weight_decay")
def decay_of_one(seed, has):
    model = deep_conv(10, 8, 2, skips=True, norm=None)
    optimizer = SGD(
        model.parameters(), 0.02, momentum=0.9, weight_decay=1.0 if "weight_decay" in has else 1e-4
    )
    run = supervised_run(
        tasks.digits(seed), model, optimizer, F.cross_entropy, accuracy, goal=0.88, steps=400
    )
    return run.after(100, "loss")


@BANK.sick("loop", "clipping_too_tight", also=("rate_too_low",))
def clipped_to_a_thousandth(seed, has):
    model = UNet()
    clip = 1e-3 if "clipping_too_tight" in has else 5.0
    run = supervised_run(
        tasks.discs(),
        model,
        SGD(model.parameters(), 0.05, momentum=0.9),
        F.binary_cross_entropy_with_logits,
        overlap,
        goal=0.6,
        steps=200,
        size=16,
        step=partial(stepping, clip=clip),
    )
    return run.after(50, "loss")


@BANK.sick("optimiser", "wrong_parameters")
def model_made_twice(seed, has):
    """The model was made anew after its optimiser, to change a size."""
    first = Recurrent(1, 16, 1)
    model = Recurrent(1, 16, 1) if "wrong_parameters" in has else first
    run = supervised_run(
        tasks.ahead(),
        model,
        Adam(first.parameters(), 1e-2),
        F.mse_loss,
        explained,
        goal=0.9,
        steps=250,
        step=stepping,
    )
    return run.after(30, "loss")


@BANK.sick("loop", "missing_zero_grad")
def sums_of_all_gradients(seed, has):
    model = conv_net(width=8)
    run = supervised_run(
        tasks.digits(seed),
        model,
        SGD(model.parameters(), 0.05, momentum=0.9),
        F.cross_entropy,
        accuracy,
        goal=0.88,
        steps=400,
        step=partial(stepping, zero="missing_zero_grad" not in has),
    )
    return run.after(80, "loss")


def at_validation(run, test, number, honest_goal):
    """The trained `run` with the batches of its validation; it is not trained further.

    It is judged by `number`, what the validation prints; the honest judge is the run's own.
    """
    fields = {"examine": number, "honest": run.examine, "honest_goal": honest_goal}
    run = replace(run, batches=batched(test, 50), steps=0, **fields)
    return replace(run, shown=abs(run.score()))


@BANK.sick("evaluation", "evaluated_in_train_mode", lies=True)
def dropout_at_validation(seed, has):
    """The accuracy on the screen is that of nets with 70 % of their units off."""
    task = tasks.digits(seed)
    model = mlp(64, 96, 96, 10, drop=0.7)
    optimizer = Adam(model.parameters(), 3e-3)
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, goal=0.9, steps=500)
    printed = accuracy(task[1], training="evaluated_in_train_mode" in has)
    return at_validation(run.handed(500), task[1], printed, honest_goal=0.9)


@BANK.sick("evaluation", "evaluated_in_train_mode", lies=True)
def transformer_still_dropping(seed, has):
    """The loss on the screen is that in train mode."""
    task = tasks.topics()
    model = nn.Sequential(Transformer(40, 16, drop=0.4), nn.Dropout(0.8), nn.Linear(16, 4))
    optimizer = Adam(model.parameters(), 5e-3)
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, goal=-0.5, steps=500)
    inputs, targets = task[1]
    printed = examiner(
        lambda model: -F.cross_entropy(model(inputs), targets),
        training="evaluated_in_train_mode" in has,
    )
    return at_validation(run.handed(500), task[1], printed, honest_goal=0.8)
