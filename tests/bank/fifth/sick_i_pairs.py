"""Sick runs of two faults each."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from ..runs import Run, accuracy, batched, explained, overlap, stepping, supervised, yes_or_no
from . import BANK
from . import tasks_i as tasks
from .nets_i import Basket, Factors, GraphNet, Painter, dense, r_squared


@BANK.sick("inputs", "unscaled_inputs", "unscaled_targets", also=("rate_too_low",))
def rents_as_they_are_in_the_table_i(seed, has):
    """Square metres, years and metres go in; euros shall come out."""
    (x, y), (x_test, y_test) = tasks.rents()
    if "unscaled_inputs" not in has:
        x, x_test = tasks.scaled(x, x_test)
    if "unscaled_targets" not in has:
        y, y_test = tasks.scaled(y, y_test)
    model = dense(6, 48, 48, 1)
    optimizer = Adam(model.parameters(), lr=3e-3)
    loss = supervised(F.mse_loss)
    batches = batched((x, y), 40)
    run = Run(model, loss, batches, optimizer, explained((x_test, y_test)), 0.88, 400)
    return run.handed(0)


@BANK.sick("outputs", "double_softmax", "rate_too_low")
def baskets_by_probabilities_and_a_small_rate_i(seed, has):
    """The net ends in a softmax; its loss did not fall well, so the rate was lowered."""
    (ids, _, label), (test, _, test_label) = tasks.baskets()
    model = Basket(80, 24, 32, 6, 0.1)
    if "double_softmax" in has:
        model = nn.Sequential(model, nn.Softmax(dim=1))
    rate = 5e-4 if "rate_too_low" in has else 0.05
    optimizer = SGD(model.parameters(), lr=rate, momentum=0.9)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched((ids, label), 40, ("items", "customer"))
    examine = accuracy((test, test_label))
    return Run(model, loss, batches, optimizer, examine, 0.78, 200).handed(190, "score")


@BANK.sick("optimiser", "detached", "wrong_parameters")
def factors_of_users_and_items_i(seed, has):
    """The users' factors are read by `.data`; the items' are not given to the optimiser."""
    (who, what, rating), test = tasks.ratings()
    model = Factors(120, 70, 8, frozen="detached" in has)
    given = [model.users, model.user_bias, model.item_bias]
    given += [] if "wrong_parameters" in has else [model.items]
    optimizer = Adam([p for part in given for p in part.parameters()], lr=2e-2)

    def loss(model, batch):
        return F.mse_loss(model(batch["user"], batch["item"]), batch["rating"])

    batches = batched((who, what, rating), 250, ("user", "item", "rating"))
    examine = r_squared(test[:2], test[2])
    return Run(model, loss, batches, optimizer, examine, 0.7, 400).handed(120)


@BANK.sick("loop", "missing_zero_grad", "rate_too_high")
def discs_by_gradients_that_add_up_i(seed, has):
    """A loop without `zero_grad`, and a rate of another net."""
    train, test = tasks.scenes()
    train[1], test[1] = ((part[1] > 0).float()[:, None] for part in (train, test))
    model = Painter(1, 8, 1)
    rate = 5.0 if "rate_too_high" in has else 0.3
    optimizer = SGD(model.parameters(), lr=rate, momentum=0.9)
    loss = supervised(F.binary_cross_entropy_with_logits)
    step = stepping(loss, zero="missing_zero_grad" not in has)
    run = Run(model, loss, batched(train, 25), optimizer, overlap(test), 0.65, 200, step=step)
    return run.handed(0)


@BANK.sick("labels", "imbalance", "too_few_steps", also=("label_prior",))
def few_frauds_in_a_short_run_i(seed, has):
    """Three payments in a hundred are frauds; a part of an epoch, and no weight for them."""
    train, test = tasks.frauds()
    weight = None if "imbalance" in has else torch.tensor(25.0)
    loss = supervised(nn.BCEWithLogitsLoss(pos_weight=weight))
    train[1], test[1] = train[1][:, None], test[1][:, None]
    model = dense(8, 48, 48, 1)
    optimizer = Adam(model.parameters(), lr=1e-3)
    steps = 15 if "too_few_steps" in has else 300
    batches = batched(train, 64)
    run = Run(model, loss, batches, optimizer, yes_or_no(test), 0.83, steps)
    return run.handed(steps, "loss")


@BANK.sick("model", "dropout_too_strong", "too_small")
def baskets_through_a_narrow_noisy_layer_i(seed, has):
    """Against overfitting: fewer units, and more dropout."""
    (ids, _, label), (test, _, test_label) = tasks.baskets()
    drop = 0.9 if "dropout_too_strong" in has else 0.1
    hidden = 2 if "too_small" in has else 32
    model = Basket(80, 24, hidden, 6, drop)
    optimizer = AdamW(model.parameters(), lr=8e-3)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched((ids, label), 50)
    examine = accuracy((test, test_label))
    return Run(model, loss, batches, optimizer, examine, 0.8, 200).handed(0)


@BANK.sick("loop", "clipping_too_tight", "schedule_to_zero")
def energies_with_a_leash_and_a_stop_i(seed, has):
    """The norm is clipped to 0.005; the schedule decays by the step, not by the epoch."""
    train, test = tasks.molecules()
    model = GraphNet(width=32)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)

    def loss(model, batch):
        *graph, energy = batch
        return F.mse_loss(model(*graph).squeeze(1), energy)

    batches = batched(train, 50)
    every = 1 if "schedule_to_zero" in has else len(batches)
    clip = 0.005 if "clipping_too_tight" in has else 5.0
    step = stepping(loss, clip=clip, schedule=lambda i: 0.05 * 0.9 ** (i // every))
    examine = r_squared(test[:3], test[3])
    return Run(model, loss, batches, optimizer, examine, 0.85, 400, step=step).handed(150, "score")


@BANK.sick("loss", "broadcasting", "no_activation")
def friedman_by_columns_and_rows_i(seed, has):
    """Outputs (N, 1), targets (N,); and no activation between the linear layers."""
    train, test = tasks.friedman()
    act = None if "no_activation" in has else nn.ReLU
    model = dense(10, 48, 48, 1, act=act)
    optimizer = RMSprop(model.parameters(), lr=2e-3)

    def loss(model, batch):
        x, y = batch
        out = model(x) if "broadcasting" in has else model(x).squeeze(1)
        return ((out - y) ** 2).mean()

    batches = batched(train, 32)
    return Run(model, loss, batches, optimizer, explained(test), 0.82, 350).handed(340, "loss")
