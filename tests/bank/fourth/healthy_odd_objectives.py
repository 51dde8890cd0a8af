"""Healthy runs without labels in the usual sense: reconstructions and comparisons."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Adam, Adamax, AdamW, RMSprop

from ..runs import examiner, explained, stepping, unpacked
from . import BANK
from . import tasks_a as tasks
from .nets_a import Bag, convnet, first, learn, mlp, momentum, whole


class Variational(nn.Module):
    """Logits of the image (or numbers), mean and log variance; the mean is taken in eval mode."""

    def __init__(self, inputs, width, latent):
        super().__init__()
        self.enc = nn.Sequential(mlp(inputs, width, width), nn.ReLU())
        self.mu, self.logvar = nn.Linear(width, latent), nn.Linear(width, latent)
        self.dec = mlp(latent, width, inputs)

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        noise = (logvar / 2).exp() * torch.randn_like(mu)
        return self.dec(mu + noise if self.training else mu), mu, logvar


@whole
def elbo(model, batch):
    """Summed over pixels and examples, as in PyTorch's example: thousands."""
    x = unpacked(batch)[0].flatten(1)
    out, mu, logvar = model(x)
    rest = F.binary_cross_entropy_with_logits(out, x, reduction="sum")
    return rest - 0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()


@whole
def denoised(model, batch):
    x = unpacked(batch)[0]
    return F.mse_loss(model(x + 0.5 * torch.randn_like(x)), x)


@whole
def summed(model, batch):
    x = unpacked(batch)[0]
    return F.mse_loss(model(x), x, reduction="sum")


@whole
def sparse(model, batch):
    x = unpacked(batch)[0]
    code = model[:-1](x)
    return (model[-1](code) - x).square().sum(1).mean() + 0.05 * code.abs().sum(1).mean()


def redrawn(test, spoil=lambda x: x):
    """The share of the pixels' variance that is redrawn, over all of them."""
    x = test[0]
    return explained([spoil(x), x])


def noisy(x):
    """Noise, the same for every examination."""
    return x + 0.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))


def filters(width=16):
    conv = partial(nn.Conv1d, kernel_size=9, padding=4)
    layers = [conv(1, width), nn.LeakyReLU(), conv(width, width), nn.LeakyReLU(), conv(width, 1)]
    return nn.Sequential(*layers)


def curved(n=1500):
    """Thirty waves over three coordinates, and some noise."""
    z = 3 * torch.rand(n + 500, 3) - 1.5
    x = (z @ torch.randn(3, 30) + 3 * torch.rand(30)).sin()
    return tasks.parted(x + 0.1 * torch.randn_like(x))


def mixtures(n=1500):
    """Forty numbers, of three atoms out of thirty."""
    use = (torch.rand(n + 500, 30) < 0.1) * (0.5 + torch.rand(n + 500, 30))
    return tasks.parted(use @ F.normalize(torch.randn(30, 40), dim=1) * 2)


@BANK.healthy(
    {"way": "vae", "at": (400, "loss")},
    {"way": "denoising", "at": (150, "loss")},
    {"way": "curved", "at": (0, None)},
    {"way": "sparse", "at": (100, "score")},
)
def redrawn_from_a_code(seed, way, at):
    """VAE of images; denoised signals; a curved space, errors summed; a sparse code with decay."""
    if way == "vae":
        (x, _), (x_test, _) = tasks.digits()
        test = [x_test, x_test.flatten(1)]
        net, judge = Variational(64, 96, 8), first(explained, lambda out: out[0].sigmoid())
        more = {"goal": 0.68, "steps": 400, "at": at, "size": 64}
        return learn(([x], test), net, partial(Adam, lr=3e-3), elbo, judge, **more)
    if way == "denoising":
        net, by = filters(), partial(AdamW, lr=4e-3)
        more = {"goal": 0.85, "steps": 300, "at": at, "keys": ("signal",)}
        task = [part[:1] for part in tasks.waves(1500, 0.0)]
        judge = partial(redrawn, spoil=noisy)
        return learn(task, net, by, denoised, judge, **more)
    if way == "curved":
        net = nn.Sequential(mlp(30, 80, 5, act=nn.SiLU), mlp(5, 80, 30, act=nn.SiLU))
        more = {"goal": 0.83, "steps": 1200, "at": at}
        more["step"] = partial(stepping, schedule=lambda i: 3e-3 * (1 - i / 1200))
        return learn(curved(), net, partial(RMSprop, lr=3e-3), summed, redrawn, **more)
    net = nn.Sequential(nn.Linear(40, 60), nn.ReLU(), nn.Linear(60, 40))
    more = {"goal": 0.85, "steps": 500, "at": at, "size": 50}
    return learn(mixtures(), net, partial(Adamax, lr=1e-2), sparse, redrawn, **more)


def changed(x):
    """Another view: shifted by a pixel at most, brighter or darker, noisy."""
    x = x.roll(tuple(torch.randint(-1, 2, (2,)).tolist()), (2, 3))
    return x * (0.7 + 0.6 * torch.rand(len(x), 1, 1, 1)) + 0.05 * torch.randn_like(x)


def alike(a, b, heat):
    """InfoNCE, both ways round."""
    logits = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / heat
    own = torch.arange(len(a))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


@whole
def views(model, batch):
    x = unpacked(batch)[0]
    return alike(model(changed(x)), model(changed(x)), 0.2)


class Towers(nn.Module):
    """As CLIP: a tower for signals, one for what is told of them, and a learnt temperature."""

    def __init__(self):
        super().__init__()
        self.left, self.right = convnet(16, 12, 1, nn.BatchNorm1d), mlp(5, 48, 16)
        self.heat = nn.Parameter(torch.tensor(2.0))

    def forward(self, x, told):
        return F.normalize(self.left(x), dim=1), F.normalize(self.right(told), dim=1)


@whole
def matched(model, batch):
    x, told = unpacked(batch)
    return alike(*model(x, told), (-model.heat).exp())


def found(pairs, among=50, best=5):
    """How often the partner is among the first five, among 50."""

    def number(model):
        a, b = (F.normalize(z, dim=1).split(among) for z in pairs(model))
        ranks = torch.stack([u @ v.T for u, v in zip(a, b, strict=True)])
        own = ranks.diagonal(dim1=1, dim2=2)[..., None]
        return ((ranks > own).sum(2) < best).float().mean()

    return examiner(number)


def neighbours(test, centres=250):
    """The second half's labels by the three nearest of the first half, in the model's space."""

    def number(model):
        z, y = model(test[0]), test[1]
        near = torch.cdist(z[centres:], z[:centres]).topk(3, largest=False).indices
        return (y[:centres][near].mode(1).values == y[centres:]).float().mean()

    return examiner(number)


@whole
def hardest(model, batch, margin=0.5):
    """Batch-hard triplets: every loss is kept up by the hardest ones."""
    x, y = unpacked(batch)
    gaps, same = torch.cdist(*[F.normalize(model(x), dim=1)] * 2), y[:, None] == y
    far, near = (gaps * same).amax(1), (gaps + 9.0 * same).amin(1)
    return F.softplus((far - near + margin) * 4).mean() / 4


@whole
def pairwise(model, batch):
    """Contrastive loss of Hadsell: all pairs of a batch."""
    x, y = unpacked(batch)
    z = model(x)
    gap, same = (z[:, None] - z + 1e-6).norm(dim=2), (y[:, None] == y).float()
    return (same * gap.square() + (1 - same) * (2 - gap).clamp(min=0).square()).mean()


@BANK.healthy(
    {"way": "views", "at": (0, None)},
    {"way": "towers", "at": (100, "loss")},
    {"way": "triplets", "at": (125, "loss")},
    {"way": "pairs", "at": (60, None)},
)
def learnt_by_comparing(seed, way, at):
    """Two views of an image; signals and descriptions; batch-hard triplets; pairs of texts."""
    if way == "views":
        (x, _), (x_test, _) = tasks.digits()
        other = changed(x_test)
        net, by = mlp(64, 128, 32), partial(AdamW, lr=3e-3)
        more = {"goal": 0.8, "steps": 400, "at": at, "size": 64}
        judge = found(lambda model: (model(changed(x_test)), model(other)))
        return learn(([x], [x_test]), net, by, views, lambda _: judge, **more)
    if way == "towers":
        task = tasks.waves(2000, 0.2)
        task = [[x, torch.cat([F.one_hot(k, 4), f - 3.5], 1)] for x, k, f in task]
        judge = found(lambda model: model(*task[1]))
        step = partial(stepping, clip=1.0)
        more = {"goal": 0.9, "steps": 200, "at": at, "size": 64, "keys": ("signal", "text")}
        by = partial(Adam, lr=3e-3)
        return learn(task, Towers(), by, matched, lambda _: judge, step=step, **more)
    if way == "triplets":
        net, by = convnet(16, 12, act=nn.ELU), partial(momentum, lr=0.05)
        more = {"goal": 0.95, "steps": 250, "at": at, "size": 40}
        return learn(tasks.digits(), net, by, hardest, neighbours, **more)
    more = {"goal": 0.9, "steps": 300, "at": at, "size": 40}
    net = Bag(24, 32, 8, drop=0.1)
    return learn(tasks.tickets(1600), net, partial(Adam, lr=1e-2), pairwise, neighbours, **more)
