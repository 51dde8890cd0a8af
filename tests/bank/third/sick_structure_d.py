"""Sick runs, one fault each: the structure of the model, its start, its norm."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW, NAdam, RMSprop

from ..runs import Run, batched, examiner, stepping
from . import BANK
from . import tasks_d as tasks
from .nets_d import Net, Reader, Vgg, classed, convs, valued, yes_no


@BANK.sick("model", "degradation")
def forty_plain_layers_for_concrete(seed, has):
    """The more layers the better; He's start keeps the signal alive."""
    model = Net(8, 20, 40 if "degradation" in has else 3, 1, he=True)
    optimizer = SGD(model.parameters(), 0.01, momentum=0.9)
    run = valued(tasks.strength(), model, optimizer, goal=0.75, steps=350)
    return run.handed(150, "loss")


@BANK.sick("model", "degradation", also=("dead_start",))
def vgg_without_norm_or_skips(seed, has):
    """PyTorch's own start is small for ReLUs: He's would just do, too."""
    model = Vgg(8, 20 if "degradation" in has else 3, 5)
    optimizer = Adam(model.parameters(), 3e-3)
    run = classed(tasks.glyphs(), model, optimizer, goal=0.85, steps=220)
    return run.handed(0)


class Factors(nn.Module):
    """Matrix factorisation with biases, as recommenders have it."""

    def __init__(self, rank):
        super().__init__()
        self.user, self.item = nn.Embedding(60, rank), nn.Embedding(50, rank)
        self.user_bias, self.item_bias = nn.Embedding(60, 1), nn.Embedding(50, 1)
        for table in self.children():
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, who, what):
        biases = self.user_bias(who) + self.item_bias(what)
        return (self.user(who) * self.item(what)).sum(1) + biases[:, 0]


@BANK.sick("model", "too_small")
def factors_of_one_dimension(seed, has):
    model = Factors(1 if "too_small" in has else 4)
    train, (who, what, mark) = tasks.ratings()

    def loss(model, batch):
        return F.mse_loss(model(batch[0], batch[1]), batch[2])

    def number(model):
        return 1 - F.mse_loss(model(who, what), mark) / mark.var()

    optimizer = AdamW(model.parameters(), 2e-2, weight_decay=0.01)
    batches = batched(train, 64)
    run = Run(model, loss, batches, optimizer, examiner(number), goal=0.85, steps=500)
    return run.handed(250, "loss")


@BANK.sick("model", "too_small")
def two_hidden_units_for_spirals(seed, has):
    model = Net(2, 2 if "too_small" in has else 32, 1, 4, act=torch.tanh)
    optimizer = Adam(model.parameters(), 1e-2)
    run = classed(tasks.spirals(4), model, optimizer, goal=0.9, steps=500)
    return run.handed(500, "score")


@BANK.sick("model", "dropout_too_strong")
def words_dropped_before_the_lstm(seed, has):
    model = Reader(36, 24, 1, drop=0.95 if "dropout_too_strong" in has else 0.1)
    task, optimizer = tasks.reviews(), Adam(model.parameters(), 5e-3)
    run = yes_no(task, model, optimizer, goal=0.85, steps=400, keys=("input_ids", "label"))
    return run.handed(150, "loss")


@BANK.sick("model", "dropout_too_strong")
def channels_dropped_by_nine_tenths(seed, has):
    drop = 0.9 if "dropout_too_strong" in has else 0.05
    model = convs(3, 12, 24, classes=4, drop=drop)
    optimizer = NAdam(model.parameters(), 3e-3)
    run = classed(tasks.gratings(), model, optimizer, goal=0.85, steps=300)
    return run.handed(120)


@BANK.sick("model", "mixed_examples")
def lstm_that_runs_over_the_examples(seed, has):
    """(batch, letters, features) where the layer's default is letters first."""
    model = Reader(16, 24, 4, batch_first="mixed_examples" not in has)
    optimizer = Adam(model.parameters(), 5e-3)
    run = classed(tasks.names(), model, optimizer, goal=0.85, steps=400, size=50, step=stepping)
    return run.handed(0)


class Branches(nn.Module):
    """A curve's branch and a table's, joined; `faulty` joins them along the examples."""

    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.curve = nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.table = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.fc = nn.Linear(32, 4)

    def forward(self, curve, table):
        parts = self.curve(curve), self.table(table)
        joined = torch.cat(parts, 0 if self.faulty else 1)
        return self.fc(joined.view(len(curve), -1))


@BANK.sick("model", "mixed_examples")
def branches_joined_along_the_batch(seed, has):
    model = Branches("mixed_examples" in has)
    train, (curve, table, kind) = tasks.patients()

    def loss(model, batch):
        return F.cross_entropy(model(batch["curve"], batch["table"]), batch["kind"])

    def number(model):
        return (model(curve, table).argmax(1) == kind).float().mean()

    batches = batched(train, 30, ("curve", "table", "kind"))
    optimizer = Adam(model.parameters(), 5e-3)
    run = Run(model, loss, batches, optimizer, examiner(number), goal=0.85, steps=400)
    return run.handed(150, "loss")


@BANK.sick("model", "no_activation")
def strided_convolutions_without_relu(seed, has):
    model = convs(3, 16, 32, classes=4, act=None if "no_activation" in has else nn.ReLU)
    optimizer = SGD(model.parameters(), 0.1, momentum=0.9)
    run = classed(tasks.gratings(), model, optimizer, goal=0.85, steps=300, size=25)
    return run.handed(0)


@BANK.sick("model", "no_activation")
def relu_made_but_never_called(seed, has):
    model = Net(8, 48, 1, 1, act=nn.Identity() if "no_activation" in has else F.relu)
    optimizer = RMSprop(model.parameters(), 3e-3)
    run = valued(tasks.strength(), model, optimizer, goal=0.8, steps=500, keys=("x", "y"))
    return run.handed(500, "loss")


@BANK.sick("model", "batchnorm_tiny_batch")
def pairs_of_pictures_under_batch_norm(seed, has):
    """The memory holds two pictures."""
    model = convs(3, 12, 24, 24, classes=4, norm=True)
    model.insert(11, nn.BatchNorm1d(96))
    size, optimizer = 2 if "batchnorm_tiny_batch" in has else 15, Adam(model.parameters(), 3e-3)
    run = classed(tasks.gratings(420), model, optimizer, goal=0.8, steps=300, size=size)
    return run.handed(100, "loss")


@BANK.sick("model", "dead_start")
def weights_from_zero_to_one_under_sigmoids(seed, has):
    """`uniform_` draws from 0 to 1: sums of fifty of those saturate every sigmoid."""
    model = Net(2, 50, 3, 3, act=torch.sigmoid)
    for layer in [model.first, *model.hidden, model.last]:
        nn.init.xavier_uniform_(layer.weight, gain=4)
        if "dead_start" in has:
            nn.init.uniform_(layer.weight)
    optimizer = SGD(model.parameters(), 0.3, momentum=0.9)
    run = classed(tasks.spirals(turn=0.4), model, optimizer, goal=0.85, steps=600)
    return run.handed(0)


class ByNumpy(nn.Module):
    """A ReLU by numpy in the midst of the layers, which no gradient passes."""

    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.low = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 6))
        self.high = nn.Linear(6, 3)

    def forward(self, x):
        h = self.low(x)
        h = torch.from_numpy(np.maximum(h.detach().numpy(), 0)) if self.faulty else h.relu()
        return self.high(h)


@BANK.sick("model", "detached")
def relu_by_numpy(seed, has):
    model = ByNumpy("detached" in has)
    optimizer = Adam(model.parameters(), 1e-2)
    run = classed(tasks.spirals(), model, optimizer, goal=0.9, steps=500)
    return run.handed(200, "score")
