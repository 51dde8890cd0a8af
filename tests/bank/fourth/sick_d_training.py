"""Sick runs, one fault each: steps, rate, optimiser, loop."""

from copy import deepcopy
from functools import partial

from torch import nn
from torch.optim import SGD, Adam, AdamW

from ..runs import stepping
from . import BANK
from . import tasks_d as tasks
from .nets_d import PatchTransformer, SimpleCNN, TicketNet, WaveNet1d, classed, mlp, valued


def pictures():
    return tasks.mapped(lambda x: x / 127.5 - 1, tasks.patches())


@BANK.sick("loop", "too_few_steps")
def shapes_after_one_epoch(seed, has):
    model = SimpleCNN(3, 16, 4, width=8, norm=True)
    optimizer = SGD(model.parameters(), lr=0.02, momentum=0.9)
    run = classed(pictures(), model, optimizer, goal=0.88, steps=0, size=50)
    return run.after(20 if "too_few_steps" in has else 160, "loss")


@BANK.sick("optimiser", "rate_too_high")
def transformer_on_digits_at_a_tenth(seed, has):
    model = PatchTransformer()
    optimizer = AdamW(model.parameters(), lr=0.1 if "rate_too_high" in has else 3e-3)
    task = tasks.mapped(lambda x: x / 16 - 0.5, tasks.digits())
    run = classed(task, model, optimizer, goal=0.9, steps=250, size=40)
    return run.handed(120, "loss")


@BANK.sick("optimiser", "rate_too_low")
def sgd_at_a_hundred_thousandth(seed, has):
    model = TicketNet(hidden=12)
    rate = 1e-5 if "rate_too_low" in has else 0.1
    optimizer = SGD(model.parameters(), lr=rate, momentum=0.9)
    run = classed(tasks.tickets(), model, optimizer, goal=0.82, steps=300, step=stepping)
    return run.handed(250, "score")


@BANK.sick("optimiser", "weight_decay")
def adam_with_l2_of_three_tenths(seed, has):
    """In Adam itself the decay is divided by the gradient's size, and so outweighs it."""
    model = WaveNet1d()
    decay = 0.3 if "weight_decay" in has else 1e-4
    optimizer = Adam(model.parameters(), lr=5e-3, weight_decay=decay)
    run = classed(tasks.tones(), model, optimizer, goal=0.88, steps=170, size=40)
    return run.handed(100, "loss")


@BANK.sick("optimiser", "wrong_parameters")
def optimiser_of_the_model_before(seed, has):
    """The cell that makes the model was run again, the optimiser's was not."""
    model = mlp(5, 64, 64, 1, act=nn.GELU)
    old = deepcopy(model) if "wrong_parameters" in has else model
    optimizer = Adam(old.parameters(), lr=3e-3)
    task = tasks.scaled(tasks.scaled(tasks.houses()), 1)
    run = valued(task, model, optimizer, goal=0.88, steps=300, keys=("features", "target"))
    return run.handed(0)


@BANK.sick("loop", "missing_zero_grad")
def shapes_without_zero_grad(seed, has):
    model = SimpleCNN(3, 16, 4, width=8)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    step = partial(stepping, zero="missing_zero_grad" not in has)
    run = classed(pictures(), model, optimizer, goal=0.85, steps=150, step=step)
    return run.handed(34, "loss")
