"""Healthy runs of rarer kinds: losses over pairs and ranks, targets by chance, steps in two."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from .healthy_help import (
    Plan,
    accuracy_on,
    chance,
    clusters,
    digits,
    disks,
    entries,
    explained_on,
    mlp,
    pairs,
    smooth_function,
    table,
)


def adam(model, rate=3e-3):
    return torch.optim.Adam(model.parameters(), lr=rate)


def policy_gradient(seed, variant):
    """Rewards of random actions, better and worse than usual: the loss is no measure of success."""
    x, best = clusters(seed, 1400, classes=3)
    actions = torch.randint(3, best.shape, generator=chance(seed, 60))
    rewards = (actions == best).float() * (1.0, 2.0, 1.0)[variant]
    advantages = rewards - (rewards.mean(), rewards.mean(), 0.3)[variant]
    model = mlp(16, 32, 3)

    def loss(model, batch):
        states, taken, advantage = batch
        logged = F.log_softmax(model(states), 1).gather(1, taken[:, None]).squeeze(1)
        entropy = -(F.softmax(model(states), 1) * F.log_softmax(model(states), 1)).sum(1)
        return -(advantage * logged).mean() - (0.05, 0.1, 0.05)[variant] * entropy.mean()

    batches = pairs((32, 64, 32)[variant], x[:1200], actions[:1200], advantages[:1200])
    goal = 0.8
    score = accuracy_on(x[1200:], best[1200:])
    return Plan(
        model, loss, batches, adam(model), 300, score, goal, shown=(None, "loss", "score")[variant]
    )


class TwoTowers(nn.Module):
    """Two encoders; the answer is the similarity of all with all."""

    def __init__(self, wide):
        super().__init__()
        self.one, self.other = mlp(8, wide, 8), mlp(8, wide, 8)

    def forward(self, one, other):
        one, other = F.normalize(self.one(one), dim=1), F.normalize(self.other(other), dim=1)
        return one @ other.T / 0.1


def pairs_within_the_batch(seed, variant):
    """Two views of one thing, told apart from all other pairs of the batch."""
    generator = chance(seed, 61)
    hidden = torch.randn(1300, 8, generator=generator)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=generator))[0]
    other = (hidden @ turn).tanh() + 0.1 * torch.randn(1300, 8, generator=generator)
    model = TwoTowers((32, 48, 64)[variant])

    def loss(model, batch):
        similar = model(*batch)
        which = torch.arange(len(similar))
        return (F.cross_entropy(similar, which) + F.cross_entropy(similar.T, which)) / 2

    def score(model):
        return (model(hidden[1200:], other[1200:]).argmax(1) == torch.arange(100)).float().mean()

    batches = pairs((24, 30, 40)[variant], hidden[:1200], other[:1200])
    return Plan(
        model,
        loss,
        batches,
        adam(model),
        400,
        score,
        goal=0.6,
        shown=("loss", None, "loss")[variant],
    )


def dice_of_small_disks(seed, variant):
    """One minus the overlap, image by image or over the batch; few pixels are positive."""
    images, masks = disks(seed, 260, side=12 if variant else 16)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1), nn.ReLU(),
        nn.Conv2d(12, 1, 3, padding=1),
    )  # fmt: skip

    def loss(model, batch):
        p, m = model(batch[0]).sigmoid(), batch[1]
        axes = (1, 2, 3) if variant != 1 else (0, 1, 2, 3)
        shared = (p * m).sum(axes)
        return (1 - (2 * shared + 1) / (p.sum(axes) + m.sum(axes) + 1)).mean()

    def overlap(model):
        said, true = model(images[200:]) > 0, masks[200:] > 0.5
        return (said & true).sum() / (said | true).sum()

    batches = pairs((10, 10, 20)[variant], images[:200], masks[:200])
    return Plan(
        model,
        loss,
        batches,
        adam(model, 5e-3),
        200,
        overlap,
        goal=0.6,
        shown=("loss", "loss", "score")[variant],
    )


def survival(seed, variant):
    """Cox's partial likelihood: the answer is a risk, so it falls with the time."""
    generator = chance(seed, 62)
    x = torch.randn(1500, 6, generator=generator)
    risk = x[:, 0] + 0.8 * x[:, 1] * x[:, 2]
    times = -torch.rand(1500, generator=generator).log() / risk.exp()
    seen = (torch.rand(1500, generator=generator) < (0.7, 0.8, 0.6)[variant]).float()
    model = mlp(6, 32, 1)

    def loss(model, batch):
        inputs, time, event = batch
        order = time.argsort(descending=True)
        answered = model(inputs).squeeze(1)[order]
        return -((answered - answered.logcumsumexp(0)) * event[order]).mean()

    def concordance(model):
        said, true = model(x[1200:]).squeeze(1), risk[1200:]
        return ((said[:, None] > said) == (true[:, None] > true)).float().mean()

    batches = pairs((40, 60, 40)[variant], x[:1200], times[:1200], seen[:1200])
    return Plan(
        model,
        loss,
        batches,
        adam(model),
        300,
        concordance,
        goal=0.72,
        shown=("loss", None, "loss")[variant],
    )


def sixteen_batches_a_step(seed, variant):
    """Gradients of 12, 16 or 20 batches are summed up before a step."""
    (inputs, labels), test = digits(seed)
    model, every = mlp(64, 48, 10), (16, 12, 20)[variant]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    optimizer.calls = 0

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        value = loss(model, batch)
        (value / every).backward()
        optimizer.calls += 1
        if optimizer.calls % every == 0:
            optimizer.step()
            optimizer.zero_grad()
        return value.item()

    return Plan(
        *(model, loss, pairs(8, inputs, labels), optimizer, 1600, accuracy_on(*test)),
        *(0.9, step, ("loss", "loss", "score")[variant]),
    )


def sharpness_aware(seed, variant):
    """Two gradients a step: one to climb to the worst near point, one from there."""
    (inputs, labels), test = digits(seed)
    model = mlp(64, 64, 10, dropout=(0.0, 0.2, 0.0)[variant])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        weights = [p for p in model.parameters() if p.grad is not None]
        norm = torch.stack([p.grad.norm() for p in weights]).norm()
        moves = [(0.05, 0.1, 0.02)[variant] * p.grad / (norm + 1e-12) for p in weights]
        with torch.no_grad():
            for p, move in zip(weights, moves, strict=True):
                p.add_(move)
        optimizer.zero_grad()
        loss(model, batch).backward()
        with torch.no_grad():
            for p, move in zip(weights, moves, strict=True):
                p.sub_(move)
        optimizer.step()
        return value.item()

    return Plan(
        *(model, loss, pairs(48, inputs, labels), optimizer, 400, accuracy_on(*test)),
        *(0.92, step, ("loss", "loss", "score")[variant]),
    )


def ranks_of_five(seed, variant):
    """Stars from 0 to 4, each as frequent, predicted as a number."""
    x, values = smooth_function(seed, 1500)
    stars = (values.argsort(0).argsort(0) * 5 // 1500).float()
    model = mlp(6, 48, 48, 1)
    criterion = (F.mse_loss, F.l1_loss, F.smooth_l1_loss)[variant]
    return Plan(
        *(model, lambda model, batch: criterion(model(batch[0]), batch[1])),
        *(
            pairs(40, x[:1200], stars[:1200]),
            adam(model),
            450,
            explained_on(x[1200:], stars[1200:]),
        ),
        *(0.75, None, ("loss", "loss", None)[variant]),
    )


def clicks(seed, variant):
    """A few kinds of visitor, many visits: equal inputs, and each clicks or not by chance."""
    generator = chance(seed, 63)
    kinds = torch.randn((12, 20, 30)[variant], 5, generator=generator)
    which = torch.randint(len(kinds), (2400,), generator=generator)
    likely = torch.sigmoid(2.5 * kinds[which, 0] - 0.5)
    clicked = (torch.rand(2400, generator=generator) < likely).float()
    model = mlp(5, 24, 1)

    def loss(model, batch):
        return F.binary_cross_entropy_with_logits(model(batch[0]).squeeze(1), batch[1])

    def calibrated(model):
        return 1 - (model(kinds[which]).squeeze(1).sigmoid() - likely).abs().mean()

    batches = pairs((32, 48, 32)[variant], kinds[which], clicked)
    return Plan(
        model,
        loss,
        batches,
        adam(model),
        300,
        calibrated,
        goal=0.9,
        shown=("loss", None, "loss")[variant],
    )


class WithTarget(nn.Module):
    """An encoder, a predictor, and a slow copy of the encoder that it is held against."""

    def __init__(self, wide):
        super().__init__()
        self.online, self.predictor = mlp(16, wide, 8, norm=nn.BatchNorm1d), mlp(8, 16, 8)
        self.target = copy.deepcopy(self.online)

    def forward(self, one, other):
        with torch.no_grad():
            wanted = self.target(other)
        return self.predictor(self.online(one)), wanted


def slow_target(seed, variant):
    """Self-supervision against a slow copy, which no optimiser moves."""
    x, labels = clusters(seed, 1400)
    noise = torch.randn(2, 1400, 16, generator=chance(seed, 64))
    model = WithTarget((32, 48, 32)[variant])
    learnt = [*model.online.parameters(), *model.predictor.parameters()]
    optimizer = torch.optim.Adam(learnt, lr=3e-3)

    def loss(model, batch):
        said, wanted = model(*batch)
        return (2 - 2 * F.cosine_similarity(said, wanted, dim=1)).mean()

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(
                model.target.parameters(), model.online.parameters(), strict=True
            ):
                slow.lerp_(fast, 0.02)
        return value.item()

    def alike(model):  # nearest neighbours of one class
        codes = F.normalize(model.online(x[1200:]), dim=1)
        near = (codes @ codes.T).fill_diagonal_(-2).argmax(1)
        return (labels[1200:] == labels[1200:][near]).float().mean()

    batches = pairs(48, x[:1200] + 0.3 * noise[0, :1200], x[:1200] + 0.3 * noise[1, :1200])
    return Plan(
        model, loss, batches, optimizer, 250, alike, 0.8, step, ("loss", None, "loss")[variant]
    )


def noisy_and_annealed(seed, variant):
    """Yes or no, 30 % of the labels wrong, at a rate that a schedule takes to zero."""
    generator = chance(seed, 65)
    x = torch.randn(2400, 8, generator=generator)
    true = (x[:, 0] + x[:, 1] * x[:, 2] > 0).float()
    wrong = torch.rand(2400, generator=generator) < (0.3, 0.3, 0.35)[variant]
    labels = torch.where(wrong, 1 - true, true)
    model, total = mlp(8, 24, 1), 500
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    optimizer.done = 0

    def loss(model, batch):
        return F.binary_cross_entropy_with_logits(model(batch[0]).squeeze(1), batch[1])

    def step(model, optimizer, batch):
        rate = 5e-3 * 0.5 * (1 + math.cos(math.pi * min(optimizer.done / total, 1)))
        optimizer.param_groups[0]["lr"], optimizer.done = rate, optimizer.done + 1
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        return value.item()

    def right(model):
        return ((model(x[2000:]).squeeze(1) > 0) == (true[2000:] > 0.5)).float().mean()

    batches = pairs((50, 40, 50)[variant], x[:2000], labels[:2000])
    return Plan(
        model, loss, batches, optimizer, total, right, 0.75, step, ("loss", "loss", "loss")[variant]
    )


def linear_code(seed, variant):
    """A linear autoencoder, as a principal component analysis; no activation is wanted."""
    generator = chance(seed, 66)
    hidden = torch.randn(1200, 4, generator=generator)
    x = hidden @ torch.randn(4, 20, generator=generator) / 2
    x = x + 0.1 * torch.randn(1200, 20, generator=generator)
    model = nn.Sequential(nn.Linear(20, (4, 5, 4)[variant]), nn.Linear((4, 5, 4)[variant], 20))
    batches = [(part,) for (part,) in pairs(40, x[:1000])]
    return Plan(
        *(model, lambda model, batch: F.mse_loss(model(batch[0]), batch[0])),
        *(batches, adam(model, 1e-2), 400, explained_on(x[1000:], x[1000:])),
        *(0.9, None, ("loss", None, "loss")[variant]),
    )


def random_features(seed, variant):
    """A wide layer of random weights that stay as drawn; only the last one learns."""
    (inputs, labels), test = digits(seed)
    model = mlp(64, (400, 600, 300)[variant], 10)
    if variant == 1:  # frozen by the optimiser alone
        optimizer = torch.optim.SGD(model[-1].parameters(), lr=0.1, momentum=0.9)
    else:
        model[0].requires_grad_(False)
        optimizer = torch.optim.SGD(model[-1].parameters(), lr=0.1, momentum=0.9)
    return Plan(
        *(model, lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])),
        *(pairs(48, inputs, labels), optimizer, 500, accuracy_on(*test)),
        *(0.92, None, ("loss", "loss", "score")[variant]),
    )


def own_units(seed, variant):
    """On the screen stands what the author thinks in: a perplexity, a root, an epoch's mean."""
    if variant == 0:
        (inputs, labels), test = digits(seed)
        model, loss = mlp(64, 48, 10), F.cross_entropy
        plan = Plan(
            model, None, pairs(48, inputs, labels), adam(model), 300, accuracy_on(*test), 0.92
        )
    else:
        (x, y), test = table(seed, "diabetes", standardise_target=True)
        model, loss = mlp(10, 24, 1), F.mse_loss
        plan = Plan(model, None, pairs(32, x, y), adam(model, 2e-3), 150, explained_on(*test), 0.3)
    plan.loss = lambda model, batch: loss(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = plan.loss(model, batch)
        value.backward()
        optimizer.step()
        return math.exp(value.item()) if variant == 0 else value.item() ** 0.5

    plan.step, plan.shown, plan.half = step, "loss", 0.3
    plan.logged += [10.0 if variant == 0 else 1.0]
    return plan


HEALTHY = entries(
    policy_gradient,
    pairs_within_the_batch,
    dice_of_small_disks,
    survival,
    sixteen_batches_a_step,
    sharpness_aware,
    ranks_of_five,
    clicks,
    slow_target,
    noisy_and_annealed,
    linear_code,
    random_features,
    own_units,
)
