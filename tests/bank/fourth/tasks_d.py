"""Data of part D: bundled tables and digits, and small synthetic sets; two halves each."""

import math

import torch
from sklearn.datasets import load_breast_cancer, load_digits
from torch import Tensor

Task = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


def split(*tensors: Tensor, test: int = 500) -> Task:
    order = torch.randperm(len(tensors[0]))
    return tuple(tuple(t[rows] for t in tensors) for rows in (order[test:], order[:test]))


def scaled(task: Task, part: int = 0) -> Task:
    """Inputs (or targets: 1) of mean 0 and deviation 1, column by column, by the first half."""
    first = task[0][part]
    mean, std = first.mean(0), first.std(0).clamp(min=1e-6)
    return mapped(lambda x: (x - mean) / std, task, part)


def mapped(change, task: Task, part: int = 0) -> Task:
    return tuple((*half[:part], change(half[part]), *half[part + 1 :]) for half in task)


def digits() -> Task:
    data = load_digits()
    return split(torch.tensor(data.images).float(), torch.tensor(data.target), test=597)


def cancer() -> Task:
    data = load_breast_cancer()
    return split(torch.tensor(data.data).float(), torch.tensor(data.target), test=189)


def houses(n: int = 2000) -> Task:
    """Area, rooms, year, distance to the centre and floor; the price in euros, in a column."""
    area, year = 40 + 160 * torch.rand(n), 1900 + (120 * torch.rand(n)).floor()
    rooms = (area / 30 + torch.randn(n)).round().clamp(1, 9)
    distance, floor = 25 * torch.rand(n), torch.randint(0, 10, (n,)).float()
    worth = 1.5 + 4 * torch.exp(-distance / 5) + ((year - 1960) / 45) ** 2
    price = 1000 * area * worth * (1 + 0.05 * torch.randn(n)) + 4000 * rooms + 3000 * floor
    return split(torch.stack([area, rooms, year, distance, floor], 1), price[:, None])


def tones(n: int = 2000, noise: float = 0.35) -> Task:
    """Sine, square, saw and triangle of any pitch and phase, 64 samples."""
    kind = torch.randint(0, 4, (n,))
    pitch, begin = 2 + 3 * torch.rand(n, 1), torch.rand(n, 1)
    phase = (pitch * torch.linspace(0, 1, 64) + begin) % 1
    sine = (2 * math.pi * phase).sin()
    shapes = torch.stack([sine, sine.sign(), 2 * phase - 1, 1 - 4 * (phase - 0.5).abs()])
    wave = shapes[kind, torch.arange(n)] + noise * torch.randn(n, 64)
    return split(wave[:, None], kind)


def tickets(n: int = 2500) -> Task:
    """Twelve words; 2 to 9 praise, 10 to 17 blame, and word 1 turns what follows around."""
    words = torch.randint(2, 30, (n, 12))
    words[torch.rand(n, 12) < 0.2] = 1
    worth = (words < 10).float() - ((words >= 10) & (words < 18)).float()
    worth[words == 1] = 0
    turned = torch.cat([torch.zeros(n, 1), (words[:, :-1] == 1).float()], 1)
    total = (worth * (1 - 2 * turned)).sum(1)
    return split(words[total != 0], (total > 0).long()[total != 0])


def rings(n: int = 1500) -> Task:
    kind, angle = torch.randint(0, 3, (n,)), 2 * math.pi * torch.rand(n)
    radius = 0.7 * kind + 0.4 + 0.13 * torch.randn(n)
    return split(torch.stack([radius * angle.cos(), radius * angle.sin()], 1), kind)


def grid(n: int, size: int) -> tuple[Tensor, Tensor]:
    """Each pixel's place relative to an example's random middle."""
    axis = torch.arange(float(size))
    middle = size / 2 - 0.5 + (torch.rand(2, n, 1, 1) - 0.5) * size / 3
    return axis[:, None] - middle[0], axis[None, :] - middle[1]


def patches(n: int = 1400) -> Task:
    """Disc, ring, cross or diagonal cross in any colour and place; bytes, 3 x 16 x 16."""
    kind, (y, x) = torch.randint(0, 4, (n,)), grid(n, 16)
    far = (x**2 + y**2).sqrt()
    near = far < 4.8
    crosses = (torch.minimum(x.abs(), y.abs()), torch.minimum((x - y).abs(), (x + y).abs()) / 1.4)
    shapes = [far < 4, (far - 4).abs() < 1, *((c < 0.9) & near for c in crosses)]
    shape = torch.stack(shapes)[kind, torch.arange(n)].float()
    colour = torch.rand(n, 3, 1, 1) * 120 + 60
    image = 30 + shape[:, None] * colour + 20 * torch.randn(n, 3, 16, 16)
    return split(image.clamp(0, 255).round(), kind, test=400)


def spots(n: int = 900) -> Task:
    """A bright spot on a noisy 16 x 16 ground with a slope, and its mask."""
    y, x = grid(n, 16)
    radius = 2.5 + 2 * torch.rand(n, 1, 1)
    mask = (x**2 + y**2 < radius**2).float()[:, None]
    slope = (torch.randn(n, 1, 1) * x + torch.randn(n, 1, 1) * y)[:, None] / 16
    return split(mask + slope + 0.3 * torch.randn(n, 1, 16, 16), mask, test=300)


def needles(n: int = 1500) -> Task:
    """A hand of a dial, 12 x 12; the target is where it points to, as (cos, sin)."""
    angle, axis = 2 * math.pi * torch.rand(n, 1, 1), torch.arange(12.0) - 5.5
    along = axis[None, None] * angle.cos() + axis[None, :, None] * angle.sin()
    across = axis[None, :, None] * angle.cos() - axis[None, None] * angle.sin()
    hand = ((across.abs() < 1) & (along > 0)).float()[:, None]
    target = torch.cat([angle.cos(), angle.sin()], 1)[:, :, 0]
    return split(hand + 0.2 * torch.randn(n, 1, 12, 12), target)


def leavers(n: int = 5000, share: float = 0.04) -> Task:
    """Customers of six features; the share who leave score highest, noise included."""
    x = torch.randn(n, 6)
    score = x[:, 0] + x[:, 1] * x[:, 2] - x[:, 3].abs() + 1.0 * torch.randn(n)
    left = (score > score.quantile(1 - share)).float()
    return split(x, left[:, None], test=2000)
