"""Sick runs, one fault each: the structure of the model, its activations, its start, its norm."""

from functools import partial

from torch import nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from ..runs import stepping
from . import BANK
from . import tasks_d as tasks
from .nets_d import SimpleCNN, TicketNet, classed, mlp, valued


def greys():
    return tasks.mapped(lambda x: x / 16, tasks.digits())


@BANK.sick("model", "too_small")
def digits_squeezed_through_one_unit(seed, has):
    """A "latent" layer of a single unit lies between features and classes."""
    neck = 1 if "too_small" in has else 24
    model = mlp(64, 64, neck, 10, act=nn.LeakyReLU)
    optimizer = Adam(model.parameters(), lr=5e-3)
    run = classed(greys(), model, optimizer, goal=0.92, steps=350)
    return run.handed(175, "loss")


@BANK.sick("model", "degradation", also=("dead_start",))
def twenty_plain_layers_for_a_dial(seed, has):
    """More layers "for a harder task"; no norm, no skips."""
    model = mlp(144, *[48] * (22 if "degradation" in has else 2), 2)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    run = valued(tasks.needles(), model, optimizer, goal=0.85, steps=300, size=50)
    return run.handed(150, "score")


@BANK.sick("model", "dropout_too_strong")
def keep_probability_given_as_dropout(seed, has):
    """0.9 was the probability to keep, in the library that the code was translated from."""
    model = mlp(5, 64, 64, 1, drop=0.9 if "dropout_too_strong" in has else 0.05)
    task = tasks.scaled(tasks.scaled(tasks.houses()), 1)
    optimizer = Adam(model.parameters(), lr=3e-3)
    run = valued(task, model, optimizer, goal=0.88, steps=350, size=64, keys=("x", "price"))
    return run.handed(0)


@BANK.sick("model", "mixed_examples")
def gru_outputs_flattened_time_first(seed, has):
    """(time, batch, features) becomes (batch, rest) by a reshape, with no transpose."""
    model = TicketNet(mixed="mixed_examples" in has)
    optimizer = Adam(model.parameters(), lr=5e-3)
    step = partial(stepping, clip=5.0)
    run = classed(tasks.tickets(), model, optimizer, goal=0.85, steps=200, size=40, step=step)
    return run.handed(80, "loss")


@BANK.sick("outputs", "double_softmax")
def softmax_in_forward_of_digit_net(seed, has):
    last = nn.Softmax(dim=-1) if "double_softmax" in has else None
    model = mlp(64, 100, 50, 10, last=last)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    run = classed(greys(), model, optimizer, goal=0.92, steps=250, keys=("pixel_values", "labels"))
    return run.handed(100, "loss")


@BANK.sick("outputs", "relu_on_output")
def dial_directions_cut_off_at_zero(seed, has):
    """`forward` applies a ReLU to each layer, the last included; cosines go down to -1."""
    model = SimpleCNN(1, 12, 2, width=8)
    if "relu_on_output" in has:
        model = nn.Sequential(model, nn.ReLU())
    optimizer = AdamW(model.parameters(), lr=3e-3)
    run = valued(tasks.needles(), model, optimizer, goal=0.9, steps=180, size=50)
    return run.handed(180, "loss")


@BANK.sick("model", "no_activation")
def rings_by_linear_layers_and_batch_norm(seed, has):
    act = None if "no_activation" in has else nn.ELU
    model = mlp(2, 48, 48, 3, act=act, norm=nn.BatchNorm1d)
    optimizer = RMSprop(model.parameters(), lr=2e-3)
    run = classed(tasks.rings(), model, optimizer, goal=0.9, steps=250)
    return run.handed(125, "score")


@BANK.sick("model", "batchnorm_tiny_batch")
def house_prices_in_twos_under_batch_norm(seed, has):
    """Memory was short once; two examples normed by each other are +1 and -1."""
    model = mlp(5, 48, 48, 1, norm=nn.BatchNorm1d)
    task = tasks.scaled(tasks.scaled(tasks.houses(900)), 1)
    optimizer = Adam(model.parameters(), lr=3e-3)
    size = 2 if "batchnorm_tiny_batch" in has else 32
    run = valued(task, model, optimizer, goal=0.85, steps=500, size=size)
    return run.handed(300, "loss")


@BANK.sick("model", "dead_start")
def weights_of_deviation_one_thousandth(seed, has):
    """A start copied from an old code: all weights near 0, through four layers."""
    model = mlp(64, 40, 40, 40, 10)
    for layer in model if "dead_start" in has else []:
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=1e-3)
            nn.init.zeros_(layer.bias)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    run = classed(greys(), model, optimizer, goal=0.9, steps=400)
    return run.handed(0)
