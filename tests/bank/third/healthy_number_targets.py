"""Healthy runs: noisy numbers, likelihoods, natural scales, weights."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical, Laplace, MixtureSameFamily, Normal, StudentT
from torch.optim import AdamW, NAdam, RMSprop

from ..runs import accuracy, examiner, explained, unpacked
from . import BANK
from . import tasks_a as tasks
from .healthy_uneven_labels import Clicks, cartesian
from .nets_a import KITS, adam, clipped, dense, judging, learn, sgd


def pinball(out, target, levels=(0.1, 0.5, 0.9)):
    """Three quantiles at once."""
    rest, level = target - out, torch.tensor(levels)
    return torch.maximum(level * rest, (level - 1) * rest).mean()


def log_cosh(out, target):
    rest = out - target
    return (rest + F.softplus(-2 * rest) - 0.6931).mean()


WILD = {
    "sensors": (lambda y: (torch.rand(y.shape) < 0.1) * 10 * torch.randn(y.shape), nn.HuberLoss()),
    "walks": (lambda y: 0.3 * StudentT(1.5).sample(y.shape), F.l1_loss),
    "places": (torch.randn_like, F.mse_loss),
    "echo": (lambda y: torch.exp(0.8 * torch.randn(y.shape)) - 1, pinball),
}


@BANK.healthy(
    {"kit": "sensors", "by": adam(6e-3), "goal": 0.87},
    {"kit": "walks", "by": adam(4e-3), "goal": 0.9, "at": (400, "loss")},
    {"kit": "places", "by": sgd(0.01), "goal": 0.68, "size": 64, "at": (40, "loss")},
    {"kit": "echo", "by": adam(4e-3), "goal": 0.92, "at": (200, "score")},
)
def wild_targets(seed, kit, **how):
    """Noise as large as the targets, or outliers of ten times; judged by the clean ones."""
    (inputs, y), test = KITS[kit].task(3600 if kit == "places" else 1920)
    noise, criterion = WILD[kit]
    out = 3 if criterion is pinball else y.shape[1]
    task = (inputs, y + noise(y)), test
    judge = judging(explained, lambda o: o[:, 1:2]) if out > y.shape[1] else explained
    more = {"model": KITS[kit].model(out), "criterion": criterion, "judge": judge}
    return learn(kit, task=task, **more, **how)


def normal(out, target):
    mean, logarithm = out.chunk(2, 1)
    return F.gaussian_nll_loss(mean, target, logarithm.exp())


def softplus_normal(out, target):
    mean, raw = out.chunk(2, 1)
    return -Normal(mean, F.softplus(raw) + 1e-3).log_prob(target).mean()


def laplace(out, target):
    mean, logarithm = out.chunk(2, 1)
    return -Laplace(mean, logarithm.exp()).log_prob(target).mean()


def mixture(out, target):
    """Three normals for each example: a mixture density network."""
    logits, means, logarithms = out.chunk(3, 1)
    parts = Normal(means, logarithms.clamp(-5, 3).exp())
    return -MixtureSameFamily(Categorical(logits=logits), parts).log_prob(target[:, 0]).mean()


def two_answers(examples=1920):
    """The square root has two signs; the densities are narrow."""
    x = 2 * torch.rand(examples + 1000, 1) - 1
    sign = torch.randint(2, x.shape) * 2 - 1
    return tasks.parted(x, sign * (0.6 + 0.4 * (3 * x).sin()) + 0.05 * torch.randn(x.shape))


def likelihood(test):
    return examiner(lambda model: -mixture(model(test[0]), test[1]))


@BANK.healthy(
    {"kit": "echo", "by": adam(3e-3), "goal": 0.95, "at": (200, "loss")},
    {"kit": "sensors", "by": adam(8e-3, AdamW), "goal": 0.88, "steps": 500},
    {"kit": "walks", "by": adam(5e-3), "goal": 0.93, "at": (400, "score")},
    {"kit": "roots", "by": adam(5e-3), "goal": 0.4, "steps": 800, "at": (800, "loss")},
)
def densities_above_one(seed, kit, **how):
    """Likelihoods of numbers, with a spread that is learnt: below zero in the end, or soon."""
    if kit == "roots":
        more = {"task": two_answers(), "model": dense(1, 32, 32, 9, act=nn.Tanh)}
        return learn(kit, criterion=mixture, judge=likelihood, step=clipped, **more, **how)
    criterion = {"echo": normal, "sensors": softplus_normal, "walks": laplace}[kit]
    judge = judging(explained, lambda out: out.chunk(2, 1)[0])
    return learn(kit, model=KITS[kit].model(2), criterion=criterion, judge=judge, **how)


class Scaled(nn.Module):
    """Standard units within, the targets' own without."""

    def __init__(self, model, targets):
        super().__init__()
        self.model = model
        self.register_buffer("mean", targets.mean(0))
        self.register_buffer("std", targets.std(0))

    def forward(self, x):
        return self.mean + self.std * self.model(x)


class Stars(Clicks):
    """From one to five."""

    def forward(self, ids):
        return 1 + 4 * super().forward(ids).sigmoid()


def counted(task, scale=8.0):
    """Poisson counts, and their true means to judge by."""
    (x, y), (x_test, y_test) = task
    return (x, torch.poisson(scale * (0.6 * y).exp())), (x_test, scale * (0.6 * y_test).exp())


def levels_of(out):
    """The class after as many thresholds as are passed, as scores."""
    return F.one_hot((out > 0).sum(1), out.shape[1] + 1).float()


def ratings():
    cells = cartesian(40, 30)
    taste = (torch.randn(40, 2) @ torch.randn(2, 30)).reshape(-1, 1)
    stars = 1 + 4 * taste.sigmoid()
    order = torch.randperm(1200)
    cells, stars = cells[order], stars[order]
    noisy = (stars[:900] + 0.3 * torch.randn(900, 1)).clamp(1, 5)
    return (cells[:900], noisy), (cells[900:], stars[900:])


@BANK.healthy(
    {"form": "counts", "by": adam(5e-3), "goal": 0.77, "steps": 600, "at": (60, "loss")},
    {"form": "grades", "by": adam(5e-3), "goal": 0.75, "at": (400, "score")},
    {"form": "stars", "by": adam(2e-2), "goal": 0.85, "at": (200, None)},
    {"form": "prices", "by": adam(3e-3, RMSprop), "goal": 0.93, "at": (30, "loss")},
)
def targets_of_their_own_scale(seed, form, **how):
    """Counts under an exponential, grades by thresholds, stars from 1 to 5, prices in euros."""
    if form == "counts":
        more = {"task": counted(tasks.sensors()), "judge": judging(explained, torch.exp)}
        more["criterion"] = nn.PoissonNLLLoss()
        return learn("sensors", **more, **how)
    if form == "grades":
        (x, y), (x_test, y_test) = tasks.walks()
        edges = torch.tensor([-1.0, -0.3, 0.3, 1.0])
        task = (x, (y > edges).float()), (x_test, torch.bucketize(y_test[:, 0], edges))
        more = {"criterion": F.binary_cross_entropy_with_logits, "task": task}
        return learn("walks", judge=judging(accuracy, levels_of), **more, **how)
    if form == "stars":
        more = {"task": ratings(), "model": Stars(40, 30), "size": 16}
        return learn("stars", criterion=F.mse_loss, judge=explained, **more, **how)
    task = tuple((x, 320 + 140 * y) for x, y in tasks.echo())
    more = {"task": task, "model": Scaled(KITS["echo"].model(1), task[0][1])}
    return learn("echo", criterion=F.mse_loss, judge=explained, **more, **how)


def weighted(each):
    """The weighted mean of `each`, the loss without reduction."""

    def loss(model, batch):
        inputs, targets, weights = unpacked(batch)
        losses = each(model(inputs), targets, reduction="none").reshape(len(inputs), -1).mean(1)
        return (weights * losses).sum() / weights.sum().clamp(min=1e-6)

    return loss


def with_weights(kit, task):
    """Targets and weights: missing ones count nothing, unsure ones little, rare ones much."""
    (inputs, y, *_), test = task
    amount = torch.rand(len(y))
    if kit == "sensors":  # as exact as the instrument
        spread = 1.5 * amount + 0.3
        y, weights = y + spread[:, None] * torch.randn(y.shape), 1 / spread**2
    elif kit == "echo":  # not measured: a number that no one has
        weights = (amount < 0.6).float()
        y = torch.where(weights[:, None] > 0, y, -999.0)
    elif kit == "reviews":  # by how far the annotator is trusted
        wrong = torch.rand(len(y)) > 0.5 + 0.5 * amount
        y, weights = torch.where(wrong, 1 - y, y), amount**2
    else:  # as a survey corrects for who has answered
        weights = 1 / torch.tensor([1.0, 0.5, 0.2, 0.1])[y]
    return (inputs, y, weights), test


@BANK.healthy(
    {"kit": "sensors", "by": adam(6e-3), "goal": 0.8, "steps": 700, "at": (200, "loss")},
    {"kit": "echo", "by": adam(4e-3, NAdam), "goal": 0.95},
    {"kit": "reviews", "by": adam(5e-3), "goal": 0.9, "steps": 250, "at": (100, "score")},
    {"kit": "clusters", "by": sgd(0.05), "goal": 0.9, "at": (400, "loss")},
)
def weights_in_the_third_place(seed, kit, by, goal, **how):
    task = with_weights(kit, KITS[kit].task())
    labels = kit in ("reviews", "clusters")
    loss, judge = weighted(F.cross_entropy if labels else F.mse_loss), explained
    keys = ("x", "y", "sample_weight") if kit == "reviews" else ()
    more = {"task": task, "loss": loss, "judge": accuracy if labels else judge, "keys": keys}
    return learn(kit, by, goal, **more, **how)
