"""Healthy runs: losses of several terms, of pairs, below zero, with a penalty."""

from functools import partial

import torch.nn.functional as F
from torch import nn
from torch.optim import Adam

from ..runs import Run, batched, examiner, explained, unpacked
from . import BANK, tasks
from .nets import conv_net, mlp
from .settings import SETTINGS, usual
from .sick_outputs import with_penalty


def contrastive(model, batch):
    """Near if of one class, further than 1 apart if not."""
    one, other, same = unpacked(batch)
    away = F.pairwise_distance(model(one), model(other))
    return (same * away**2 + (1 - same) * (1 - away).clamp(min=0) ** 2).mean()


def triplet(model, batch):
    return F.triplet_margin_loss(*(model(part) for part in unpacked(batch)), margin=0.5)


def told_apart(test):
    """The share of pairs whose distance says rightly whether they are of one class."""
    one, other, same = test

    def number(model):
        near = F.pairwise_distance(model(one), model(other)) < 0.5
        return (near == (same > 0.5)).float().mean()

    return examiner(number)


def well_ordered(test):
    """The share of triples whose like is nearer."""

    def number(model):
        at, near, far = (model(part) for part in test)
        return (F.pairwise_distance(at, near) < F.pairwise_distance(at, far)).float().mean()

    return examiner(number)


@BANK.healthy(
    {"conv": False, "three": False, "before": 0},
    {"conv": True, "three": False, "before": 200, "shown": "loss"},
    {"conv": False, "three": True, "before": 390, "shown": "loss"},
    {"conv": True, "three": True, "before": 50, "shown": "score"},
)
def siamese(seed, conv, three, before, shown=None):
    model = conv_net(8, 12) if conv else mlp(64, 48, 8)
    train, test = (tasks.triples_of if three else tasks.pairs_of)(tasks.digits(seed))
    keys = ("anchor", "positive", "negative") if three and conv else ()
    run = Run(
        model,
        triplet if three else contrastive,
        batched(train, 32, keys),
        Adam(model.parameters(), 3e-3),
        (well_ordered if three else told_apart)(test),
        goal=0.93 if three else 0.8,
        steps=400,
    )
    return run.handed(before, shown)


class TwoHeads(nn.Module):
    """One body, a class and a number."""

    def __init__(self, body: nn.Module, width: int):
        super().__init__()
        self.body, self.kind, self.amount = body, nn.Linear(width, 10), nn.Linear(width, 1)

    def forward(self, x):
        hidden = F.relu(self.body(x))
        return {"kind": self.kind(hidden), "amount": self.amount(hidden)}


def of_both(model, batch, share):
    inputs, kind, amount = unpacked(batch)
    out = model(inputs)
    return F.cross_entropy(out["kind"], kind) + share * F.mse_loss(out["amount"], amount)


@BANK.healthy(
    {"conv": False, "share": 1.0, "before": 0},
    {"conv": True, "share": 0.3, "before": 250, "shown": "loss"},
    {"conv": False, "share": 0.1, "before": 480, "shown": "score"},
    {"conv": True, "share": 1.0, "before": 60, "shown": "loss", "keys": ("x", "kind", "ink")},
)
def two_tasks(seed, conv, share, before, shown=None, keys=()):
    """The digit, and the ink on its image in standard deviations."""
    halves = [(x, y, x.mean((1, 2, 3))[:, None]) for x, y in tasks.digits(seed)]
    mean, deviation = halves[0][2].mean(), halves[0][2].std()
    train, test = ((x, y, (ink - mean) / deviation) for x, y, ink in halves)
    model = TwoHeads(conv_net(48, 12) if conv else mlp(64, 64, 48), 48)
    examine = examiner(lambda m: (m(test[0])["kind"].argmax(1) == test[1]).float().mean())
    loss, optimizer = partial(of_both, share=share), Adam(model.parameters(), 4e-3)
    run = Run(model, loss, batched(train, 32, keys), optimizer, examine, goal=0.82, steps=500)
    return run.handed(before, shown)


@BANK.healthy(
    {"name": "digits_mlp", "width": 48, "strength": 1e-4, "before": 0},
    {"name": "digits_conv", "width": 12, "strength": 3e-4, "before": 250, "shown": "loss"},
    {"name": "friedman", "width": 32, "strength": 2e-4, "before": 480, "shown": "loss"},
    {"name": "wine", "width": 16, "strength": 1e-3, "before": 50, "shown": "score"},
)
def penalty_meant(seed, name, width, strength, before, shown=None):
    """An L2 penalty within the loss, small beside it for most of the training."""
    loss = with_penalty(SETTINGS[name].criterion, strength)
    return usual(seed, name, width, partial(Adam, lr=5e-3), loss=loss).handed(before, shown)


def gaussian(out, target):
    """The negative log-likelihood of a normal of predicted mean and log-variance."""
    mean, logarithm = out.chunk(2, 1)
    return 0.5 * (logarithm + (mean - target) ** 2 * (-logarithm).exp()).mean()


class MeanOnly(nn.Module):
    """The first of a model's two outputs."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)[:, :1]


@BANK.healthy(
    {"name": "houses", "width": 32, "before": 0},
    {"name": "friedman", "width": 48, "before": 200, "shown": "loss"},
    {"name": "houses", "width": 48, "before": 390, "shown": "loss"},
    {"name": "friedman", "width": 32, "before": 480, "shown": "score"},
)
def loss_below_zero(seed, name, width, before, shown=None):
    """A likelihood of a continuous target: its loss goes below 0, and may."""
    model = mlp(4 if name == "houses" else 10, width, width, 2)

    def judge(test):
        of_mean = explained(test)
        return lambda model: of_mean(MeanOnly(model))

    optimizer = partial(Adam, lr=3e-3)
    run = usual(seed, name, 0, optimizer, model=model, criterion=gaussian, judge=judge)
    return run.handed(before, shown)


def summed(criterion):
    return lambda out, target: criterion(out, target, reduction="sum")


@BANK.healthy(
    {"name": "digits_mlp", "width": 48, "rate": 3e-3, "before": 0},
    {"name": "digits_conv", "width": 12, "rate": 3e-3, "before": 250, "shown": "loss"},
    {"name": "friedman", "width": 32, "rate": 4e-3, "before": 480, "shown": "loss"},
    {"name": "cancer", "width": 16, "rate": 5e-3, "before": 60, "shown": "loss"},
)
def sums_over_the_batch(seed, name, width, rate, before, shown=None):
    """The loss is a sum, not a mean, on the screen as well; Adam does not mind."""
    criterion = summed(SETTINGS[name].criterion)
    optimizer = partial(Adam, lr=rate)
    return usual(seed, name, width, optimizer, criterion=criterion).handed(before, shown)


@BANK.healthy(
    {"name": "digits_mlp", "before": 0},
    {"name": "digits_conv", "before": 200, "shown": "loss"},
    {"name": "cancer", "before": 240, "shown": "score"},
    {"name": "cancer", "before": 30, "shown": "loss"},
)
def probabilities_as_outputs(seed, name, before, shown=None):
    """Log-softmax with `nll_loss`, or a sigmoid with the entropy of probabilities: as it should."""
    if name == "cancer":
        model, criterion = mlp(30, 24, 1).append(nn.Sigmoid()), F.binary_cross_entropy
        judge = partial(SETTINGS[name].judge, threshold=0.5)
    else:
        model, criterion = SETTINGS[name].model(24).append(nn.LogSoftmax(1)), F.nll_loss
        judge = SETTINGS[name].judge
    more = {"model": model, "criterion": criterion, "judge": judge}
    return usual(seed, name, 0, partial(Adam, lr=4e-3), **more).handed(before, shown)
