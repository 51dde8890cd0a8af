"""Sick runs with two faults each, on sequences, pairs and graphs; either alone is enough."""

from functools import partial

import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam

from ..runs import accuracy, examiner, explained, stepping, supervised_run
from . import BANK
from . import tasks_e as tasks
from .nets_e import Conv1d, Factors, Forecast, GraphNet, Notes, dense


@BANK.sick("model", "dropout_too_strong", "too_small")
def motifs_in_dna_by_one_filter(seed, has):
    drop = 0.95 if "dropout_too_strong" in has else 0.1
    model = Conv1d(4, 1 if "too_small" in has else 12, 5, drop)
    run = supervised_run(
        *(tasks.motifs(), model, Adam(model.parameters(), 1e-2), F.cross_entropy, accuracy),
        goal=0.9,
        steps=300,
    )
    return run.handed(300, "score")


@BANK.sick("optimiser", "clipping_too_tight", "rate_too_low")
def sales_clipped_for_safety_at_a_low_rate(seed, has):
    model = Forecast()
    optimizer = SGD(model.parameters(), 1e-4 if "rate_too_low" in has else 0.1, momentum=0.9)
    run = supervised_run(
        *(tasks.sales(), model, optimizer, F.mse_loss, explained),
        goal=0.85,
        steps=300,
        step=partial(stepping, clip=1e-3 if "clipping_too_tight" in has else 1.0),
    )
    return run.handed(60, "loss")


@BANK.sick("loop", "missing_zero_grad", "rate_too_high")
def melodies_with_gradients_of_all_bars(seed, has):
    model = Notes()
    optimizer = SGD(model.parameters(), 30.0 if "rate_too_high" in has else 0.3, momentum=0.9)
    run = supervised_run(
        *(tasks.melodies(), model, optimizer, F.cross_entropy),
        partial(accuracy, ignore=-100),
        goal=0.8,
        steps=400,
        keys=("notes", "next"),
        step=partial(stepping, zero="missing_zero_grad" not in has),
    )
    return run.handed(90, "loss")


@BANK.sick("optimiser", "weight_decay", "rate_too_low")
def heartbeats_decayed_and_slow(seed, has):
    model = Conv1d(1, 24, 4)
    optimizer = Adam(
        model.parameters(),
        lr=1e-6 if "rate_too_low" in has else 5e-3,
        weight_decay=1.0 if "weight_decay" in has else 1e-4,
    )
    run = supervised_run(
        *(tasks.beats(), model, optimizer, F.cross_entropy, accuracy), goal=0.85, steps=300
    )
    return run.handed(100)


@BANK.sick("loss", "loss_sign", "adam_epsilon", also=("rate_too_low",))
def likes_ranked_upside_down(seed, has):
    """The pairwise log-likelihood itself is minimised, and Adam's epsilon is 1."""
    sign = 1 if "loss_sign" in has else -1
    model = Factors()
    optimizer = Adam(model.parameters(), 1e-2, eps=1.0 if "adam_epsilon" in has else 1e-8)

    def loss(model, batch):
        user, liked, other = batch
        return sign * F.logsigmoid(model(user, liked) - model(user, other)).mean()

    def judge(test):
        user, liked, other = test
        return examiner(lambda model: (model(user, liked) > model(user, other)).float().mean())

    run = supervised_run(
        *(tasks.likes(), model, optimizer, F.mse_loss, judge),
        goal=0.85,
        steps=500,
        size=64,
        loss=loss,
    )
    return run.handed(96, "loss")


@BANK.sick("inputs", "inputs_destroyed", "too_few_steps")
def bearings_normed_one_by_one_for_an_epoch(seed, has):
    """Each signal is divided by its own deviation, but the deviation tells the class."""
    task, model = tasks.vibrations(normed="inputs_destroyed" in has), Conv1d(1, 16, 4)
    run = supervised_run(
        *(task, model, Adam(model.parameters(), 3e-3), F.cross_entropy, accuracy),
        goal=0.9,
        steps=21 if "too_few_steps" in has else 420,
        size=30,
        keys=("signal", "state"),
    )
    return run.handed(run.steps, "loss")


@BANK.sick("labels", "labels_misaligned", "detached", also=("label_prior",))
def molecules_of_another_list_as_plain_numbers(seed, has):
    """The labels are five entries on; the nodes' features come as lists, with no graph."""
    model = GraphNet(listed="detached" in has)
    optimizer = SGD(model.parameters(), 0.1, momentum=0.9)

    def loss(model, batch):
        *graph, kind = batch
        return F.cross_entropy(model(*graph), kind)

    def judge(test):
        *graph, kind = test
        return examiner(lambda model: (model(*graph).argmax(1) == kind).float().mean())

    task = tasks.molecules()
    task = tasks.shifted_labels(task, 5) if "labels_misaligned" in has else task
    run = supervised_run(
        *(task, model, optimizer, F.mse_loss, judge),
        goal=0.83,
        steps=700,
        loss=loss,
    )
    return run.handed(152, "loss")


@BANK.sick("optimiser", "wrong_parameters", "no_activation")
def bearing_head_trained_on_linear_features(seed, has):
    """A backbone that was never trained before is left out as if it had been."""
    act = None if "no_activation" in has else nn.ReLU
    backbone, head = dense(32, 24, 24, act=act), nn.Linear(24, 4)
    parts = [act()] if act else []
    model = nn.Sequential(nn.Flatten(), backbone, *parts, head)
    optimizer = Adam((head if "wrong_parameters" in has else model).parameters(), 5e-3)
    run = supervised_run(
        *(tasks.vibrations(), model, optimizer, F.cross_entropy, accuracy), goal=0.85, steps=780
    )
    return run.handed(780, "score")
