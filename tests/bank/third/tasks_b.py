"""Synthetic data: pairs (train, test) of (inputs, targets), and `posed`, which makes runs of them.

All drawn from torch's global generator, which the registry seeds.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from sklearn.datasets import load_iris
from torch import Tensor

from ..runs import Run, accuracy, explained, overlap, supervised_run, yes_or_no


def held_out(x: Tensor, y: Tensor, test: int = 400):
    """The last `test` examples apart."""
    return (x[:-test], y[:-test]), (x[-test:], y[-test:])


def spirals(n=1600, arms=3):
    """Spiral arms in the plane, about one turn each."""
    arm, way = torch.randint(arms, (n,)), torch.rand(n)
    angle = 2 * math.pi * (arm / arms + 0.8 * way) + 0.1 * torch.randn(n)
    x = torch.stack([angle.cos(), angle.sin()], 1) * (0.3 + 1.7 * way)[:, None]
    return held_out(x, arm)


def chessboard(n=2000):
    """Black or white on a board of 3 by 3 fields; beside it two columns of noise."""
    x = 2 * torch.rand(n, 4) - 1
    return held_out(x, ((1.5 * (x[:, :2] + 1)).floor().sum(1) % 2).long())


def arm(n=1600, joints=3):
    """Where the hand of a robot's arm of some joints is, by its angles; standardised."""
    x = 2.4 * torch.rand(n, joints) - 1.2
    y = torch.stack([x.cumsum(1).cos().sum(1), x.cumsum(1).sin().sum(1)], 1)
    return held_out(x, (y - y.mean(0)) / y.std(0))


def loans(n=1800):
    """Paid back or not: six numbers, one kind of five (one-hot); they act on each other."""
    x, kind = torch.randn(n, 6), torch.randint(5, (n,))
    score = 2 * x[:, 0] * x[:, 1] + 2 * x[:, 2].abs() - 1.5 + x[:, 3] * (kind - 2)
    paid = (score + 0.3 * torch.randn(n) > 0).float()
    return held_out(torch.cat([x, F.one_hot(kind, 5)], 1), paid[:, None])


def shells(n=2400, columns=6):
    """Inside or outside of a sphere."""
    x = torch.randn(n, columns)
    squares = x.square().sum(1)
    return held_out(x, (squares > squares.median()).long())


def iris():
    """Fisher's flowers, standardised."""
    x, y = (torch.from_numpy(a) for a in load_iris(return_X_y=True))
    order = torch.randperm(150)
    x = ((x - x.mean(0)) / x.std(0)).float()
    return held_out(x[order], y[order], 50)


def beats(n=1400, noise=0.05, times=64):
    """Heart beats: sound, without the first wave, with a broad or with a double peak."""
    kind, t = torch.randint(4, (n, 1)), torch.linspace(0, 1, times)
    at, height = 0.35 + 0.3 * torch.rand(n, 1), 0.8 + 0.4 * torch.rand(n, 1)

    def wave(place, width):
        return (-(((t - at - place) / width) ** 2)).exp()

    x = wave(0.0, torch.where(kind == 2, 0.06, 0.025)) + 0.4 * wave(0.2, 0.05)
    x = x + 0.35 * wave(-0.18, 0.04) * (kind != 1) + 0.8 * wave(0.09, 0.02) * (kind == 3)
    return held_out((height * x + noise * torch.randn(n, times))[:, None], kind[:, 0])


def gratings(n=1200, turns=6, size=12, noise=0.5):
    """Stripes in one of some directions, of any phase and of several widths."""
    turn, grid = torch.randint(turns, (n,)), torch.arange(size) - size / 2
    angle, phase = math.pi * turn / turns, 2 * math.pi * torch.rand(n)
    angle, phase = angle[:, None, None], phase[:, None, None]
    way = angle.cos() * grid + angle.sin() * grid[:, None]
    x = torch.sin(way * (1 + 0.4 * torch.rand(n, 1, 1)) + phase)
    return held_out((x + noise * torch.randn(x.shape))[:, None], turn)


def drawn(n=1500, size=16, noise=0.2):
    """Images of one disc, ring, square or cross; its number and its pixels."""
    kind, grid = torch.randint(4, (n, 1, 1)), torch.arange(size)
    middle, radius = 5 + (size - 11) * torch.rand(2, n, 1, 1), 3 + 1.5 * torch.rand(n, 1, 1)
    across, down = (grid - middle[0]).abs(), (grid[:, None] - middle[1]).abs()
    away, far = (across**2 + down**2).sqrt(), torch.maximum(across, down)
    cross = (torch.minimum(across, down) < 1) & (far < radius)
    made = [away < radius, (away - radius).abs() < 0.9, far < radius, cross]
    mask = torch.stack(made).float().gather(0, kind.expand(1, n, size, size))[0][:, None]
    return mask + noise * torch.randn(mask.shape), kind[:, 0, 0], mask


def figures():
    return held_out(*drawn()[:2])


def outlines():
    x, _, mask = drawn(700, noise=0.5)
    return held_out(x, mask, 200)


def regions():
    """Each pixel: background, something round or something with corners."""
    x, kind, mask = drawn(800)
    return held_out(x, (mask[:, 0] * (1 + kind // 2)[:, None, None]).long(), 200)


def bumps(n=900):
    """Noisy signals of a few bumps; targets are the signals without noise."""
    t, at = torch.arange(48.0), 48 * torch.rand(n, 3, 1)
    signal = (torch.rand(n, 3, 1) + 0.5) * (-(((t - at) / 2.5) ** 2)).exp()
    signal = signal.sum(1)[:, None]
    noisy = signal + 0.3 * torch.randn(signal.shape)
    return held_out(noisy, signal, 200)


def climbs(n=1600, length=14):
    """Walks of words 1 (down) and 2 (up), padded with 0: does one ever get 3 above its start?"""
    steps = torch.where(torch.rand(n, length) < 0.55, 1, -1)
    steps[torch.arange(length) >= torch.randint(8, length + 1, (n, 1))] = 0
    high = steps.cumsum(1).amax(1) >= 3
    return held_out(torch.where(steps == 0, 0, (steps + 3) // 2), high.long())


def adding(n=1600, times=10):
    """Two of ten numbers are marked; the target is their sum."""
    x, rows = torch.rand(n, times, 2), torch.arange(n)
    x[:, :, 1] = 0
    x[rows, torch.randint(times // 2, (n,)), 1] = x[rows, -1 - torch.randint(5, (n,)), 1] = 1
    return held_out(x, x.prod(2).sum(1, keepdim=True) - 1)


def rhymes(n=1000, length=14, words=12):
    """Each word tells which comes two later, nine times in ten; targets are the next words."""
    follower, text = torch.randperm(words), torch.randint(words, (n, length + 1))
    for i in range(2, length + 1):
        text[:, i] = torch.where(torch.rand(n) < 0.9, follower[text[:, i - 2]], text[:, i])
    return held_out(text[:, :-1], text[:, 1:], 300)


def majority(n=1600, length=15, words=3):
    """Which word is in the text most often; padded with 0."""
    text = 1 + torch.multinomial(torch.rand(n, words) ** 2, length, replacement=True)
    text[torch.arange(length) >= torch.randint(9, length + 1, (n, 1))] = 0
    counts = F.one_hot(text, words + 1).sum(1)[:, 1:] + 0.1 * torch.arange(words)
    return held_out(text, counts.argmax(1))


class Problem(NamedTuple):
    """Data, loss, judge, goal and steps."""

    data: object
    criterion: object
    judge: object
    goal: float
    steps: int = 400


def entropy_of(data, goal, steps=400):
    return Problem(data, F.cross_entropy, accuracy, goal, steps)


PROBLEMS = {
    "spirals": entropy_of(spirals, 0.96),
    "chessboard": entropy_of(chessboard, 0.9, 500),
    "shells": entropy_of(shells, 0.9),
    "iris": entropy_of(iris, 0.9, 200),
    "beats": entropy_of(beats, 0.9),
    "gratings": entropy_of(gratings, 0.95),
    "figures": entropy_of(figures, 0.9),
    "regions": entropy_of(regions, 0.95, 200),
    "climbs": entropy_of(climbs, 0.96),
    "rhymes": entropy_of(rhymes, 0.8),
    "majority": entropy_of(majority, 0.93),
    "arm": Problem(arm, F.mse_loss, explained, 0.97),
    "adding": Problem(adding, F.mse_loss, explained, 0.95, 500),
    "bumps": Problem(bumps, F.mse_loss, explained, 0.88, 200),
    "loans": Problem(loans, F.binary_cross_entropy_with_logits, yes_or_no, 0.87),
    "outlines": Problem(outlines, F.binary_cross_entropy_with_logits, overlap, 0.78, 200),
}


def posed(name: str, model, optimizer, **more) -> Run:
    """The problem `name` for this model and optimiser; what is in `more` replaces its own."""
    values = PROBLEMS[name]._asdict() | more
    task = values.pop("data")
    task = task() if callable(task) else task
    criterion, judge = values.pop("criterion"), values.pop("judge")
    return supervised_run(task, model, optimizer, criterion, judge, **values)
