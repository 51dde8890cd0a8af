"""Data of author b: two bundled tables, and what is drawn on the spot; `posed` makes runs."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer, load_digits

from ..runs import accuracy, explained, overlap, supervised_run, yes_or_no


def split(x, y, test=400, shuffle=True):
    order = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
    train, test = order[:-test], order[-test:]
    return (x[train], y[train]), (x[test], y[test])


def digits():
    x, y = (torch.from_numpy(a) for a in load_digits(return_X_y=True))
    return split(x.float().view(-1, 1, 8, 8) / 8 - 1, y)


def tumours():
    x, y = (torch.from_numpy(a).float() for a in load_breast_cancer(return_X_y=True))
    return split((x - x.mean(0)) / x.std(0), y[:, None], 160)


def friedman(n=1900):
    x = torch.rand(n, 10)
    y = 10 * (math.pi * x[:, 0] * x[:, 1]).sin() + 20 * (x[:, 2] - 0.5) ** 2
    y = y + 10 * x[:, 3] + 5 * x[:, 4] + 0.5 * torch.randn(n)
    return split(2 * x - 1, ((y - y.mean()) / y.std())[:, None])


def curves(n, times=24):
    """Five figures drawn by a pen: circle, eight, zigzag, arc, spiral; turned, of any pace."""
    label = torch.randint(5, (n,))
    t = torch.linspace(0, 1, times) ** (0.7 + 0.6 * torch.rand(n, 1)) * 2 * math.pi
    saw = 2 * (1.5 * t / math.pi % 2 - 1).abs() - 1
    shapes = [(t.cos(), t.sin()), (t.sin(), (2 * t).sin()), (t / 3 - 1, saw)]
    shapes += [((t / 2).cos(), (t / 2).sin()), (t * (2 * t).cos() / 6, t * (2 * t).sin() / 6)]
    points = torch.stack([torch.stack(pair, -1) for pair in shapes])[label, torch.arange(n)]
    angle = 0.8 * torch.rand(n) - 0.4
    c, s = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([c, s], 1), torch.stack([-s, c], 1)], 1)
    return points @ turn * (0.8 + 0.4 * torch.rand(n, 1, 1)), label


def gestures(n=1500):
    x, y = curves(n)
    return split(x + 0.4 * torch.randn(x.shape), y)


def sorting(n=2000):
    x = torch.randint(5, (n, 8))
    return split(x, x.sort(1).values)


def depth(n=1600, times=18):
    """How deep in brackets each letter is: 0 opens, 1 closes; never below 0, at most 3."""
    x, level, levels = torch.randint(5, (n, times)), torch.zeros(n, dtype=torch.long), []
    for k in range(times):
        level = (level + (x[:, k] == 0).long() - (x[:, k] == 1).long()).clamp(0, 3)
        levels.append(level)
    return split(x, torch.stack(levels, 1))


def mackey(n=1900, ahead=12):
    """The Mackey-Glass series, 12 steps ahead of 18 known ones; tested on what comes later."""
    series = (0.5 + torch.rand(18)).tolist()
    while len(series) < n + 250:
        series.append(0.9 * series[-1] + 0.2 * series[-18] / (1 + series[-18] ** 10))
    series = torch.tensor(series[200:])
    windows = ((series - series.mean()) / series.std()).unfold(0, 18 + ahead, 1)
    return split(windows[:, :18, None].contiguous(), windows[:, -1:], shuffle=False)


def dna(n=1900, length=30):
    """Bases; does TATA?A occur somewhere?"""
    x, y = torch.randint(4, (n, length)), torch.randint(2, (n,))
    start = torch.randint(length - 6, (n,))
    for k, base in ((0, 3), (1, 0), (2, 3), (3, 0), (5, 0)):
        x[y == 1, start[y == 1] + k] = base
    return split(x, y)


def strokes(n=520, size=16):
    """A thick stroke across a noisy picture, and its mask."""
    grid = torch.linspace(-1, 1, size)
    angle = math.pi * torch.rand(n, 1, 1)
    away = grid[:, None] * angle.sin() + grid * angle.cos() - 1.2 * torch.rand(n, 1, 1) + 0.6
    mask = (away.abs() < 0.2).float()[:, None]
    return split(0.8 * mask + 0.35 * torch.randn(mask.shape) - 0.2 * grid, mask, 160)


def textures(n=520, size=16):
    """Two of three textures, parted by a line; the class of every pixel."""
    i, j = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    looks = torch.stack([i // 2 % 2, j // 2 % 2, (i + j) // 2 % 2]) * 2.0 - 1
    angle = 2 * math.pi * torch.rand(n, 1, 1)
    side = ((i - size / 2) * angle.sin() + (j - size / 2) * angle.cos() > 0).long()
    pair = torch.stack([torch.randperm(3)[:2] for _ in range(n)])
    y = torch.where(side > 0, pair[:, :1, None], pair[:, 1:, None])
    x = looks.unsqueeze(0).expand(n, -1, -1, -1).gather(1, y[:, None])
    return split(x + 0.4 * torch.randn(x.shape), y, 160)


class Problem(NamedTuple):
    make: object
    criterion: object
    judge: object
    goal: float


CE, BCE, MSE = F.cross_entropy, F.binary_cross_entropy_with_logits, F.mse_loss
PROBLEMS = {
    "digits": Problem(digits, CE, accuracy, 0.94),
    "tumours": Problem(tumours, BCE, yes_or_no, 0.92),
    "friedman": Problem(friedman, MSE, explained, 0.94),
    "gestures": Problem(gestures, CE, accuracy, 0.95),
    "sorting": Problem(sorting, CE, accuracy, 0.95),
    "depth": Problem(depth, CE, accuracy, 0.97),
    "mackey": Problem(mackey, F.smooth_l1_loss, explained, 0.94),
    "dna": Problem(dna, CE, accuracy, 0.94),
    "strokes": Problem(strokes, BCE, overlap, 0.8),
    "textures": Problem(textures, CE, accuracy, 0.94),
}


def posed(name, model, optimizer, data=None, **more):
    """The run of a problem; whatever is in `more` replaces what is usual."""
    problem = PROBLEMS[name]
    usual = {"criterion": problem.criterion, "judge": problem.judge, "goal": problem.goal}
    return supervised_run(
        data or problem.make(), model, optimizer, **{**usual, "steps": 300, **more}
    )
