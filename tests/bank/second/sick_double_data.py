"""Sick runs of two faults, one in the data, each of which alone keeps the run from its goal."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, RMSprop

from ..runs import accuracy, explained, stepping, supervised_run, yes_or_no
from . import BANK, tasks
from .nets import Recurrent, conv_net, mlp
from .sick_data import rolled
from .sick_model import Cut


@BANK.sick("model", "no_activation", "unscaled_inputs")
def coordinates_in_millimetres(seed, has):
    (inputs, labels), (test, test_labels) = tasks.rings()
    if "unscaled_inputs" in has:
        inputs, test = 900 * inputs + 20000, 900 * test + 20000
    model = mlp(2, 32, 32, 2, act=None if "no_activation" in has else nn.Tanh)
    task = (inputs, labels), (test, test_labels)
    optimizer = Adam(model.parameters(), 1e-2)
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, goal=0.9, steps=300)
    return run.after(60, "loss")


@BANK.sick("inputs", "unscaled_inputs", "unscaled_targets")
def table_as_it_was_read(seed, has):
    task = tasks.houses("unscaled_inputs" in has, "unscaled_targets" in has)
    model = mlp(4, 32, 32, 1, act=nn.Tanh)
    optimizer = RMSprop(model.parameters(), 2e-3)
    run = supervised_run(task, model, optimizer, F.mse_loss, explained, goal=0.8, steps=400)
    return run.after(60, "loss")


@BANK.sick("labels", "labels_misaligned", "unscaled_inputs")
def sensor_against_another_log(seed, has):
    task = tasks.waves(raw="unscaled_inputs" in has)
    task = rolled(task, 1) if "labels_misaligned" in has else task
    model = Recurrent(2, 24, 3)
    optimizer = Adam(model.parameters(), 1e-2)
    run = supervised_run(
        *(task, model, optimizer, F.cross_entropy, accuracy),
        goal=0.85,
        steps=250,
        keys=("signal", "label"),
    )
    return run.after(50, "loss")


@BANK.sick("inputs", "not_finite_inputs", "labels_misaligned")
def missing_values_and_a_lost_row(seed, has):
    """Rows with gaps were dropped from the labels, but not from the table; some gaps are left."""
    (rows, labels), test = tasks.table("breast_cancer", column=True)
    if "not_finite_inputs" in has:
        rows = rows.masked_fill(torch.rand(rows.shape) < 0.01, torch.nan)
    model = mlp(30, 24, 1)
    task = (rows, labels), test
    task = rolled(task, 3) if "labels_misaligned" in has else task
    run = supervised_run(
        *(task, model, Adam(model.parameters(), 3e-3)),
        *(F.binary_cross_entropy_with_logits, yes_or_no),
        goal=0.9,
        steps=150,
        size=16,
    )
    return run.after(0)


@BANK.sick("loop", "clipping_too_tight", "unscaled_targets", also=("rate_too_low",))
def clipped_because_it_exploded(seed, has):
    """Targets in thousands explode; the clip that stops this stops the learning."""
    (inputs, targets), (test, test_targets) = tasks.ahead()
    scale = 3000 if "unscaled_targets" in has else 1
    model = Recurrent(1, 16, 1)
    run = supervised_run(
        ((inputs, scale * targets), (test, scale * test_targets)),
        *(model, SGD(model.parameters(), 0.05, momentum=0.9), F.mse_loss, explained),
        goal=0.9,
        steps=300,
        step=partial(stepping, clip=1e-3 if "clipping_too_tight" in has else 5.0),
    )
    return run.after(80, "loss")


@BANK.sick("optimiser", "wrong_parameters", "unscaled_inputs")
def frozen_and_raw(seed, has):
    """Weights frozen as if pretrained; images as bytes."""
    task = tasks.digits(seed, raw="unscaled_inputs" in has)
    model = conv_net(width=4)
    if "wrong_parameters" in has:
        model[:-1].requires_grad_(False)
    optimizer = SGD([p for p in model.parameters() if p.requires_grad], 0.05, momentum=0.9)
    run = supervised_run(
        task,
        model,
        optimizer,
        F.cross_entropy,
        accuracy,
        goal=0.88,
        steps=400,
        keys=("inputs", "targets"),
    )
    return run.after(60, "loss")


@BANK.sick("data", "imbalance", "rate_too_low", also=("label_prior",))
def rare_patterns_slowly(seed, has):
    task = tasks.labelled_sums(share=0.03)
    model = mlp(40, 32, 12)
    weight = torch.tensor(1.0 if "imbalance" in has else 20.0)

    def criterion(out, target):
        return F.binary_cross_entropy_with_logits(out, target, pos_weight=weight)

    optimizer = SGD(model.parameters(), 1e-4 if "rate_too_low" in has else 0.05, momentum=0.9)
    run = supervised_run(task, model, optimizer, criterion, yes_or_no, goal=0.85, steps=300)
    return run.after(80, "loss")


@BANK.sick("loss", "broadcasting", "unscaled_targets")
def dollars_against_a_row(seed, has):
    (inputs, targets), test = tasks.houses(raw_targets="unscaled_targets" in has)
    targets = targets[:, 0] if "broadcasting" in has else targets
    model = mlp(4, 32, 32, 1)
    task, optimizer = ((inputs, targets), test), Adam(model.parameters(), 3e-3)

    def criterion(out, target):
        return (out - target).abs().mean()

    run = supervised_run(task, model, optimizer, criterion, explained, goal=0.8, steps=300)
    return run.after(60, "loss")


@BANK.sick("inputs", "inputs_destroyed", "too_few_steps")
def signals_as_whole_numbers(seed, has):
    (inputs, labels), (test, test_labels) = tasks.waves()
    if "inputs_destroyed" in has:
        inputs, test = (0.4 * inputs).long().float(), (0.4 * test).long().float()
    model = Recurrent(2, 16, 3)
    task = (inputs, labels), (test, test_labels)
    optimizer = Adam(model.parameters(), 5e-3)
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, goal=0.85, steps=0)
    return run.after(18 if "too_few_steps" in has else 300, "score")


@BANK.sick("model", "detached", "labels_misaligned")
def encoder_without_gradient(seed, has):
    """The encoder's call was copied from the evaluation; labels of another order."""
    features = nn.Sequential(*list(conv_net(width=10))[:-1])
    model = Cut(features, nn.Linear(80, 2), "detached" in has)
    task = tasks.lines(seed)
    task = rolled(task, 1) if "labels_misaligned" in has else task
    optimizer = Adam(model.parameters(), 5e-3)
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, goal=0.8, steps=500)
    return run.after(80, "loss")


@BANK.sick("outputs", "relu_on_output", "unscaled_inputs")
def bytes_through_relu(seed, has):
    """The loop that adds a ReLU after every layer does not spare the last."""
    task = tasks.digits(seed, raw="unscaled_inputs" in has)
    model = mlp(64, 64, 10)
    if "relu_on_output" in has:
        model.append(nn.ReLU())
    optimizer = SGD(model.parameters(), 0.2, momentum=0.9)
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, goal=0.93, steps=500)
    return run.after(100, "score")
