"""Sick runs with two faults each, on tables and curves; either alone keeps a run from its goal."""

import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from ..runs import accuracy, explained, supervised_run, yes_or_no
from . import BANK
from . import tasks_e as tasks
from .nets_e import Blocks, stack

bce = F.binary_cross_entropy_with_logits


@BANK.sick("inputs", "unscaled_inputs", "too_few_steps")
def power_plant_in_pascals_for_an_epoch(seed, has):
    model = stack(4, 48, 24, 1)
    run = supervised_run(
        *(tasks.plant("unscaled_inputs" in has), model, Adam(model.parameters(), 3e-3)),
        *(F.mse_loss, explained),
        goal=0.9,
        steps=31 if "too_few_steps" in has else 620,
    )
    return run.handed(run.steps, "score")


@BANK.sick("loss", "unscaled_targets", "broadcasting", also=("rate_too_low",))
def house_prices_in_dollars_as_a_flat_vector(seed, has):
    """The prices are (N,), the outputs (N, 1); and a price is 210,000."""

    def criterion(out, price):
        return F.mse_loss(out, price if "broadcasting" in has else price.unsqueeze(1))

    model = stack(5, 64, 32, 1)
    run = supervised_run(
        *(tasks.houses("unscaled_targets" in has), model, Adam(model.parameters(), 2e-3)),
        *(criterion, explained),
        goal=0.85,
        steps=560,
        keys=("features", "price"),
    )
    return run.handed(56, "loss")


@BANK.sick("model", "no_activation", "too_small")
def sine_fitted_by_two_linear_units(seed, has):
    width = 2 if "too_small" in has else 40
    model = stack(1, width, width, 1, act=None if "no_activation" in has else nn.Tanh)
    run = supervised_run(
        *(tasks.waveform(), model, Adam(model.parameters(), 1e-2), F.mse_loss, explained),
        goal=0.92,
        steps=600,
        size=50,
    )
    return run.handed(300, "loss")


@BANK.sick("data", "imbalance", "unscaled_inputs", also=("label_prior",))
def rare_card_frauds_with_seconds_and_amounts(seed, has):
    """The table as downloaded: a column of seconds, one of amounts, and a fraud in a hundred."""
    task = tasks.payments(0.01 if "imbalance" in has else 0.5, raw="unscaled_inputs" in has)
    model = stack(9, 40, 20, 1, drop=0.1)
    run = supervised_run(
        *(task, model, AdamW(model.parameters(), 1e-3), bce, yes_or_no),
        goal=0.86,
        steps=480,
        size=50,
    )
    return run.handed(40, "loss")


@BANK.sick("loss", "wrong_loss", "too_few_steps", also=("rate_too_low",))
def credit_risks_of_one_and_two_for_an_epoch(seed, has):
    """Good is 1 and bad is 2, as in the file, under a loss that wants 0 and 1."""
    (table, risk), test = tasks.credits()
    task = (table, risk + 1 if "wrong_loss" in has else risk), test
    model = stack(6, 32, 32, 1, act=nn.LeakyReLU)
    run = supervised_run(
        *(task, model, RMSprop(model.parameters(), 1e-3), bce, yes_or_no),
        goal=0.85,
        steps=25 if "too_few_steps" in has else 500,
        size=40,
    )
    return run.handed(run.steps, "loss")


@BANK.sick("model", "degradation", "dead_start", also=("label_prior", "rate_too_low"))
def rings_through_many_layers_of_tiny_weights(seed, has):
    """All weights drawn with a deviation of 1e-6, and no way around the layers."""
    model = Blocks(24, skips="degradation" not in has)
    if "dead_start" in has:
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=1e-6)
    optimizer = SGD(model.parameters(), 0.05, momentum=0.9)
    run = supervised_run(
        *(tasks.rings(), model, optimizer, F.cross_entropy, accuracy),
        goal=0.93,
        steps=300,
        size=50,
    )
    return run.handed(0)


@BANK.sick("outputs", "relu_on_output", "batchnorm_tiny_batch")
def plant_in_pairs_with_batchnorm_and_a_last_relu(seed, has):
    """Standardised power is below zero half of the time; and the batches are of two."""
    model = stack(4, 48, 24, 1, norm=True)
    if "relu_on_output" in has:
        model.append(nn.ReLU())
    run = supervised_run(
        *(tasks.plant(False, 160), model, Adam(model.parameters(), 5e-3), F.mse_loss, explained),
        goal=0.75,
        steps=500,
        size=2 if "batchnorm_tiny_batch" in has else 16,
        keys=("sensors", "power"),
    )
    return run.handed(250, "score")
