"""Sick runs, one fault each: inputs, labels, data."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW

from ..runs import Run, accuracy, batched, examiner, explained, stepping, supervised, yes_or_no
from . import BANK
from . import tasks_n as tasks
from .nets_n import CallNet, Forecaster, PostReader, TopicNet, dense


@BANK.sick("inputs", "not_finite_inputs")
def power_use_with_gaps_n(seed, has):
    """The meter was silent now and then: a few readings are NaN, and nobody filled them in."""
    (x, y), test = tasks.consumption()
    silent = torch.rand(x.shape) < 0.0005
    x = x.masked_fill(silent, float("nan"))
    if "not_finite_inputs" not in has:
        x = x.nan_to_num(0.0)
    model = Forecaster(24)
    optimizer = Adam(model.parameters(), lr=1e-2)
    loss = supervised(nn.MSELoss())
    run = Run(model, loss, batched((x, y), 32), optimizer, explained(test), 0.75, 120)
    return run.handed(0)


@BANK.sick("inputs", "inputs_destroyed", also=("label_prior",))
def posts_of_unknown_words_n(seed, has):
    """The vocabulary keeps the twenty most frequent words; the others become <unk>."""
    train, test = tasks.posts()
    if "inputs_destroyed" in has:
        for part in (train, test):
            part[0] = part[0].clamp(max=20)
    model = TopicNet(200, 24, 4)
    optimizer = AdamW(model.parameters(), lr=5e-3)

    def loss(model, batch):
        return F.cross_entropy(model(batch["text"], batch["length"]), batch["topic"])

    def number(model):
        return (model(test[0], test[1]).argmax(1) == test[2]).float().mean()

    batches = batched(train, 32, ("text", "length", "topic"))
    return Run(model, loss, batches, optimizer, examiner(number), 0.8, 250).handed(240, "score")


@BANK.sick("labels", "labels_misaligned", also=("label_prior",))
def tumours_with_a_row_dropped_n(seed, has):
    """An incomplete row was dropped from the measurements, and not from the diagnoses."""
    (x, y), test = tasks.tumours()
    kept = torch.arange(len(x)) != 23
    y = y[:-1] if "labels_misaligned" in has else y[kept]
    model = dense(30, 32, 16, 2)
    optimizer = SGD(model.parameters(), lr=0.02, momentum=0.9)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched((x[kept], y), 16)
    run = Run(model, loss, batches, optimizer, accuracy(test), 0.89, 240)
    return run.handed(96, "score")


@BANK.sick("data", "imbalance", also=("label_prior",))
def fraud_in_a_few_payments_n(seed, has):
    """Three payments in a hundred are fraud, and each error costs the same."""
    train, test = tasks.payments()
    weight = None if "imbalance" in has else torch.tensor([30.0])
    model = dense(10, 24, 1, dropout=0.1)
    optimizer = Adam(model.parameters(), lr=2e-3)
    loss = supervised(nn.BCEWithLogitsLoss(pos_weight=weight))
    batches = batched(train, 64)
    return Run(model, loss, batches, optimizer, yes_or_no(test), 0.75, 240).handed(230)


@BANK.sick("data", "label_prior", also=("imbalance",))
def calls_that_are_mostly_general_n(seed, has):
    """Nearly all calls are of one kind; the batches are drawn as they come, or evenly."""
    train, test = tasks.calls()
    if "label_prior" not in has:
        shares = torch.bincount(train[1]).float()
        rows = torch.multinomial(1 / shares[train[1]], len(train[1]), True)
        train = [part[rows] for part in train]
    model = CallNet(100, 16, 4)
    optimizer = Adagrad(model.parameters(), lr=3e-2)
    loss = supervised(nn.CrossEntropyLoss())

    def number(model):
        said = model(test[0]).argmax(1)
        return sum((said[test[1] == k] == k).float().mean() for k in range(4)) / 4

    batches = batched(train, 40)
    return Run(model, loss, batches, optimizer, examiner(number), 0.45, 250).handed(0)


@BANK.sick("loop", "too_few_steps", also=("rate_too_low",))
def two_rounds_of_posts_n(seed, has):
    """A reader of posts that has seen each of them twice."""
    train, test = tasks.posts(telling=6)
    model = PostReader(200, 24, 4)
    optimizer = AdamW(model.parameters(), lr=6e-3, weight_decay=0.01)

    def loss(model, batch):
        text, sizes, topic = batch
        return F.cross_entropy(model(text, sizes), topic)

    def number(model):
        return (model(test[0], test[1]).argmax(1) == test[2]).float().mean()

    steps = 50 if "too_few_steps" in has else 350
    run = Run(
        model,
        loss,
        batched(train, 32),
        optimizer,
        examiner(number),
        0.75,
        steps,
        step=stepping(loss, clip=1.0),
    )
    return run.handed(48, "loss")
