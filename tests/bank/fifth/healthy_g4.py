"""Healthy runs that generate, that learn a distance, and that follow an equation."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Adam, AdamW, NAdam, RMSprop

from ..runs import Run, batched, examiner, stepping
from . import BANK
from . import tasks_g as tasks
from .nets_g import (
    Bonds,
    Couplings,
    Denoiser,
    Dynamics,
    Variational,
    dense,
    lenet,
    listener,
    made,
    neighbour,
    several,
    share_explained,
)


def variational_digits():
    """The loss of PyTorch's example: a sum over pixels and images."""
    train, (held, _) = tasks.digits()
    model = Variational(64, 96, 8)
    optimizer = Adam(model.parameters(), lr=2e-3)

    def loss(model, batch):
        x = batch[0].flatten(1)
        out, mean, log_var = model(x)
        kl = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum()
        return F.binary_cross_entropy_with_logits(out, x, reduction="sum") + kl

    def number(model):
        x = held.flatten(1)
        rest = (model(x)[0].sigmoid() - x).square().mean()
        return 1 - rest / (x - x.mean(0)).square().mean()

    return Run(model, loss, batched(train, 64), optimizer, examiner(number), 0.4, 500)


def flowing_swirls():
    train, (held,) = tasks.swirls(4000)
    model = Couplings(8, 48)
    optimizer = Adam(model.parameters(), lr=3e-3)

    def loss(model, batch):
        return -model(batch[0]).mean()

    def number(model):
        normal = torch.distributions.MultivariateNormal(train[0].mean(0), train[0].T.cov())
        return (model(held) - normal.log_prob(held)).mean()

    step = stepping(loss, clip=5.0)
    batches = batched(train, 128)
    return Run(model, loss, batches, optimizer, examiner(number), 0.3, 500, step=step)


KEPT = torch.cos(torch.linspace(0.1, 1.5, 20)).square()


def noised(x, t, noise):
    return KEPT[t, None].sqrt() * x + (1 - KEPT[t, None]).sqrt() * noise


def diffused_digits():
    """The noise is to be guessed, at a time drawn anew for each image."""
    (x, _), (held, _) = tasks.digits()
    x, held = (2 * part.flatten(1) - 1 for part in (x, held))
    model = Denoiser(64, 128, 20)
    optimizer = AdamW(model.parameters(), lr=2e-3)

    def loss(model, batch):
        clean = batch["pixel_values"]
        t, noise = torch.randint(20, (len(clean),)), torch.randn_like(clean)
        return F.mse_loss(model(noised(clean, t, noise), t), noise)

    t, noise = torch.randint(20, (len(held),)), torch.randn_like(held)

    def number(model):
        return 1 - (model(noised(held, t, noise), t) - noise).square().mean()

    batches = batched([x], 64, ("pixel_values",))
    return Run(model, loss, batches, optimizer, examiner(number), 0.5, 600)


def pixel_after_pixel():
    """Black and white digits, each pixel from those before it."""
    (x, _), (held, _) = tasks.digits()
    x, held = ((part.flatten(1) > 0.5).float() for part in (x, held))
    model = made(64, 200)
    optimizer = RMSprop(model.parameters(), lr=2e-3)

    def bits(model, images):
        return F.binary_cross_entropy_with_logits(model(images), images) * 64 / math.log(2)

    def number(model):
        p = x.mean(0).clamp(0.01, 0.99)
        return 1 - bits(model, held) / (F.binary_cross_entropy(p.expand_as(held), held) * 92.33)

    def loss(model, batch):
        return bits(model, batch[0])

    return Run(model, loss, batched([x], 48), optimizer, examiner(number), 0.2, 1000)


@BANK.healthy(
    {"make": variational_digits, "at": (0, None)},
    {"make": flowing_swirls, "at": (250, "loss")},
    {"make": diffused_digits, "at": (590, "loss")},
    {"make": pixel_after_pixel, "at": (120, "loss")},
)
def generators_g(seed, make, at):
    return make().handed(*at)


def triplets(model, batch):
    """The hardest of the batch, of the same class and of others."""
    x, y = batch
    z = F.normalize(model(x), dim=1)
    far = (2 - 2 * z @ z.T).clamp(min=1e-6).sqrt()
    same = y[:, None] == y
    near = far.masked_fill(same, 9.0).amin(1)
    return F.softplus(5 * (far.masked_fill(~same, 0.0).amax(1) - near)).mean()


def hard_triplets():
    train, test = [part[:2] for part in tasks.chirps(2400, noise=0.3)]
    model = listener(16)
    optimizer = Adam(model.parameters(), lr=3e-3)
    examine = neighbour(train, test)
    return Run(model, triplets, batched(train, 64), optimizer, examine, 0.85, 300)


def two_views(model, batch):
    """NT-Xent of two views of each signal: shifted, scaled and noisy."""

    def view(x):
        x = x.roll(int(torch.randint(-8, 9, ())), 2) * (0.7 + 0.6 * torch.rand(len(x), 1, 1))
        return x + 0.1 * torch.randn_like(x)

    z = F.normalize(model(torch.cat([view(batch["x"]), view(batch["x"])])), dim=1)
    close = (z @ z.T / 0.2).fill_diagonal_(-1e9)
    half = len(z) // 2
    return F.cross_entropy(close, torch.arange(2 * half).roll(half))


def signals_seen_twice():
    train, test = tasks.chirps(2400, noise=0.2)
    model = listener(16)
    optimizer = AdamW(model.parameters(), lr=3e-3)
    batches = batched(train[:1], 96, ("x",))
    examine = neighbour(train, test, lambda model, x: model[:-1](x))
    return Run(model, two_views, batches, optimizer, examine, 0.75, 200)


def episodes(x, y, count, ways=5, shots=3, asked=5):
    """Tasks of a few classes: examples, questions, and which of the classes they are."""
    made = []
    for _ in range(count):
        classes = torch.randperm(int(y.max()) + 1)[:ways]
        rows = [(y == c).nonzero()[:, 0] for c in classes]
        rows = torch.stack([r[torch.randperm(len(r))[: shots + asked]] for r in rows])
        support, query = x[rows[:, :shots]], x[rows[:, shots:]].flatten(0, 1)
        made.append((support, query, torch.arange(ways).repeat_interleave(asked)))
    return made


def from_prototypes(model, support, query):
    ways, shots = support.shape[:2]
    centres = model(support.flatten(0, 1)).view(ways, shots, -1).mean(1)
    return -torch.cdist(model(query), centres).square()


def prototypes():
    (x, y), (held, truth) = tasks.digits()
    model = lenet(32, 8)
    optimizer = Adam(model.parameters(), lr=2e-3)
    tests = episodes(held, truth, 40)

    def loss(model, batch):
        support, query, target = batch
        return F.cross_entropy(from_prototypes(model, support, query), target)

    def number(model):
        right = [(from_prototypes(model, s, q).argmax(1) == t).float().mean() for s, q, t in tests]
        return torch.stack(right).mean()

    return Run(model, loss, episodes(x, y, 300), optimizer, examiner(number), 0.9, 600)


class Pair(nn.Module):
    """Two towers and a temperature that is learnt."""

    def __init__(self, a, b, width=24):
        super().__init__()
        self.left, self.right = dense(a, 64, width), dense(b, 64, width)
        self.scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, a, b):
        a, b = F.normalize(self.left(a), dim=1), F.normalize(self.right(b), dim=1)
        return self.scale.clamp(max=4.6).exp() * a @ b.T


def matched(model, batch):
    close = model(batch["upper"], batch["lower"])
    target = torch.arange(len(close))
    return (F.cross_entropy(close, target) + F.cross_entropy(close.T, target)) / 2


def two_towers():
    """Two measurements of the same hidden thing are to find each other."""
    hidden = torch.randn(4000, 6)
    one, two = torch.randn(6, 20), torch.randn(6, 16)
    upper = torch.tanh(hidden @ one) + 0.05 * torch.randn(4000, 20)
    lower = torch.sin(hidden @ two) + 0.05 * torch.randn(4000, 16)
    train, test = tasks.split(upper, lower, share=0.9)
    model = Pair(20, 16)
    optimizer = AdamW(model.parameters(), lr=2e-3)

    def number(model):
        close = model(test[0][:100], test[1][:100])
        return (close.argmax(1) == torch.arange(100)).float().mean()

    batches = batched(train, 100, ("upper", "lower"))
    return Run(model, matched, batches, optimizer, examiner(number), 0.6, 900)


@BANK.healthy(
    {"make": hard_triplets, "at": (0, None)},
    {"make": signals_seen_twice, "at": (190, "loss")},
    {"make": prototypes, "at": (150, "score")},
    {"make": two_towers, "at": (0, None)},
)
def learnt_distances_g(seed, make, at):
    return make().handed(*at)


def slope(y, x):
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0]


def sprung(model, batch):
    """u'' + 0.6 u' + 4 u = 0, u(0) = 1, u'(0) = 0: the equation, and the start."""
    t = batch[0].clone().requires_grad_()
    u = model(t)
    speed = slope(u, t)
    rest = slope(speed, t) + 0.6 * speed + 4 * u
    zero = torch.zeros(1, 1, requires_grad=True)
    first = model(zero)
    start = (first - 1).square() + slope(first, zero).square()
    return rest.square().mean() + 10 * start.mean()


def damped_spring():
    model = dense(1, 32, 32, 1, act=nn.Tanh)
    optimizer = Adam(model.parameters(), lr=5e-3)
    t = torch.linspace(0, 4, 200)[:, None]
    turn = math.sqrt(4 - 0.09)
    exact = (-0.3 * t).exp() * (torch.cos(turn * t) + 0.3 / turn * torch.sin(turn * t))

    def number(model):
        return 1 - (model(t) - exact).square().mean() / exact.var(correction=0)

    batches = [(4 * torch.rand(64, 1),) for _ in range(20)]
    schedule = partial(halved, rate=5e-3)
    step = stepping(sprung, schedule=schedule)
    return Run(model, sprung, batches, optimizer, examiner(number), 0.9, 1500, step=step)


def halved(done, rate, every=500):
    return rate * 0.5 ** (done // every)


def energy_and_force(model, x):
    with torch.enable_grad():
        x = x.clone().requires_grad_()
        energy = model(x)[:, 0]
        force = -torch.autograd.grad(energy.sum(), x, create_graph=model.training)[0]
    return energy, force


def forces_too():
    """A potential, learnt from energies and from forces, its negative gradient."""
    train, (held, _, truth) = tasks.springs(2400)
    model = dense(6, 64, 64, 1, act=nn.SiLU)
    optimizer = Adam(model.parameters(), lr=4e-3)

    def loss(model, batch):
        x = batch["place"].clone().requires_grad_()
        energy = model(x)[:, 0]
        force = -slope(energy, x)
        return F.mse_loss(energy, batch["energy"]) + 5 * F.mse_loss(force, batch["force"])

    def number(model):
        force = energy_and_force(model, held)[1].detach()
        return 1 - (force - truth).square().mean() / truth.var(correction=0)

    batches = batched(train, 64, ("place", "energy", "force"))
    return Run(model, loss, batches, optimizer, examiner(number), 0.8, 500)


def followed_pendulum():
    """A differential equation's right side, learnt through twelve steps of its solution."""
    train, test = tasks.orbits(600)
    model = Dynamics()
    optimizer = NAdam(model.parameters(), lr=4e-3)
    loss = several(F.mse_loss)
    step = stepping(loss, clip=1.0)
    batches = batched(train, 32)
    return Run(model, loss, batches, optimizer, share_explained(test), 0.93, 250, step=step)


def energies_of_graphs():
    train, test = tasks.molecules(1800)
    model = Bonds(width=24)
    optimizer = AdamW(model.parameters(), lr=4e-3)
    loss = several(F.l1_loss)
    step = stepping(loss, clip=10.0, schedule=partial(halved, rate=4e-3, every=150))
    batches = batched(train, 48, ("kind", "adjacency", "real", "energy"))
    return Run(model, loss, batches, optimizer, share_explained(test), 0.85, 300, step=step)


@BANK.healthy(
    {"make": damped_spring, "at": (700, "loss")},
    {"make": forces_too, "at": (0, None)},
    {"make": followed_pendulum, "at": (100, "score")},
    {"make": energies_of_graphs, "at": (295, "loss")},
)
def equations_and_molecules_g(seed, make, at):
    return make().handed(*at)
