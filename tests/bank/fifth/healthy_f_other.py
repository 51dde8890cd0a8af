"""Healthy runs of recommenders, distributions, generators, embeddings and equations."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adagrad, Adam, AdamW, NAdam, RMSprop, SparseAdam

from ..runs import Run, batched, examiner, explained, stepping
from . import BANK
from . import tasks_f as tasks
from .nets_f import (
    Denoiser,
    Factors,
    Field,
    Flow,
    Margin,
    Messages,
    Ringing,
    Towers,
    Variational,
    cosine,
    dense,
    ear,
    learn,
    made,
    picture_net,
    residual,
    stairs,
)


def rated(model, batch):
    u, i, stars = batch
    return F.mse_loss(model(u, i), stars)


def rating_fit(test):
    u, i, stars = test
    return examiner(lambda m: 1 - F.mse_loss(m(u, i), stars) / stars.var(correction=0))


def ranked_pairs(model, batch):
    """Bayesian personalised ranking with a random item as the negative."""
    u, liked = batch
    other = torch.randint(model.q.num_embeddings, u.shape)
    return -F.logsigmoid(model(u, liked) - model(u, other)).mean()


def preferred(test):
    u, liked, other = test.T
    return examiner(lambda m: (m(u, liked) > m(u, other)).float().mean())


def listwise(model, batch):
    """ListNet: cross-entropy of what the grades and the scores prefer."""
    x, inside, grade = batch["docs"], batch["mask"], batch["grade"]
    out = model(x).squeeze(2).masked_fill(~inside, -1e9)
    wish = grade.float().masked_fill(~inside, -1e9).softmax(1)
    return -(wish * out.log_softmax(1)).sum(1).mean()


def in_order(test):
    """The share of a list's pairs of different grades that are in order."""
    x, inside, grade = test

    def number(model):
        out = model(x).squeeze(2)
        pairs = (grade[:, :, None] > grade[:, None]) & inside[:, :, None] & inside[:, None]
        return (out[:, :, None] > out[:, None])[pairs].float().mean()

    return examiner(number)


def contrasted(model, batch):
    """Which answer of the batch belongs to which question, and the other way round."""
    out, y = model(*batch), torch.arange(len(batch[0]))
    return (F.cross_entropy(out, y) + F.cross_entropy(out.T, y)) / 2


def found(test, among=20):
    x, y = (t[: len(t) // among * among] for t in test)

    def number(model):
        pieces = zip(x.split(among), y.split(among), strict=True)
        right = [model(a, b).argmax(1) == torch.arange(among) for a, b in pieces]
        return torch.cat(right).float().mean()

    return examiner(number)


@BANK.healthy(
    {"way": "stars", "at": (0,)},
    {"way": "listens", "at": (200, "loss")},
    {"way": "searches", "at": (250, "loss")},
    {"way": "towers", "at": (120, "score")},
)
def recommenders_f(seed, way, at):
    if way == "stars":
        train, test = tasks.stars()
        net = Factors(120, 80, 6, mean=train[2].mean())
        by = Adam(net.parameters(), lr=1e-2, weight_decay=1e-4)
        run = Run(net, rated, batched(train, 64), by, rating_fit(test), 0.6, 450)
    elif way == "listens":
        train, test = tasks.listens()
        net = Factors(150, 100, 8, sparse=True)
        by = SparseAdam(list(net.parameters()), lr=1e-2)
        run = Run(net, ranked_pairs, batched(train, 64), by, preferred(test), 0.75, 400)
    elif way == "searches":
        train, test = tasks.searches()
        net = dense(6, 48, 48, 1)
        batches, by = batched(train, 32, ("docs", "mask", "grade")), Adagrad(net.parameters(), 0.03)
        run = Run(net, listwise, batches, by, in_order(test), 0.8, 260)
    else:
        train, test = tasks.questions()
        net = Towers()
        by = AdamW(net.parameters(), lr=3e-3)
        run = Run(net, contrasted, batched(train, 64), by, found(test), 0.7, 250)
    return run.handed(*at)


def normal(out, y):
    """Half of what a mean and a log-variance lose, without the constant."""
    mean, log_var = out.chunk(2, 1)
    return 0.5 * (log_var + (y - mean) ** 2 * (-log_var).exp()).mean()


def gained(criterion, constant):
    """The nats by which the criterion is below that of the best constant."""

    def judge(test):
        x, y = test
        return examiner(lambda model: constant(y) - criterion(model(x), y))

    return judge


QUANTILES = torch.tensor([0.1, 0.5, 0.9])


def pinball(out, y):
    rest = y - out
    return torch.maximum(QUANTILES * rest, (QUANTILES - 1) * rest).mean()


def pinball_share(test):
    x, y = test
    flat = pinball(y.quantile(QUANTILES).expand(len(y), 3), y)
    return examiner(lambda model: 1 - pinball(model(x), y) / flat)


def counted(model, batch):
    out = model(batch["x"]).squeeze(1) + batch["exposure"].log()
    return F.poisson_nll_loss(out, batch["count"])


def deviance(test):
    """The share of the counts' deviance that is explained."""
    x, time, count = test

    def lost(rate):
        return (torch.xlogy(count, count / rate) - count + rate).sum()

    flat = lost(time * count.sum() / time.sum())
    return examiner(lambda model: 1 - lost(model(x).squeeze(1).exp() * time) / flat)


def partial_likelihood(model, batch):
    """Cox's, of those in the batch; no ties."""
    x, time, event = batch
    order = time.argsort(descending=True)
    risk, event = model(x).squeeze(1)[order], event[order]
    return -((risk - risk.logcumsumexp(0)) * event).sum() / event.sum()


def concordance(test):
    x, time, event = test

    def number(model):
        risk = model(x).squeeze(1)
        pairs = (time[:, None] < time) & (event[:, None] > 0)
        return (risk[:, None] > risk)[pairs].float().mean()

    return examiner(number)


@BANK.healthy(
    {"way": "normal", "at": (390, "loss")},
    {"way": "quantiles", "at": (0,)},
    {"way": "counts", "at": (200, "loss")},
    {"way": "survival", "at": (140, "score")},
)
def distributions_f(seed, way, at):
    if way == "normal":
        judge = gained(normal, lambda y: 0.5 * (y.var().log() + 1))
        more = {"goal": 0.5, "steps": 400, "at": at}
        net, by = dense(2, 48, 48, 2, act=nn.Tanh), partial(Adam, lr=3e-3)
        more["step"] = partial(stepping, clip=5.0)
        return learn(tasks.gauges(), net, by, normal, judge, **more)
    if way == "quantiles":
        more = {"goal": 0.5, "steps": 700, "at": at, "size": 50}
        net, by = dense(2, 64, 64, 3, act=nn.SiLU), partial(NAdam, lr=3e-3)
        return learn(tasks.loads(), net, by, pinball, pinball_share, **more)
    if way == "counts":
        train, test = tasks.claims()
        net = dense(5, 48, 48, 1, act=nn.ELU)
        by, batches = (
            RMSprop(net.parameters(), 2e-3),
            batched(train, 32, ("x", "exposure", "count")),
        )
        step = stepping(counted, clip=10.0, schedule=cosine(2e-3, 600))
        return Run(net, counted, batches, by, deviance(test), 0.6, 600, step=step).handed(*at)
    train, test = tasks.patients()
    net = dense(6, 32, 32, 1, drop=0.1)
    by = AdamW(net.parameters(), lr=3e-3, weight_decay=0.05)
    run = Run(net, partial_likelihood, batched(train, 200), by, concordance(test), 0.72, 250)
    return run.handed(*at)


def elbo(model, batch, spread=0.1):
    """What is lost by squares, summed, and the divergence; the mean of the batch."""
    (x,) = batch
    out, mean, log_var = model(x)
    lost = (out - x).square().sum() / (2 * spread**2)
    apart = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum()
    return (lost + apart) / len(x)


def restored(test):
    (x,) = test
    return examiner(lambda m: 1 - F.mse_loss(m(x)[0], x) / (x - x.mean(0)).square().mean())


def unlikely(model, batch):
    return -model(batch[0]).mean()


def above_normal(test):
    """The nats that a point gains over a normal distribution."""
    (x,) = test
    flat = torch.distributions.MultivariateNormal(x.mean(0), x.T.cov())
    return examiner(lambda model: (model(x) - flat.log_prob(x)).mean())


def blurred(x):
    t = torch.rand(len(x), 1)
    kept, noise = (t * math.pi / 2).cos(), torch.randn_like(x)
    return kept * x + (1 - kept**2).sqrt() * noise, t, noise


def noise_lost(model, batch):
    noisy, t, noise = blurred(batch[0])
    return F.mse_loss(model(noisy, t), noise)


def above_linear(test):
    """How much less is lost than by the best linear guess of the noise."""
    (x,) = test
    noisy, t, noise = blurred(x.repeat(5, 1))
    flat = F.mse_loss(noisy * (t * math.pi / 2).sin(), noise)
    return examiner(lambda model: 1 - F.mse_loss(model(noisy, t), noise) / flat)


def followed(model, optimizer, batch):
    """A step, after which the averaged weights follow."""
    optimizer.zero_grad()
    value = noise_lost(model, batch)
    value.backward()
    clip_grad_norm_(model.live.parameters(), 1.0)
    optimizer.step()
    model.follow()
    return value.item()


def pixels(model, batch):
    """Nats of a picture: its pixels' summed."""
    return F.binary_cross_entropy_with_logits(model(batch[0]), batch[0], reduction="sum") / len(
        batch[0]
    )


def nats_saved(test):
    """The share saved of what pixels cost each by itself."""
    (x,) = test
    p = x.mean(0).clamp(0.01, 0.99)
    flat = F.binary_cross_entropy(p.expand_as(x), x, reduction="sum") / len(x)
    return examiner(lambda model: 1 - pixels(model, (x,)) / flat)


@BANK.healthy(
    {"way": "variational", "at": (0,)},
    {"way": "flow", "at": (150, "loss")},
    {"way": "diffusion", "at": (300, "loss")},
    {"way": "autoregressive", "at": (590, "score")},
)
def generators_f(seed, way, at):
    if way == "variational":
        train, test = tasks.bumps()
        net = Variational()
        by = Adam(net.parameters(), lr=2e-3)
        run = Run(net, elbo, batched(train, 32), by, restored(test), 0.8, 500)
    elif way == "flow":
        train, test = tasks.crescents()
        net = Flow()
        by, step = Adam(net.parameters(), lr=4e-3), stepping(unlikely, clip=5.0)
        run = Run(net, unlikely, batched(train, 64), by, above_normal(test), 0.5, 400, step=step)
    elif way == "diffusion":
        train, test = tasks.rosette()
        net = Denoiser()
        by = AdamW(net.live.parameters(), lr=3e-3)
        batches = batched(train, 128)
        run = Run(net, noise_lost, batches, by, above_linear(test), 0.3, 800, step=followed)
    else:
        train, test = tasks.spans()
        net = made(32, 256)
        by = AdamW(net.parameters(), lr=1e-2, weight_decay=0.01)
        step = stepping(pixels, schedule=cosine(1e-2, 600))
        run = Run(net, pixels, batched(train, 64), by, nats_saved(test), 0.54, 600, step=step)
    return run.handed(*at)


def neighbours(train, test, count=400):
    """The share of test examples whose nearest known example, by cosine, is of their class."""
    (known, names), (x, y) = (train[0][:count], train[1][:count]), test

    def number(model):
        body = getattr(model, "body", model)
        a, b = F.normalize(body(x), dim=1), F.normalize(body(known), dim=1)
        return (names[(a @ b.T).argmax(1)] == y).float().mean()

    return examiner(number)


def hardest_triplets(model, batch, margin=0.3):
    x, y = batch
    z = F.normalize(model(x), dim=1)
    far = 1 - z @ z.T
    same = y[:, None] == y
    positive = far.masked_fill(~same, -1).amax(1)
    negative = far.masked_fill(same, 9).amin(1)
    return F.softplus((positive - negative + margin) * 5).mean() / 5


def view(x):
    """Moved, mirrored, paler or brighter, noisier."""
    dy, dx = torch.randint(-2, 3, (2,)).tolist()
    x = x.roll((dy, dx), (2, 3)).flip(3) if torch.rand(()) < 0.5 else x.roll((dy, dx), (2, 3))
    return x * (0.7 + 0.6 * torch.rand(len(x), 1, 1, 1)) + 0.15 * torch.randn_like(x)


def decorrelated(model, batch, weight=0.02):
    """Barlow's twins: the views' correlations should be 1 with themselves, else 0."""
    a, b = (model(view(batch[0])) for _ in range(2))
    a, b = ((z - z.mean(0)) / (z.std(0) + 1e-4) for z in (a, b))
    c = a.T @ b / len(a)
    own = (c.diagonal() - 1).square().sum()
    return own + weight * (c.square().sum() - c.diagonal().square().sum())


def cosine_margin(model, batch, scale=12.0, margin=0.2):
    x, y = batch
    cosines = model(x)
    return F.cross_entropy(scale * (cosines - margin * F.one_hot(y, cosines.shape[1])), y)


def siamese(model, batch, margin=1.0):
    """Near if the same, else at least the margin apart."""
    far = F.pairwise_distance(model(batch["first"]), model(batch["second"]))
    same = batch["same"]
    return (same * far**2 + (1 - same) * (margin - far).clamp(min=0) ** 2).mean()


@BANK.healthy(
    {"way": "triplets", "at": (0,)},
    {"way": "views", "at": (120, "loss")},
    {"way": "margin", "at": (240, "loss")},
    {"way": "siamese", "at": (100, "score")},
)
def embeddings_f(seed, way, at):
    step = None
    if way == "triplets":
        train, test = tasks.tones(2400, 96, 0.3)
        net = ear(16, 24)
        by, loss, goal, steps = Adam(net.parameters(), lr=2e-3), hardest_triplets, 0.95, 300
        batches, step = batched(train, 32), stepping(loss, schedule=cosine(2e-3, 300))
    elif way == "views":
        train, test = tasks.shapes(3000, 14, 0.2)
        net = residual(32, 12)
        by, loss, goal, steps = Adam(net.parameters(), lr=2e-3), decorrelated, 0.75, 300
        batches = batched(train, 64)
    elif way == "margin":
        train, test = tasks.shapes(2400, noise=0.2)
        net = Margin(picture_net(16, 12), 16, 5)
        by = Adam(net.parameters(), lr=2e-3)
        loss, goal, steps, batches = cosine_margin, 0.9, 250, batched(train, 32)
    else:
        train, test = tasks.shapes(1800, 14, 0.15)
        x, y = train
        one, two = torch.randint(len(x), (2, 2048))
        near = torch.rand(2048) < 0.35
        mates = torch.stack([torch.where(y == c)[0][torch.randint(150, (2048,))] for c in range(5)])
        two = torch.where(near, mates[y[one], torch.arange(2048)], two)
        batches = batched(
            [x[one], x[two], (y[one] == y[two]).float()], 32, ("first", "second", "same")
        )
        net = residual(8, 10)
        by, loss, goal, steps = AdamW(net.parameters(), lr=3e-3), siamese, 0.9, 400
    return Run(net, loss, batches, by, neighbours(train, test), goal, steps, step=step).handed(*at)


def residue(model, batch, damp=0.3, speed=2.0):
    """u'' + 2 d u' + w^2 u = 0, and u(0) = 1, u'(0) = 0."""

    def slope(u, t):
        return torch.autograd.grad(u.sum(), t, create_graph=True)[0]

    t = batch[0].clone().requires_grad_()
    u = model(t)
    v = slope(u, t)
    rest = slope(v, t) + 2 * damp * v + speed**2 * u
    zero = torch.zeros(1, 1, requires_grad=True)
    start = model(zero)
    return (
        rest.square().mean()
        + 20 * (start - 1).square().mean()
        + 20 * (slope(start, zero).square().mean())
    )


def solved(damp=0.3, speed=2.0):
    t = torch.linspace(0, 2.5, 100)[:, None]
    w = math.sqrt(speed**2 - damp**2)
    return explained([t, (-damp * t).exp() * ((w * t).cos() + damp / w * (w * t).sin())])


def energies(model, batch):
    return F.l1_loss(model(*batch[:3]), batch[3])


def energy_fit(test):
    *graph, energy = test
    return examiner(lambda m: 1 - F.mse_loss(m(*graph), energy) / energy.var(correction=0))


@BANK.healthy(
    {"way": "equation", "at": (0,)},
    {"way": "field", "at": (100, "loss")},
    {"way": "parameters", "at": (290, "loss")},
    {"way": "molecules", "at": (150, "score")},
)
def science_f(seed, way, at):
    if way == "equation":
        net = dense(1, 32, 32, 1, act=nn.Tanh)
        by, batches = Adam(net.parameters(), lr=5e-3), batched([2.5 * torch.rand(640, 1)], 64)
        step = stepping(residue, schedule=cosine(5e-3, 700))
        return Run(net, residue, batches, by, solved(), 0.9, 700, step=step).handed(*at)
    if way == "field":
        more = {"goal": 0.9, "steps": 200, "at": at}
        more["step"] = partial(stepping, clip=1.0)
        by, task = partial(Adam, lr=5e-3), tasks.swings()
        return learn(task, Field(), by, F.mse_loss, explained, **more)
    if way == "parameters":
        more = {"goal": 0.9, "steps": 300, "at": at}
        more["step"] = partial(stepping, schedule=stairs(0.05, 100, 0.5))
        by = partial(Adam, lr=0.05)
        return learn(tasks.decays(), Ringing(), by, F.mse_loss, explained, **more)
    train, test = tasks.molecules(1200)
    net = Messages()
    by = NAdam(net.parameters(), lr=3e-3)
    return Run(net, energies, batched(train, 32), by, energy_fit(test), 0.8, 350).handed(*at)
