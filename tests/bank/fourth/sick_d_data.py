"""Sick runs, one fault each: inputs, targets, labels, and what is minimised."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW, NAdam

from ..runs import accuracy, overlap, stepping, supervised_run, yes_or_no
from . import BANK
from . import tasks_d as tasks
from .nets_d import PatchTransformer, SimpleCNN, WaveNet1d, classed, mlp, valued


@BANK.sick("inputs", "unscaled_inputs")
def tumour_table_straight_from_sklearn(seed, has):
    """Areas in the thousands beside smoothness in hundredths."""
    task = tasks.cancer()
    task = task if "unscaled_inputs" in has else tasks.scaled(task)
    model = mlp(30, 32, 16, 2, act=nn.Sigmoid)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    run = classed(task, model, optimizer, goal=0.94, steps=400, size=20)
    return run.handed(150, "score")


@BANK.sick("labels", "unscaled_targets", also=("rate_too_low",))
def house_prices_in_euros(seed, has):
    task = tasks.scaled(tasks.houses())
    task = task if "unscaled_targets" in has else tasks.scaled(task, 1)
    model = mlp(5, 64, 32, 1)
    optimizer = Adam(model.parameters(), lr=3e-3)
    run = valued(task, model, optimizer, goal=0.88, steps=450, size=50)
    return run.handed(200, "loss")


@BANK.sick("inputs", "not_finite_inputs")
def digits_by_the_deviation_of_each_pixel(seed, has):
    """Corner pixels are 0 in every image: their deviation is 0, and 0/0 is no number."""
    train, test = tasks.digits()
    spread = train[0].std(0) + (0 if "not_finite_inputs" in has else 1)
    task = tasks.mapped(lambda x: (x - train[0].mean(0)) / spread, (train, test))
    model, index = PatchTransformer(), torch.arange(len(train[0]))
    optimizer = AdamW(model.parameters(), lr=3e-3)
    task = (*task[0], index), task[1]
    run = classed(task, model, optimizer, goal=0.9, steps=250, size=40)
    return run.handed(0)


@BANK.sick("inputs", "inputs_destroyed", also=("label_prior",))
def shapes_cast_to_integers_after_scaling(seed, has):
    """Divided by 255, then stored as bytes: all pixels below white are 0."""
    task = tasks.mapped(lambda x: x / 256, tasks.patches())
    if "inputs_destroyed" in has:
        task = tasks.mapped(lambda x: x.to(torch.uint8).float(), task)
    model = SimpleCNN(3, 16, 4, width=8, drop=0.1)
    optimizer = Adam(model.parameters(), lr=3e-3)
    run = classed(task, model, optimizer, goal=0.85, steps=200)
    return run.handed(100, "score")


@BANK.sick("loss", "wrong_loss")
def nll_loss_of_plain_scores(seed, has):
    """`nll_loss` wants log-probabilities; the net gives scores, and the loss falls for ever."""
    faulty = "wrong_loss" in has
    task, model = tasks.tones(), WaveNet1d()
    optimizer = Adam(model.parameters(), lr=5e-3)

    def criterion(out, kind):
        return F.nll_loss(out if faulty else out.log_softmax(1), kind)

    run = supervised_run(task, model, optimizer, criterion, accuracy, goal=0.9, steps=200)
    return run.handed(90, "loss")


def fcn():
    def block(a, b):
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())

    return nn.Sequential(block(1, 8), block(8, 8), nn.Conv2d(8, 1, 1))


@BANK.sick("loss", "loss_sign")
def dice_coefficient_minimised(seed, has):
    """The function that measures Dice serves as the loss."""
    faulty = "loss_sign" in has

    def criterion(out, mask):
        p = torch.sigmoid(out)
        dice = (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1)
        return dice if faulty else 1 - dice

    model = fcn()
    optimizer = Adam(model.parameters(), lr=1e-2)
    more = {"goal": 0.65, "steps": 130, "size": 12, "keys": ("image", "mask")}
    run = supervised_run(tasks.spots(), model, optimizer, criterion, overlap, **more)
    return run.handed(50, "loss")


@BANK.sick("loss", "broadcasting")
def root_mean_square_of_a_column_and_a_row(seed, has):
    """Outputs (N, 1) less prices (N,) are N x N."""
    flat = "broadcasting" in has
    task = tasks.scaled(tasks.scaled(tasks.houses()), 1)
    task = tasks.mapped(lambda y: y[:, 0], task, 1)
    model = mlp(5, 40, 40, 1, act=nn.SiLU)

    def criterion(out, y):
        return torch.sqrt(torch.mean((out - (y if flat else y[:, None])) ** 2))

    optimizer = NAdam(model.parameters(), lr=3e-3)
    run = valued(task, model, optimizer, criterion=criterion, goal=0.88, steps=400)
    return run.handed(400, "loss")


@BANK.sick("labels", "labels_misaligned", also=("label_prior",))
def loud_waves_dropped_but_not_their_labels(seed, has):
    """`X = X[keep]`, and `y = y[:len(X)]`."""
    (waves, kinds), test = tasks.tones()
    keep = waves.abs().amax((1, 2)) < 2.0
    kinds = kinds[: int(keep.sum())] if "labels_misaligned" in has else kinds[keep]
    model = WaveNet1d(norm=True)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    task = (waves[keep], kinds), test
    run = classed(task, model, optimizer, goal=0.78, steps=220, keys=("wave", "kind"))
    return run.handed(90, "score")


@BANK.sick("data", "imbalance", also=("label_prior",))
def one_customer_in_twenty_five_leaves(seed, has):
    """The twin weighs the few who leave by `pos_weight`."""
    weight = None if "imbalance" in has else torch.tensor([24.0])
    model = mlp(6, 32, 32, 1, drop=0.1)
    optimizer = Adam(model.parameters(), lr=2e-3)
    criterion = nn.BCEWithLogitsLoss(pos_weight=weight)
    more = {"goal": 0.75, "steps": 300, "size": 64, "step": partial(stepping, clip=1.0)}
    run = supervised_run(tasks.leavers(), model, optimizer, criterion, yes_or_no, **more)
    return run.handed(150, "loss")
