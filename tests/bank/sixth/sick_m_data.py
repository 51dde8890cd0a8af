"""Sick runs: what goes in, and what is asked for."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam

from ..runs import Run, accuracy, batched, examiner, explained, stepping, supervised, yes_or_no
from . import BANK
from . import tasks_m as tasks
from .nets_m import Mover, Tagger, TextCnn, mlp, pictures


@BANK.sick("inputs", "not_finite_inputs")
def customers_by_the_logarithm_of_their_visits_m(seed, has):
    """`log` of counts, of which a few are 0; it should have been `log1p`."""
    train, test = tasks.visits()
    scale = torch.log if "not_finite_inputs" in has else torch.log1p
    train[0], test[0] = scale(train[0]) - 2.5, scale(test[0]) - 2.5
    model = mlp(6, 32, 32, 3)
    optimizer = Adam(model.parameters(), lr=5e-3)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 24, ("counts", "kind"))
    return Run(model, loss, batches, optimizer, accuracy(test), 0.75, 300).handed(0)


@BANK.sick("labels", "unscaled_targets", also=("rate_too_low",))
def diabetes_in_points_m(seed, has):
    """The progress of the disease as it stands in the table, 25 to 346."""
    train, test = tasks.diabetes()
    if "unscaled_targets" not in has:
        mean, std = train[1].mean(), train[1].std()
        train[1], test[1] = (train[1] - mean) / std, (test[1] - mean) / std
    model = mlp(10, 16, 1, last=nn.Flatten(0))
    optimizer = Adam(model.parameters(), lr=2e-3)
    batches = batched(train, 32)
    loss = supervised(nn.MSELoss())
    run = Run(model, loss, batches, optimizer, explained(test), 0.3, 250)
    return run.handed(240, "loss")


@BANK.sick("labels", "labels_misaligned", also=("label_prior",))
def shapes_without_the_pale_pictures_m(seed, has):
    """The palest pictures are thrown out, and their labels are not."""
    train, test = tasks.shapes()
    images, kinds = train
    bright = images.std((1, 2, 3))
    keep = bright > bright.quantile(0.1)
    kinds = kinds[: keep.sum()] if "labels_misaligned" in has else kinds[keep]
    model = pictures(8, 12, 4)
    optimizer = Adam(model.parameters(), lr=2e-3)
    batches = batched((images[keep], kinds), 32)
    loss = supervised(nn.CrossEntropyLoss())
    return Run(model, loss, batches, optimizer, accuracy(test), 0.8, 200).handed(110, "loss")


@BANK.sick("labels", "label_prior", also=("imbalance", "rate_too_low", "too_few_steps"))
def names_among_many_other_words_m(seed, has):
    """Tags of which nearly all are 0, each word counted alike."""
    train, test = tasks.names()
    model = Tagger(120, 16, 3)
    share = torch.bincount(train[1].flatten()) / train[1].numel()
    weight = None if "label_prior" in has else 1 / share / 3
    optimizer = SGD(model.parameters(), lr=0.08, momentum=0.9)
    loss = supervised(nn.CrossEntropyLoss(weight=weight))

    def number(model):
        right = model(test[0]).argmax(1) == test[1]
        return torch.stack([right[test[1] == k].float().mean() for k in range(3)]).mean()

    batches = batched(train, 32)
    run = Run(model, loss, batches, optimizer, examiner(number), 0.7, 120)
    return run.handed(110, "score")


@BANK.sick("inputs", "unscaled_inputs", "schedule_to_zero")
def sensors_in_the_units_of_the_devices_m(seed, has):
    """Raw readings; and the scheduler, meant for epochs, is called for each batch."""
    train, test = tasks.sensors(raw=True)
    if "unscaled_inputs" not in has:
        train[0], test[0] = tasks.standard(train[0], test[0])
    model = mlp(10, 48, 3)
    optimizer = Adam(model.parameters(), lr=5e-3)
    batches = batched(train, 32)
    every = 5 if "schedule_to_zero" in has else 5 * len(batches)
    loss = supervised(nn.CrossEntropyLoss())
    step = stepping(loss, schedule=lambda done: 5e-3 * 0.3 ** (done // every))
    run = Run(model, loss, batches, optimizer, accuracy(test), 0.8, 400, step=step)
    return run.handed(200, "score")


@BANK.sick("inputs", "inputs_destroyed", "dropout_too_strong", also=("label_prior",))
def topics_by_the_commonest_words_m(seed, has):
    """A vocabulary of the 40 commonest words; and `keep_prob` handed over as `p`."""
    train, test = tasks.reviews()
    if "inputs_destroyed" in has:
        for part in (train, test):
            part[0] = torch.where(part[0] < 70, part[0], 1)
    drop = 0.95 if "dropout_too_strong" in has else 0.05
    model = TextCnn(400, 24, 4, drop)
    optimizer = Adam(model.parameters(), lr=2e-3)

    def loss(model, batch):
        return F.cross_entropy(model(batch["tokens"]), batch["topic"])

    batches = batched(train, 32, ("tokens", "length", "topic"))
    judge = accuracy((test[0], test[2]))
    return Run(model, loss, batches, optimizer, judge, 0.75, 260).handed(0)


@BANK.sick("data", "imbalance", "weight_decay")
def payments_of_which_few_are_fraud_m(seed, has):
    """Three in a hundred are fraud, without a weight; and a decay as if for AdamW."""
    (x, y), test = tasks.payments()
    weight = None if "imbalance" in has else (1 - y.mean()) / y.mean()
    decay = 0.5 if "weight_decay" in has else 1e-5
    model = mlp(8, 32, 16, 1, last=nn.Flatten(0))
    optimizer = Adam(model.parameters(), lr=2e-3, weight_decay=decay)
    loss = supervised(nn.BCEWithLogitsLoss(pos_weight=weight))
    batches = batched((x, y), 64)
    return Run(model, loss, batches, optimizer, yes_or_no(test), 0.75, 350).handed(350, "loss")


@BANK.sick("model", "mixed_examples", "clipping_too_tight")
def walks_by_a_view_m(seed, has):
    """`reshape` where the axes should have changed places; and gradients clipped to a hair."""
    train, test = tasks.walks()
    model = Mover(32, 4, view="mixed_examples" in has)
    optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9)
    loss = supervised(nn.CrossEntropyLoss())
    step = stepping(loss, clip=5e-3 if "clipping_too_tight" in has else 1.0)
    batches = batched(train, 40)
    run = Run(model, loss, batches, optimizer, accuracy(test), 0.8, 200, step=step)
    return run.handed(100, "loss")
