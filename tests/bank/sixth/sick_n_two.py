"""Sick runs of two faults each."""

import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam

from ..runs import Run, accuracy, batched, explained, stepping, supervised
from . import BANK
from . import tasks_n as tasks
from .nets_n import Deep, DigitNet, GestureNet, Stacked, dense


@BANK.sick("outputs", "double_softmax", "rate_too_low")
def numerals_softmax_and_slow_n(seed, has):
    """A softmax before the cross-entropy, and a rate brought down when it would not learn."""
    train, test = tasks.numerals()
    model = DigitNet(softmax="double_softmax" in has)
    rate = 1e-4 if "rate_too_low" in has else 3e-2
    optimizer = SGD(model.parameters(), lr=rate, momentum=0.9)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 32)
    return Run(model, loss, batches, optimizer, accuracy(test), 0.8, 150).handed(74, "loss")


@BANK.sick("inputs", "unscaled_inputs", "no_activation")
def customers_as_they_are_n(seed, has):
    """Euros and shares side by side, into linear layers with nothing in between."""
    train, test = tasks.customers(scaled="unscaled_inputs" not in has)
    act = None if "no_activation" in has else nn.ReLU
    model = dense(6, 64, 32, 2, act=act)
    optimizer = Adam(model.parameters(), lr=5e-3)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 40)
    return Run(model, loss, batches, optimizer, accuracy(test), 0.76, 300).handed(290, "score")


@BANK.sick("outputs", "relu_on_output", "unscaled_targets")
def profits_in_euros_n(seed, has):
    """Gains and losses in euros, from a net whose last layer has its ReLU as well."""
    train, test = tasks.profits(scaled="unscaled_targets" not in has)
    model = dense(7, 64, 64, 1)
    if "relu_on_output" in has:
        model.append(nn.ReLU())
    optimizer = Adam(model.parameters(), lr=2e-3)
    loss = supervised(nn.MSELoss())
    batches = batched(train, 32)
    return Run(model, loss, batches, optimizer, explained(test), 0.75, 300).handed(0)


@BANK.sick("loss", "broadcasting", "missing_zero_grad")
def mixtures_all_with_all_n(seed, has):
    """A column of outputs against a row of targets, in a loop that never empties the gradients."""
    train, test = tasks.mixtures()
    model = dense(5, 32, 32, 1, act=nn.Tanh)
    optimizer = SGD(model.parameters(), lr=0.03)
    wide = "broadcasting" in has

    def loss(model, batch):
        said = model(batch[0])
        return (said - batch[1] if wide else said.squeeze(1) - batch[1]).square().mean()

    step = stepping(loss, zero="missing_zero_grad" not in has)
    batches = batched(train, 20)
    run = Run(model, loss, batches, optimizer, explained(test), 0.7, 400, step=step)
    return run.handed(0)


@BANK.sick("model", "dropout_too_strong", "weight_decay")
def numerals_held_down_twice_n(seed, has):
    """Against overfitting: most units dropped, and a strong weight decay."""
    train, test = tasks.numerals(900)
    train[0], test[0] = train[0].flatten(1), test[0].flatten(1)
    dropout = 0.75 if "dropout_too_strong" in has else 0.1
    model = dense(64, 64, 64, 64, 10, dropout=dropout)
    decay = 0.022 if "weight_decay" in has else 1e-5
    optimizer = Adam(model.parameters(), lr=2e-3, weight_decay=decay)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 30, ("pixels", "label"))
    return Run(model, loss, batches, optimizer, accuracy(test), 0.85, 300).handed(285, "loss")


@BANK.sick("optimiser", "wrong_parameters", "schedule_to_zero")
def slopes_by_a_list_of_blocks_n(seed, has):
    """The blocks lie in a plain list, and the rate falls with each batch as if with each epoch."""
    train, test = tasks.slopes()
    model = Stacked(8, 20, 1, 3, tracked="wrong_parameters" not in has)
    gamma = 0.85 if "schedule_to_zero" in has else 0.996
    optimizer = Adam(model.parameters(), lr=5e-3)
    loss = supervised(F.mse_loss)
    step = stepping(loss, schedule=lambda done: 5e-3 * gamma**done)
    batches = batched(train, 25)
    run = Run(model, loss, batches, optimizer, explained(test), 0.7, 480, step=step)
    return run.handed(200, "loss")


@BANK.sick("model", "degradation", "clipping_too_tight")
def textures_through_many_layers_n(seed, has):
    """A deep plain net, whose gradients were clipped hard to be on the safe side."""
    train, test = tasks.textures(side=8)
    train[0], test[0] = train[0].flatten(1), test[0].flatten(1)
    model = Deep(64, 40, 4, 12, skip="degradation" not in has)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    loss = supervised(nn.CrossEntropyLoss())
    clip = 1e-3 if "clipping_too_tight" in has else 1.0
    step = stepping(loss, clip=clip)
    batches = batched(train, 30)
    return Run(model, loss, batches, optimizer, accuracy(test), 0.7, 300, step=step).handed(0)


@BANK.sick("model", "mixed_examples", "rate_too_high")
def gestures_reshaped_n(seed, has):
    """The outputs of a GRU, time first, are reshaped to (batch, all); the rate is high."""
    train, test = tasks.gestures()
    model = GestureNet(3, 24, 14, 4, mixed="mixed_examples" in has)
    rate = 0.3 if "rate_too_high" in has else 3e-3
    optimizer = Adam(model.parameters(), lr=rate)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 40)
    run = Run(model, loss, batches, optimizer, accuracy(test), 0.75, 200)
    return run.handed(190, "score")
