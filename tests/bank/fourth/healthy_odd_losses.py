"""Healthy runs whose loss is a sum, noisy by nature, a reconstruction or a comparison."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import StudentT
from torch.optim import Adam, AdamW, NAdam

from ..runs import accuracy, explained, stepping, unpacked
from . import BANK
from . import tasks_a as tasks
from .nets_a import Recurrent, convnet, first, learn, mlp, whole


class Together(nn.Module):
    """A body, and heads whose outputs come as a tuple; one log variance for each."""

    def __init__(self, body, *heads):
        super().__init__()
        self.body, self.heads = body, nn.ModuleList(heads)
        self.spread = nn.Parameter(torch.zeros(len(heads)))

    def forward(self, x):
        z = self.body(x)
        return tuple(head(z) for head in self.heads)


@whole
def read_and_redraw(model, batch):
    x, y = unpacked(batch)
    out, drawn = model(x)
    size = sum(p.abs().sum() for p in model.body.parameters())
    return F.cross_entropy(out, y) + 5 * F.mse_loss(drawn, x.flatten(1)) + 1e-4 * size


@whole
def weighed_by_uncertainty(model, batch):
    """Kendall's: two tasks, each divided by a variance that is learnt; soon below zero."""
    x, kind, freq = unpacked(batch)
    says, number = model(x)
    terms = torch.stack([F.cross_entropy(says, kind), F.mse_loss(number, freq)])
    return ((-model.spread).exp() * terms + model.spread / 2).sum()


@whole
def logistic_growth(model, batch):
    """A physics-informed net: u' = cos 4t - u, u(0) = 1, and no data."""
    t = unpacked(batch)[0].clone().requires_grad_()
    u = model(t)
    slope = torch.autograd.grad(u.sum(), t, create_graph=True)[0]
    start = model(torch.zeros(1, 1)) - 1
    return (slope - (4 * t).cos() + u).square().mean() + 10 * start.square().sum()


@BANK.healthy(
    {"way": "redraw", "at": (0, None)},
    {"way": "kendall", "at": (200, "loss")},
    {"way": "physics", "at": (200, "loss")},
    {"way": "centre", "at": (100, "score")},
)
def several_terms_in_one_sum(seed, way, at):
    """Class, image and L1; class and frequency; equation and start; class and centre."""
    if way == "redraw":
        model = Together(mlp(64, 48, 24), mlp(24, 10), mlp(24, 64))
        more = {"goal": 0.92, "steps": 400, "at": at}
        by = partial(Adam, lr=4e-3)
        return learn(tasks.digits(), model, by, read_and_redraw, first(accuracy), **more)
    if way == "kendall":
        body = nn.Sequential(convnet(32, 12, 1, nn.BatchNorm1d), nn.ReLU())
        model = Together(body, nn.Linear(32, 4), nn.Linear(32, 1))
        more = {"goal": 0.9, "steps": 200, "at": at, "keys": ("signal", "kind", "freq")}
        by = partial(NAdam, lr=4e-3)
        return learn(tasks.waves(), model, by, weighed_by_uncertainty, first(accuracy), **more)
    if way == "physics":
        t = torch.linspace(0, 2, 200)[:, None]
        test = t, ((4 * t).cos() + 4 * (4 * t).sin() + 16 * (-t).exp()) / 17
        more = {"goal": 0.97, "steps": 400, "at": at, "size": 50}
        net, by = mlp(1, 24, 24, 1, act=nn.Tanh), partial(Adam, lr=1e-2)
        return learn(([2 * torch.rand(500, 1)], test), net, by, logistic_growth, explained, **more)
    model = Together(
        nn.Sequential(convnet(16, 12, norm=nn.BatchNorm2d), nn.ReLU()), nn.Linear(16, 10)
    )
    model.centres = nn.Parameter(torch.randn(10, 16))

    @whole
    def centred(model, batch):
        x, y = unpacked(batch)
        z = model.body(x)
        pull = (z - model.centres[y]).square().sum(1).mean()
        return F.cross_entropy(model.heads[0](z), y) + 0.05 * pull

    more = {"goal": 0.93, "steps": 300, "at": at}
    return learn(tasks.digits(), model, partial(AdamW, lr=5e-3), centred, first(accuracy), **more)


def quantiles(out, y):
    level = torch.tensor([0.5, 0.1, 0.9])
    return torch.maximum(level * (y - out), (level - 1) * (y - out)).mean()


def autoregressive(rows=1800, length=24):
    """A threshold autoregression: the next number is a kinked function of two, plus noise."""
    x = [torch.randn(rows + 500), torch.randn(rows + 500)]
    for _ in range(length + 10):
        mean = 1.2 - 1.6 * x[-1].abs() + 0.3 * x[-2]
        x.append(mean.tanh() * 1.5 + 0.4 * torch.randn(rows + 500))
    x = torch.stack(x[-length - 1 :], 1)
    return tasks.parted(x[:, :-1, None], x[:, -1:])


@BANK.healthy(
    {"way": "student", "at": (0, None)},
    {"way": "weak", "at": (450, "loss")},
    {"way": "prices", "at": (300, "loss")},
    {"way": "series", "at": (130, "loss")},
)
def numbers_drowned_in_noise(seed, way, at):
    """Student's noise; more noise than signal; prices by quantiles; a noisy series."""
    if way == "series":
        net, by = Recurrent(nn.GRU, 1, 24, each=False), partial(Adam, lr=6e-3)
        more = {"goal": 0.75, "steps": 130, "at": at, "step": partial(stepping, clip=1.0)}
        return learn(autoregressive(), net, by, nn.L1Loss(), explained, **more)
    (x, y), (x_test, y_test) = tasks.friedman(6000 if way == "weak" else 2400)
    if way == "student":
        y = y + 0.3 * StudentT(1.5).sample(y.shape)
        more = {"goal": 0.85, "steps": 500, "at": at, "size": 48, "keys": ("features", "target")}
        net, by = mlp(10, 64, 64, 1, norm=nn.BatchNorm1d), partial(Adam, lr=3e-3)
        return learn(([x, y], (x_test, y_test)), net, by, nn.HuberLoss(), explained, **more)
    if way == "weak":
        y = y + 1.2 * torch.randn(y.shape)
        more = {"goal": 0.83, "steps": 450, "at": at, "size": 128}
        net, by = mlp(10, 32, 1, act=nn.Tanh), partial(AdamW, lr=1e-2, weight_decay=0.1)
        return learn(([x, y], (x_test, y_test)), net, by, nn.MSELoss(), explained, **more)
    y = y + 0.4 * torch.randn(y.shape)
    more = {"goal": 0.85, "steps": 400, "at": at, "size": 40}
    net, by = mlp(10, 48, 48, 3, act=nn.ELU), partial(NAdam, lr=3e-3)
    median = first(explained, lambda out: out[:, :1])
    return learn(([x, y], (x_test, y_test)), net, by, quantiles, median, **more)
