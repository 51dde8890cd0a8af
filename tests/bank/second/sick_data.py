"""Sick runs whose fault lies in data, labels or inputs."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam

from ..runs import accuracy, explained, overlap, supervised_run, yes_or_no
from . import BANK, tasks
from .nets import Recurrent, UNet, conv_net, mlp


def rolled(task: tasks.Task, by: int) -> tasks.Task:
    """The training labels `by` places away from their inputs; the test set as it is."""
    (inputs, labels, *rest), test = task
    return (inputs, labels.roll(by, 0), *rest), test


@BANK.sick("inputs", "unscaled_inputs")
def raw_wine(seed, has):
    task = tasks.table("wine", raw="unscaled_inputs" in has)
    model = mlp(13, 32, 3)
    optimizer = SGD(model.parameters(), 0.05, momentum=0.9)
    run = supervised_run(
        task, model, optimizer, F.cross_entropy, accuracy, goal=0.9, steps=200, size=16
    )
    return run.after(40, "loss")


@BANK.sick("inputs", "unscaled_inputs")
def raw_house_columns(seed, has):
    task = tasks.houses(raw_inputs="unscaled_inputs" in has)
    model = mlp(4, 32, 32, 1, act=nn.Tanh)
    run = supervised_run(
        task,
        model,
        Adam(model.parameters(), 3e-3),
        F.mse_loss,
        explained,
        goal=0.85,
        steps=400,
        keys=("features", "price"),
    )
    return run.after(100, "loss")


@BANK.sick("labels", "unscaled_targets", also=("rate_too_low",))
def prices_in_dollars(seed, has):
    """The optimiser is to walk to a quarter of a million in steps of a thousandth."""
    task = tasks.houses(raw_targets="unscaled_targets" in has)
    model = mlp(4, 64, 64, 1)
    optimizer = Adam(model.parameters(), 1e-3)
    run = supervised_run(task, model, optimizer, F.mse_loss, explained, goal=0.8, steps=400)
    return run.after(120, "loss")


@BANK.sick("inputs", "not_finite_inputs")
def divided_by_constant_pixels(seed, has):
    """Corner pixels never carry ink: their deviation is 0."""
    (train, labels), (test, test_labels) = tasks.digits(seed)
    mean, deviation = train.mean(0), train.std(0)
    if "not_finite_inputs" not in has:
        deviation = deviation.clamp(min=0.05)
    task = ((train - mean) / deviation, labels), ((test - mean) / deviation, test_labels)
    model = conv_net()
    optimizer = Adam(model.parameters(), 5e-3)
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, goal=0.85, steps=300)
    return run.after(0 if seed % 2 else 20, "loss" if seed % 2 == 0 else None)


@BANK.sick("inputs", "inputs_destroyed")
def cast_to_bytes(seed, has):
    """Ink is already 0 to 1 when it is cast to whole numbers: only full black is left."""
    (train, labels), (test, test_labels) = tasks.digits(seed)
    if "inputs_destroyed" in has:
        train, test = ((0.5 * images).byte().float() for images in (train, test))
    model = mlp(64, 64, 10)
    optimizer = Adam(model.parameters(), 3e-3)
    task = (train, labels), (test, test_labels)
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, goal=0.9, steps=300)
    return run.after(60, "score")


@BANK.sick("labels", "labels_misaligned", also=("label_prior",))
def images_shuffled_alone(seed, has):
    (train, labels), test = tasks.digits(seed)
    if "labels_misaligned" in has:
        train = train[torch.randperm(len(train))]
    model = conv_net(norm="batch")
    optimizer = SGD(model.parameters(), 0.05, momentum=0.9)
    run = supervised_run(
        ((train, labels), test), model, optimizer, F.cross_entropy, accuracy, goal=0.9, steps=300
    )
    return run.after(80, "loss")


@BANK.sick("labels", "labels_misaligned", also=("label_prior",))
def masks_of_other_images(seed, has):
    """Two folders are listed in different orders."""
    task = tasks.discs()
    task = rolled(task, 7) if "labels_misaligned" in has else task
    model = UNet()
    run = supervised_run(
        task,
        model,
        Adam(model.parameters(), 5e-3),
        F.binary_cross_entropy_with_logits,
        overlap,
        goal=0.6,
        steps=150,
        size=16,
        keys=("image", "mask"),
    )
    return run.after(40, "loss")


@BANK.sick("data", "imbalance", also=("label_prior", "rate_too_low"))
def few_pixels_of_discs(seed, has):
    """A disc is 1 pixel in 80: a small loss, and an empty mask."""
    task = tasks.discs(radius=1.0, noise=0.5)
    model = UNet(norm=None)
    weight = torch.tensor(1.0 if "imbalance" in has else 40.0)

    def criterion(out, mask):
        return F.binary_cross_entropy_with_logits(out, mask, pos_weight=weight)

    def judge(test):
        return overlap(test, threshold=0.0 if "imbalance" in has else 2.5)

    optimizer = SGD(model.parameters(), 0.01, momentum=0.9)
    run = supervised_run(task, model, optimizer, criterion, judge, goal=0.25, steps=300, size=20)
    return run.after(60, "loss")


@BANK.sick("data", "imbalance", also=("label_prior",))
def few_frauds(seed, has):
    """Accuracy on the screen: the share of the honest."""
    (rows, frauds), test = tasks.rare()
    task = (rows, frauds, torch.arange(len(rows))), test  # the third: whose row it is
    model = mlp(12, 16, 1)
    weight = torch.tensor(1.0 if "imbalance" in has else 30.0)

    def criterion(out, target):
        return F.binary_cross_entropy_with_logits(out, target, pos_weight=weight)

    optimizer = Adam(model.parameters(), 2e-3)
    run = supervised_run(
        task, model, optimizer, criterion, yes_or_no, goal=0.7, steps=300, size=64
    ).after(100)
    inputs, targets = test
    correct = ((model(inputs) > 0) == (targets > 0.5)).float().mean().item()
    return replace(run, shown=correct)


@BANK.sick("loop", "too_few_steps")
def one_epoch_of_texts(seed, has):
    """Stopped after an epoch of twelve steps."""
    task = tasks.topics()
    model = Recurrent(40, 24, 4, words=True)
    steps = 12 if "too_few_steps" in has else 400
    optimizer = Adam(model.parameters(), 2e-3)
    run = supervised_run(
        task, model, optimizer, F.cross_entropy, accuracy, goal=0.82, steps=0, size=64
    )
    return run.after(steps, "loss")


@BANK.sick("loop", "too_few_steps")
def stopped_by_impatience(seed, has):
    """Early stopping without patience: the second validation was no better than the first."""
    task = tasks.digits(seed)
    model = conv_net(width=8)
    steps = 30 if "too_few_steps" in has else 900
    optimizer = SGD(model.parameters(), 0.03, momentum=0.9)
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, goal=0.88, steps=0)
    return run.after(steps, "score")
