"""Healthy runs that generate: variational autoencoders, densities, diffusion."""

import torch
import torch.nn.functional as F
from torch.optim import Adam, AdamW, NAdam, RMSprop

from ..runs import Run, batched, examiner, stepping
from . import BANK
from . import tasks_j as tasks
from .nets_j import (
    VAE,
    ConditionalVAE,
    ConvVAE,
    Flow,
    Quantised,
    Timed,
    pixel_cnn,
)


def divergence(mu, logvar):
    """From the standard normal distribution, summed over everything."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()


def elbo_loss(model, batch):
    """As in PyTorch's examples: sums over pixels and examples."""
    x = batch[0]
    out, mu, logvar = model(x)
    return F.binary_cross_entropy(out, x.flatten(1), reduction="sum") + divergence(mu, logvar)


def saved_by_model(train, test, nats):
    """The share of nats saved against pixels drawn one by one with their own frequencies."""
    p = train.mean(0, keepdim=True).clamp(0.01, 0.99).expand_as(test)
    plain = F.binary_cross_entropy(p, test, reduction="sum")
    return examiner(lambda model: 1 - nats(model, test) / plain)


def plain_vae():
    (x, _), (held, _) = tasks.digits(binary=True)
    model = VAE(64, 128, 8)
    optimizer = Adam(model.parameters(), lr=2e-3)
    judge = saved_by_model(x, held, lambda model, test: elbo_loss(model, (test,)))
    return Run(model, elbo_loss, batched((x,), 64), optimizer, judge, 0.2, 1200)


def warmed_loss(model, batch, warm=150, beta=0.3):
    x = batch["image"]
    out, mu, logvar = model(x)
    weight = beta * (model.seen / warm).clamp(max=1)
    return ((out - x).square().sum() / 0.1 + weight * divergence(mu, logvar)) / len(x)


def counted(loss, **more):
    """A step that also counts for the model's own warm-up."""
    plain = stepping(loss, **more)

    def step(model, optimizer, batch):
        value = plain(model, optimizer, batch)
        model.seen += 1
        return value

    return step


def rebuilt(test, mean, build):
    """The share of the pictures' square distance to the mean one that is kept."""
    plain = (test - mean).square().mean()
    return examiner(lambda model: 1 - (build(model, test) - test).square().mean() / plain)


def colour_vae():
    x, *_ = tasks.one_figure(900, noise=0.03)
    (x,), (held,) = tasks.split(x)
    model = ConvVAE(16, 16)
    optimizer = AdamW(model.parameters(), lr=3e-3, weight_decay=1e-4)
    judge = rebuilt(held, x.mean((0, 2, 3)).view(1, 3, 1, 1), lambda model, x: model(x)[0])
    batches = batched((x,), 32, ("image",))
    step = counted(warmed_loss, clip=50.0)
    return Run(model, warmed_loss, batches, optimizer, judge, 0.68, 600, step=step)


def conditional_loss(model, batch):
    x, y = batch
    out, mu, logvar = model(x.flatten(1), y)
    same = F.binary_cross_entropy_with_logits(out, x.flatten(1), reduction="sum")
    return (same + divergence(mu, logvar)) / len(x)


def called_right(train):
    """The share of made digits whose nearest true ones are of the class that was asked for."""
    x, y = train
    asked = torch.arange(10).repeat(40)

    def number(model):
        made = model.sample(asked)
        near = y[torch.cdist(made, x.flatten(1)).topk(5, 1, largest=False).indices]
        return (near.mode(1).values == asked).float().mean()

    return examiner(number)


def asked_for():
    train, test = tasks.digits(share=0.8)
    model = ConditionalVAE()
    optimizer = NAdam(model.parameters(), lr=2e-3)
    batches = batched(train, 48)
    return Run(model, conditional_loss, batches, optimizer, called_right(test), 0.9, 600)


def code_loss(model, batch):
    out, extra = model(batch[0])
    return F.mse_loss(out, batch[0]) / 0.13 + extra


def code_book():
    (x, _), (held, _) = tasks.digits()
    model = Quantised()
    optimizer = Adam(model.parameters(), lr=3e-3)
    judge = rebuilt(held, x.mean(0), lambda model, x: model(x)[0])
    return Run(model, code_loss, batched((x,), 48), optimizer, judge, 0.75, 450)


@BANK.healthy(
    {"make": plain_vae, "at": (0, None)},
    {"make": colour_vae, "at": (240, "loss")},
    {"make": asked_for, "at": (570, "loss")},
    {"make": code_book, "at": (0, None)},
)
def variational_j(seed, make, at):
    return make().handed(*at)


def likelihood_loss(model, batch):
    return -model(batch[0]).mean()


def gauss_fit(train, test):
    """The mean log-density of test points under the normal distribution fitted to the others."""
    fit = torch.distributions.MultivariateNormal(train.mean(0), train.T.cov())
    return fit.log_prob(test).mean()


def coupling():
    (x, _), (held, _) = tasks.moons(3000)
    model = Flow(8)
    optimizer = Adam(model.parameters(), lr=4e-3)
    base = gauss_fit(x, held)
    judge = examiner(lambda model: model(held).mean() - base)
    step = stepping(likelihood_loss, clip=5.0, schedule=lambda done: 4e-3 * (1 - done / 910))
    batches = batched((x,), 128)
    return Run(model, likelihood_loss, batches, optimizer, judge, 0.75, 900, step=step)


def spread(a, b):
    """The energy distance of two clouds of points."""
    return 2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()


def like_the_data(train, test, sample):
    """How much closer samples come than those of a fitted normal distribution."""
    fit = torch.distributions.MultivariateNormal(train.mean(0), train.T.cov())
    plain = spread(fit.sample((1000,)), test)
    return examiner(lambda model: 1 - spread(sample(model), test) / plain)


LEFT = torch.cumprod(1 - torch.linspace(0.002, 0.2, 40), 0)


def noise_loss(model, batch):
    """Ho's: guess the noise that was added at a random time."""
    x = batch[0]
    t = torch.randint(len(LEFT), (len(x),))
    noise = torch.randn_like(x)
    mixed = LEFT[t].sqrt()[:, None] * x + (1 - LEFT[t]).sqrt()[:, None] * noise
    return F.mse_loss(model(mixed, t / len(LEFT)), noise)


def denoised(model, n=800):
    """Ancestral sampling with the slow weights."""
    x = torch.randn(n, 2)
    before = torch.cat([torch.ones(1), LEFT[:-1]])
    for t in reversed(range(len(LEFT))):
        guess = model(x, torch.full((n,), t / len(LEFT)), slow=True)
        a = LEFT[t] / before[t]
        x = (x - (1 - a) / (1 - LEFT[t]).sqrt() * guess) / a.sqrt()
        if t:
            spare = (1 - a) * (1 - before[t]) / (1 - LEFT[t])
            x = x + spare.sqrt() * torch.randn_like(x)
    return x


def following(loss, **more):
    plain = stepping(loss, **more)

    def step(model, optimizer, batch):
        value = plain(model, optimizer, batch)
        model.follow()
        return value

    return step


def diffusion():
    (x, _), (held, _) = tasks.swirl(3000)
    model = Timed(96, average=0.99)
    optimizer = AdamW(model.net.parameters(), lr=3e-3, weight_decay=1e-4)
    judge = like_the_data(x, held, denoised)
    step = following(noise_loss)
    batches = batched((x,), 128)
    return Run(model, noise_loss, batches, optimizer, judge, 0.7, 1800, step=step)


def matching_loss(model, batch):
    """Conditional flow matching on straight lines."""
    x, y = batch["x"], batch["y"]
    start, t = torch.randn_like(x), torch.rand(len(x))
    at = (1 - t)[:, None] * start + t[:, None] * x
    return (model(at, t, y) - (x - start)).square().sum(1).mean()


def arrived(test, clouds, within=0.5):
    """The share of points led from noise to the cloud that was asked for."""
    asked = torch.arange(clouds).repeat(50)
    centre = torch.stack([test[0][test[1] == k].mean(0) for k in range(clouds)])

    def number(model):
        x = torch.randn(len(asked), 2)
        for k in range(25):
            x = x + model(x, torch.full((len(x),), k / 25), asked) / 25
        return ((x - centre[asked]).norm(dim=1) < within).float().mean()

    return examiner(number)


def matching():
    train, test = tasks.ring_of_clouds(3000)
    model = Timed(48, classes=8)
    optimizer = RMSprop(model.parameters(), lr=2e-3)
    batches = batched(train, 100, ("x", "y"))
    step = stepping(matching_loss, schedule=lambda done: 2e-3 * min(1, 2 - done / 400))
    return Run(model, matching_loss, batches, optimizer, arrived(test, 8), 0.85, 750, step=step)


def pixel_loss(model, batch):
    x = batch[0]
    return F.binary_cross_entropy_with_logits(model(x), x, reduction="none").sum((1, 2, 3)).mean()


def pixel_by_pixel():
    (x, _), (held, _) = tasks.digits(binary=True)
    model = pixel_cnn(24)
    optimizer = Adam(model.parameters(), lr=2e-3)
    judge = saved_by_model(x, held, lambda model, test: pixel_loss(model, (test,)) * len(test))
    return Run(model, pixel_loss, batched((x,), 32), optimizer, judge, 0.2, 500)


@BANK.healthy(
    {"make": coupling, "at": (0, None)},
    {"make": diffusion, "at": (900, "loss")},
    {"make": matching, "at": (720, "loss")},
    {"make": pixel_by_pixel, "at": (485, "score")},
)
def densities_j(seed, make, at):
    return make().handed(*at)
