"""Sick runs with two faults each, on tables; either alone keeps the run from its goal."""

import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from ..runs import accuracy, explained, supervised_run, yes_or_no
from . import BANK
from . import tasks_e as tasks
from .nets_e import Residual, Scratch, dense

with_logits = F.binary_cross_entropy_with_logits


@BANK.sick("inputs", "unscaled_inputs", "double_softmax")
def churn_raw_columns_sigmoid_under_logits_loss(seed, has):
    model = dense(4, 32, 16, 1)
    if "double_softmax" in has:
        model.append(nn.Sigmoid())
    task = tasks.customers(raw="unscaled_inputs" in has)
    run = supervised_run(
        *(task, model, Adam(model.parameters(), 2e-3), with_logits, yes_or_no), goal=0.85, steps=450
    )
    return run.handed(66, "loss")


@BANK.sick("loss", "unscaled_inputs", "broadcasting")
def concrete_raw_against_flat_strengths(seed, has):
    """The table as it is in the file; outputs (N, 1) against targets (N,)."""

    def criterion(out, y):
        return F.mse_loss(out if "broadcasting" in has else out[:, 0], y)

    model = dense(4, 24, 24, 1, act=nn.Tanh)
    task = tasks.concrete(raw="unscaled_inputs" in has)
    run = supervised_run(
        *(task, model, RMSprop(model.parameters(), 3e-3), criterion, explained),
        goal=0.9,
        steps=400,
        size=25,
        keys=("features", "strength"),
    )
    return run.handed(112, "loss")


@BANK.sick("outputs", "relu_on_output", "unscaled_targets", also=("rate_too_low",))
def profit_in_dollars_through_relu(seed, has):
    """Profits can be losses; a ReLU ends the net, and the targets are thousands."""
    model = dense(4, 32, 32, 1, act=nn.ELU)
    if "relu_on_output" in has:
        model.append(nn.ReLU())
    task = tasks.shops(raw="unscaled_targets" in has)
    run = supervised_run(
        *(task, model, Adam(model.parameters(), 4e-3), F.mse_loss, explained), goal=0.85, steps=400
    )
    return run.handed(200, "score")


@BANK.sick("data", "imbalance", "double_softmax", also=("label_prior",))
def frauds_one_in_fifty_through_sigmoid_twice(seed, has):
    model = dense(8, 32, 1, drop=0.1)
    if "double_softmax" in has:
        model.append(nn.Sigmoid())
    task = tasks.frauds(0.02 if "imbalance" in has else 0.5)
    run = supervised_run(
        *(task, model, Adam(model.parameters(), 3e-3), with_logits, yes_or_no),
        goal=0.87,
        steps=320,
        size=64,
        keys=("x", "y"),
    )
    return run.handed(160, "loss")


@BANK.sick("model", "no_activation", "too_few_steps")
def spirals_in_linear_layers_for_one_epoch(seed, has):
    model = dense(2, 64, 64, 3, act=None if "no_activation" in has else nn.Tanh)
    run = supervised_run(
        *(tasks.spirals(), model, AdamW(model.parameters(), 3e-3), F.cross_entropy, accuracy),
        goal=0.95,
        steps=26 if "too_few_steps" in has else 780,
    )
    return run.handed(run.steps, "score")


@BANK.sick("loss", "wrong_loss", "unscaled_inputs")
def cross_entropy_of_one_output_raw_columns(seed, has):
    """Softmax over a single output is 1: the loss is 0, whatever the net says."""
    model = dense(4, 24, 24, 1, act=nn.LeakyReLU)
    criterion = F.cross_entropy if "wrong_loss" in has else with_logits
    task = tasks.customers(raw="unscaled_inputs" in has)
    run = supervised_run(
        *(task, model, SGD(model.parameters(), 0.05, momentum=0.9), criterion, yes_or_no),
        goal=0.87,
        steps=800,
        size=50,
    )
    return run.handed(0)


@BANK.sick("inputs", "not_finite_inputs", "unscaled_targets", also=("rate_too_low",))
def logarithm_of_no_income_rents_in_euros(seed, has):
    task = tasks.households("unscaled_targets" in has, zeros="not_finite_inputs" in has)
    model = dense(3, 32, 32, 1)
    run = supervised_run(
        *(task, model, Adam(model.parameters(), 3e-3), F.mse_loss, explained),
        goal=0.9,
        steps=400,
        size=20,
        keys=("household", "rent"),
    )
    return run.handed(42, "loss")


@BANK.sick("model", "degradation", "double_softmax", also=("rate_too_low",))
def thirty_plain_layers_and_a_softmax(seed, has):
    model = Residual(2, 32, 30, 3, skips="degradation" not in has)
    if "double_softmax" in has:
        model = nn.Sequential(model, nn.Softmax(dim=1))
    optimizer = SGD(model.parameters(), 0.05)
    run = supervised_run(
        *(tasks.spirals(), model, optimizer, F.cross_entropy, accuracy), goal=0.9, steps=400
    )
    return run.handed(0)


@BANK.sick("data", "imbalance", "clipped_probabilities", also=("dead_start", "label_prior"))
def own_log_loss_clipped_on_rare_frauds(seed, has):
    """A net from scratch of normal numbers: its sigmoids lie beyond the clip from the start."""

    def log_loss(z, y):
        p = z.sigmoid().clamp(0.01, 0.99)
        return -(y * p.log() + (1 - y) * (1 - p).log()).mean()

    model = Scratch(8, 128, 3.0 if "clipped_probabilities" in has else 0.1)
    task = tasks.frauds(0.02 if "imbalance" in has else 0.5)
    run = supervised_run(
        *(task, model, SGD(model.parameters(), 0.1), log_loss, yes_or_no),
        goal=0.87,
        steps=400,
        size=64,
    )
    return run.handed(64, "loss")


@BANK.sick("loss", "wrong_loss", "dropout_too_strong")
def poisson_loss_of_standardised_hires(seed, has):
    """Counts, so `poisson_nll_loss`; but they were standardised, and half are below zero."""
    model = dense(3, 48, 48, 1, drop=0.9 if "dropout_too_strong" in has else 0.0)
    criterion = F.poisson_nll_loss if "wrong_loss" in has else F.mse_loss
    run = supervised_run(
        *(tasks.bikes(), model, Adam(model.parameters(), 5e-3), criterion, explained),
        goal=0.8,
        steps=450,
    )
    return run.handed(225, "loss")


@BANK.sick("loss", "wrong_loss", "rate_too_high")
def softmax_loss_for_films_of_several_genres(seed, has):
    """Of several genres the first is taken for the class, as the loss wants just one."""

    def criterion(out, y):
        return F.cross_entropy(out, y.argmax(1)) if "wrong_loss" in has else with_logits(out, y)

    model = dense(30, 64, 6)
    optimizer = Adam(model.parameters(), 3.0 if "rate_too_high" in has else 3e-3)
    run = supervised_run(
        *(tasks.genres(), model, optimizer, criterion, yes_or_no), goal=0.85, steps=312
    )
    return run.handed(104, "score")
