"""Healthy runs on images and tables, recommenders, and outputs that are distributions."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop

from ..runs import (
    Run,
    accuracy,
    batched,
    examiner,
    stepping,
    supervised_run,
    unpacked,
    yes_or_no,
)
from . import BANK
from . import tasks_g as tasks
from .nets_g import (
    Estate,
    Factors,
    Flat,
    NeuralFactors,
    dense,
    lenet,
    mobile,
    resnet,
    several,
    share_explained,
)

ENTROPY = nn.CrossEntropyLoss()
bce = F.binary_cross_entropy_with_logits


def first_example():
    """LeNet and SGD with momentum, as in every first tutorial."""
    model = lenet(10, 8)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    more = {"goal": 0.9, "steps": 800, "size": 32}
    return supervised_run(tasks.digits(), model, optimizer, ENTROPY, accuracy, **more)


def turned(model, batch):
    """Flips and shifts of the images, anew each time."""
    x, y = batch["image"], batch["label"]
    if torch.rand(()) < 0.5:
        x = x.flip(3)
    dy, dx = torch.randint(-2, 3, (2,)).tolist()
    return F.cross_entropy(model(x.roll((dy, dx), (2, 3))), y)


def augmented_figures():
    train, test = [part[:2] for part in tasks.figures(3000, 16, noise=0.2)]
    model = resnet(4, 8)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    step = partial(stepping, schedule=lambda i: 0.1 if i < 180 else 0.01)
    more = {"goal": 0.85, "steps": 250, "size": 48, "keys": ("image", "label"), "step": step}
    return supervised_run((train, test), model, optimizer, None, accuracy, loss=turned, **more)


class Detector(nn.Module):
    """What it is, and where."""

    def __init__(self, kinds=4, side=20):
        super().__init__()
        self.body = lenet(64, side)
        self.kind, self.box = nn.Linear(64, kinds), nn.Linear(64, 3)

    def forward(self, x):
        h = self.body(x).relu()
        return self.kind(h), self.box(h).sigmoid()


def what_and_where(model, batch):
    image, kind, box = batch
    said, place = model(image)
    return F.cross_entropy(said, kind) + 10 * F.smooth_l1_loss(place, box)


def shared(a, b):
    """Intersection over union of squares given by centre and half a side."""
    top = torch.maximum(a[:, :2] - a[:, 2:], b[:, :2] - b[:, 2:])
    bottom = torch.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    both = (bottom - top).clamp(min=0).prod(1)
    return both / (4 * a[:, 2].square() + 4 * b[:, 2].square() - both)


def detected_figures():
    (x, kind, _, box), (held, _, _, truth) = tasks.figures(2400, noise=0.15)
    model = Detector()
    optimizer = Adam(model.parameters(), lr=2e-3)
    examine = examiner(lambda model: shared(model(held)[1], truth).mean())
    batches = batched([x, kind, box], 32)
    return Run(model, what_and_where, batches, optimizer, examine, 0.55, 400)


def several_labels():
    (x, present, _), (held, truth, _) = tasks.scenes(2400, 20, 2, noise=0.1)
    model = mobile(4)
    optimizer = AdamW(model.parameters(), lr=5e-3)
    more = {"goal": 0.8, "steps": 300, "size": 32, "keys": ("pixels", "labels")}
    task = [x, present], [held, truth]
    return supervised_run(task, model, optimizer, bce, yes_or_no, **more)


@BANK.healthy(
    {"make": first_example, "at": (200, "loss")},
    {"make": augmented_figures, "at": (0, None)},
    {"make": detected_figures, "at": (150, "loss")},
    {"make": several_labels, "at": (300, "loss")},
)
def everyday_images_g(seed, make, at):
    return make().handed(*at)


def tumours():
    (x, y), (held, truth) = tasks.bundled("breast_cancer")
    model = dense(30, 32, 1, norm=nn.BatchNorm1d, drop=0.3)
    optimizer = AdamW(model.parameters(), lr=2e-3, weight_decay=0.1)
    more = {"goal": 0.92, "steps": 300, "size": 32}
    task = [x, y.float()[:, None]], [held, truth.float()[:, None]]
    return supervised_run(task, model, optimizer, nn.BCEWithLogitsLoss(), yes_or_no, **more)


def priced_houses():
    train, test = tasks.houses(4000)
    model, loss = Estate(), several(nn.HuberLoss(delta=1.0))
    optimizer = AdamW(model.parameters(), lr=4e-3, weight_decay=1e-3)
    batches = batched(train, 64, ("numbers", "categories", "price"))
    return Run(model, loss, batches, optimizer, share_explained(test), 0.85, 400)


def wines():
    model = dense(13, 24, 3, act=nn.Sigmoid)
    optimizer = SGD(model.parameters(), lr=0.3, momentum=0.5, weight_decay=1e-3)
    more = {"goal": 0.9, "steps": 300, "size": 16}
    task = tasks.bundled("wine", 0.6)
    return supervised_run(task, model, optimizer, ENTROPY, accuracy, **more)


def covers():
    model = dense(12, 96, 48, 6, act=nn.SiLU, norm=nn.LayerNorm)
    optimizer = RMSprop(model.parameters(), lr=1e-3)
    more = {"goal": 0.82, "steps": 350, "size": 100}
    task = tasks.forest(4000, 6)
    return supervised_run(task, model, optimizer, ENTROPY, accuracy, **more)


@BANK.healthy(
    {"make": tumours, "at": (0, None)},
    {"make": priced_houses, "at": (0, None)},
    {"make": wines, "at": (295, "score")},
    {"make": covers, "at": (150, "loss")},
)
def everyday_tables_g(seed, make, at):
    return make().handed(*at)


def starred_films():
    train, test = tasks.ratings(9000)
    model = Factors(120, 80, 6, mean=float(train[2].mean()))
    loss = several(nn.MSELoss())
    optimizer = Adam(model.parameters(), lr=0.02, weight_decay=3e-4)
    batches = batched(train, 256, ("user", "item", "rating"))
    return Run(model, loss, batches, optimizer, share_explained(test), 0.75, 300)


def starred_shows():
    train, test = tasks.ratings(10000, 150, 60, 2)
    model = Factors(150, 60, 4, mean=float(train[2].mean()))
    loss = several(nn.MSELoss())
    optimizer = Adagrad(model.parameters(), lr=0.15)
    batches = batched(train, 128)
    return Run(model, loss, batches, optimizer, share_explained(test), 0.7, 500)


def seen_or_not(model, batch):
    """Binary cross-entropy, with three others drawn for each that was seen."""
    user, seen = batch[:2]
    drawn = torch.randint(80, (3 * len(user),))
    out = model(torch.cat([user, user.repeat(3)]), torch.cat([seen, drawn]))
    return bce(out, torch.cat([torch.ones(len(user)), torch.zeros(len(drawn))]))


def ranked(test):
    """How often what was seen is above what was not."""
    user, seen, other = test
    return examiner(lambda model: (model(user, seen) > model(user, other)).float().mean())


def visited_pages():
    train, test = tasks.visits(8000)
    model = NeuralFactors(100, 80)
    optimizer = Adam(model.parameters(), lr=3e-3)
    batches = batched(train[:2], 128)
    return Run(model, seen_or_not, batches, optimizer, ranked(test), 0.83, 400)


def pairwise(model, batch):
    """Bayesian personalised ranking, summed, with a penalty on the factors in use."""
    user, seen = batch["user"], batch["item"]
    other = torch.randint(80, seen.shape)
    rank = -F.logsigmoid(model(user, seen) - model(user, other)).sum()
    used = model.user(user).square().sum() + model.item(seen).square().sum()
    return rank + 0.005 * used


def preferred_pages():
    train, test = tasks.visits(8000)
    model = Factors(100, 80, 8)
    optimizer = SGD(model.parameters(), lr=0.05)
    batches = batched(train[:2], 64, ("user", "item"))
    return Run(model, pairwise, batches, optimizer, ranked(test), 0.83, 700)


@BANK.healthy(
    {"make": starred_films, "at": (0, None)},
    {"make": starred_shows, "at": (250, "loss")},
    {"make": visited_pages, "at": (390, "score")},
    {"make": preferred_pages, "at": (0, None)},
)
def recommenders_g(seed, make, at):
    return make().handed(*at)


def spread_too():
    """Mean and variance from two heads; the loss falls below 0."""
    train, test = tasks.uneven(3500)
    model = dense(5, 64, 64, 2, act=nn.Tanh)
    optimizer = Adam(model.parameters(), lr=3e-3)

    def loss(model, batch):
        mean, raw = model(batch[0]).unbind(1)
        return F.gaussian_nll_loss(mean, batch[1], F.softplus(raw) + 1e-4)

    def number(model):
        mean, raw = model(test[0]).unbind(1)
        one = F.gaussian_nll_loss(test[1].mean() + 0 * mean, test[1], test[1].var() + 0 * mean)
        return one - F.gaussian_nll_loss(mean, test[1], F.softplus(raw) + 1e-4)

    return Run(model, loss, batched(train, 64), optimizer, examiner(number), 0.8, 500)


LEVELS = torch.tensor([0.1, 0.5, 0.9])


def pinball(said, y):
    rest = y[:, None] - said
    return torch.maximum(LEVELS * rest, (LEVELS - 1) * rest).sum(1).mean()


def three_quantiles():
    train, test = tasks.uneven(3500)
    model = dense(5, 64, 64, 3, act=nn.GELU)
    optimizer = AdamW(model.parameters(), lr=3e-3)

    def number(model):
        always = train[1].quantile(LEVELS).expand(len(test[1]), 3)
        return 1 - pinball(model(test[0]), test[1]) / pinball(always, test[1])

    def loss(model, batch):
        return pinball(model(batch["x"]), batch["y"])

    batches = batched(train, 64, ("x", "y"))
    return Run(model, loss, batches, optimizer, examiner(number), 0.55, 500)


def mixture(out, y):
    """The logarithm of a density of three Gaussians."""
    weight, mean, log_std = out.chunk(3, 1)
    normal = torch.distributions.Normal(mean, log_std.clamp(-5, 3).exp())
    return (weight.log_softmax(1) + normal.log_prob(y[:, None])).logsumexp(1)


def two_branches():
    train, test = tasks.forked(3000)
    model = dense(2, 48, 48, 9, act=nn.Tanh)
    optimizer = Adam(model.parameters(), lr=5e-3)

    def loss(model, batch):
        return -mixture(model(batch[0]), batch[1]).mean()

    def number(model):
        one = torch.distributions.Normal(test[1].mean(), test[1].std())
        return (mixture(model(test[0]), test[1]) - one.log_prob(test[1])).mean()

    return Run(model, loss, batched(train, 64), optimizer, examiner(number), 0.9, 450)


def counted_rides():
    """Poisson regression with the logarithm of the exposure added."""
    train, test = tasks.rides(4000)
    model = Flat(dense(5, 48, 48, 1))
    optimizer = Adam(model.parameters(), lr=2e-3)

    def loss(model, batch):
        x, exposure, counts = unpacked(batch)
        return F.poisson_nll_loss(model(x) + exposure.log(), counts)

    x, exposure, counts = test

    def deviance(rate):
        return (torch.xlogy(counts, counts / rate) - counts + rate).mean()

    def number(model):
        always = exposure * counts.sum() / exposure.sum()
        return 1 - deviance(exposure * model(x).exp()) / deviance(always)

    batches = batched(train, 64, ("x", "exposure", "count"))
    return Run(model, loss, batches, optimizer, examiner(number), 0.52, 300)


@BANK.healthy(
    {"make": spread_too, "at": (480, "loss")},
    {"make": three_quantiles, "at": (0, None)},
    {"make": two_branches, "at": (180, "loss")},
    {"make": counted_rides, "at": (120, "loss")},
)
def outputs_that_are_distributions_g(seed, make, at):
    return make().handed(*at)
