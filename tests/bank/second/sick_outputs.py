"""Sick runs whose fault lies in the outputs or the loss."""

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam

from ..runs import (
    accuracy,
    examiner,
    explained,
    overlap,
    supervised_run,
    unpacked,
    yes_or_no,
)
from . import BANK, tasks
from .nets import UNet, conv_net, mlp


def negated_mean(loss, batches):
    """The number on the screen, a mean of the loss over all batches, as a score."""
    return examiner(lambda model: -sum(loss(model, batch) for batch in batches) / len(batches))


def printing(run, honest_goal):
    """`run`, judged by the loss that it prints; its former judge becomes the honest one."""
    number = negated_mean(run.loss, run.batches)
    fields = {"examine": number, "honest": run.examine, "honest_goal": honest_goal}
    return replace(run, **fields)


@BANK.sick("outputs", "double_softmax", lies=True)
def floor_of_softmax(seed, has):
    """Adam gets there all the same, but the loss stays above ln(1 + 9/e) = 1.461."""
    model = conv_net()
    if "double_softmax" in has:
        model.append(nn.Softmax(1))
    optimizer = Adam(model.parameters(), 5e-3)
    run = supervised_run(
        tasks.digits(seed), model, optimizer, F.cross_entropy, accuracy, goal=-0.4, steps=150
    )
    return printing(run, honest_goal=0.85).after(400, "loss")


@BANK.sick("outputs", "double_softmax")
def sigmoid_into_logits(seed, has):
    """A sigmoid, then a loss that wants logits."""
    model = mlp(12, 16, 1)
    if "double_softmax" in has:
        model.append(nn.Sigmoid())
    threshold = 0.5 if "double_softmax" in has else 0.0
    run = supervised_run(
        tasks.rare(2000, share=0.2),
        model,
        SGD(model.parameters(), 0.1, momentum=0.9),
        F.binary_cross_entropy_with_logits,
        lambda test: yes_or_no(test, threshold),
        goal=0.7,
        steps=200,
        keys=("inputs", "targets"),
    )
    return run.after(60, "loss")


@BANK.sick("outputs", "relu_on_output")
def standardised_but_positive(seed, has):
    """Targets have mean 0, outputs cannot be negative."""
    model = mlp(10, 48, 1)
    if "relu_on_output" in has:
        model.append(nn.ReLU())
    optimizer = Adam(model.parameters(), 5e-3)
    run = supervised_run(
        tasks.friedman(), model, optimizer, F.mse_loss, explained, goal=0.85, steps=400
    )
    return run.after(150, "loss")


def clipped_entropy(probability: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy by hand, clipped against log 0."""
    p = probability.clamp(1e-6, 1 - 1e-6)
    return -(target * p.log() + (1 - target) * (1 - p).log()).mean()


@BANK.sick("loss", "clipped_probabilities", also=("dead_start",))
def sure_from_the_start(seed, has):
    """Weights from N(0, 1): the first sigmoid is 0 or 1, beyond the clip, where slopes are 0."""
    model = mlp(64, 64, 64, 2)
    if "clipped_probabilities" in has:
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=3)
        model.append(nn.Sigmoid())

    def criterion(out, labels):
        target = F.one_hot(labels % 2, 2).float()
        if "clipped_probabilities" in has:
            return clipped_entropy(out, target)
        return F.binary_cross_entropy_with_logits(out, target)

    (train, labels), (test, test_labels) = tasks.digits(seed)
    task = (train, labels), (test, test_labels % 2)
    optimizer = SGD(model.parameters(), 0.05, momentum=0.9)
    run = supervised_run(task, model, optimizer, criterion, accuracy, goal=0.9, steps=300)
    return run.after(0 if seed % 2 else 40, None if seed % 2 else "loss")


@BANK.sick("loss", "clipped_probabilities", also=("label_prior",))
def background_beyond_the_clip(seed, has):
    """A bias of -20 for the rare foreground: the clip takes the gradient of every pixel."""
    model = UNet()
    faulty = "clipped_probabilities" in has
    nn.init.constant_(model.out[-1].bias, -20.0 if faulty else -2.0)

    def criterion(out, mask):
        return clipped_entropy(out.sigmoid(), mask)

    optimizer = Adam(model.parameters(), 5e-3)
    run = supervised_run(
        tasks.discs(), model, optimizer, criterion, overlap, goal=0.6, steps=150, size=16
    )
    return run.after(30, "loss")


@BANK.sick("loss", "wrong_loss")
def nll_of_raw_logits(seed, has):
    """`nll_loss` wants log-probabilities; of raw logits it falls below zero without end."""
    model = conv_net()
    criterion = F.nll_loss if "wrong_loss" in has else F.cross_entropy
    optimizer = Adam(model.parameters(), 5e-3)
    run = supervised_run(
        tasks.digits(seed), model, optimizer, criterion, accuracy, goal=0.88, steps=400
    )
    return run.after(50, "loss")


@BANK.sick("loss", "wrong_loss")
def entropy_for_a_number(seed, has):
    """A classifier's loss on targets that are standardised numbers."""
    model = mlp(4, 32, 1)
    criterion = F.binary_cross_entropy_with_logits if "wrong_loss" in has else F.mse_loss
    run = supervised_run(
        tasks.houses(),
        model,
        Adam(model.parameters(), 5e-3),
        criterion,
        explained,
        goal=0.8,
        steps=300,
        keys=("inputs", "targets"),
    )
    return run.after(80, "loss")


@BANK.sick("loss", "loss_sign")
def dice_goes_down(seed, has):
    """The Dice coefficient is returned as a loss, without `1 -`."""
    model = UNet()

    def criterion(out, mask):
        p = out.sigmoid()
        dice = (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1)
        return dice if "loss_sign" in has else 1 - dice

    optimizer = Adam(model.parameters(), 5e-3)
    run = supervised_run(
        tasks.discs(), model, optimizer, criterion, overlap, goal=0.6, steps=200, size=16
    )
    return run.after(40, "loss")


@BANK.sick("loss", "broadcasting")
def column_against_row(seed, has):
    (inputs, targets), test = tasks.friedman()
    targets = targets[:, 0] if "broadcasting" in has else targets

    def squares(out, target):  # by hand, which warns of nothing
        return (out - target).square().mean()

    model = mlp(10, 48, 1)
    run = supervised_run(
        ((inputs, targets), test),
        model,
        Adam(model.parameters(), 5e-3),
        squares,
        explained,
        goal=0.85,
        steps=400,
        keys=("inputs", "targets"),
    )
    return run.after(100, "loss")


def with_penalty(criterion, strength: float):
    """`criterion` plus `strength` times the sum of all squared parameters."""

    def loss(model, batch):
        inputs, targets = unpacked(batch)[:2]
        penalty = sum(p.square().sum() for p in model.parameters())
        return criterion(model(inputs), targets) + strength * penalty

    return loss


@BANK.sick("loss", "penalty_in_loss", lies=True)
def plateau_of_weights(seed, has):
    """At 95 % right the printed loss does not fall below 1: it is the penalty's."""
    model = conv_net(width=16, norm="batch")
    task, optimizer = tasks.digits(seed), Adam(model.parameters(), 3e-3)
    loss = with_penalty(F.cross_entropy, 1e-2) if "penalty_in_loss" in has else None
    run = supervised_run(
        task, model, optimizer, F.cross_entropy, accuracy, goal=-0.25, steps=100, loss=loss
    )
    return printing(run, honest_goal=0.9).after(300, "loss")


@BANK.sick("loss", "penalty_in_loss", lies=True)
def penalty_on_prices(seed, has):
    model = mlp(4, 64, 64, 1)
    task, optimizer = tasks.houses(), Adam(model.parameters(), 3e-3)
    loss = with_penalty(F.mse_loss, 4e-2) if "penalty_in_loss" in has else None
    run = supervised_run(
        task, model, optimizer, F.mse_loss, explained, goal=-0.15, steps=100, loss=loss
    )
    return printing(run, honest_goal=0.85).after(300, "loss")
