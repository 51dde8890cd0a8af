"""Data of author i: tables, signals, ratings, sets, graphs and masks."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer, load_digits, make_friedman1
from torch import Tensor


def numpy_generator():
    return np.random.default_rng(int(torch.randint(2**31 - 1, ())))


def cut(parts, train: int):
    """The first `train` rows of every part, and the others."""
    return [p[:train] for p in parts], [p[train:] for p in parts]


def scaled(train: Tensor, *others: Tensor):
    mean, std = train.mean(0), train.std(0) + 1e-8
    return [(x - mean) / std for x in (train, *others)]


def clouds(n: int = 1400, size: int = 20, train: int = 1000):
    """Sets of points on a rising or falling diagonal, on both, on a square's edge, anywhere."""
    label = torch.randint(5, (n,))
    x = torch.rand(n, size) * 2 - 1
    free = torch.rand(n, size) * 2 - 1
    side = torch.where(torch.rand(n, size) < 0.5, -1.0, 1.0)
    waves = torch.sin(3 * math.pi * x)
    y = torch.stack([x, -x, side * x, waves, free])[label, torch.arange(n)]
    points = torch.stack([x, y], 2) + 0.08 * torch.randn(n, size, 2)
    return cut((points, label), train)


def baskets(n: int = 1800, items: int = 80, longest: int = 12, kinds: int = 6, train: int = 1300):
    """What customers bought (0 is padding), how many things, and which kind they are."""
    taste = torch.randn(kinds, items) * 1.3
    label = torch.randint(kinds, (n,))
    bought = torch.multinomial(taste.softmax(1)[label], longest, replacement=True) + 1
    length = torch.randint(6, longest + 1, (n,))
    bought[torch.arange(longest) >= length[:, None]] = 0
    return cut((bought, length, label), train)


def molecules(n: int = 1500, nodes: int = 12, kinds: int = 4, train: int = 1100):
    """Padded graphs: atoms' kinds, bonds, which nodes exist, and a sum over bonds, scaled."""
    sizes = torch.randint(6, nodes + 1, (n,))
    real = (torch.arange(nodes) < sizes[:, None]).float()
    kind = torch.randint(kinds, (n, nodes))
    bonds = torch.zeros(n, nodes, nodes)
    for node in range(1, nodes):
        parent = (torch.rand(n) * node).long()
        bonds[torch.arange(n), node, parent] = 1
    bonds = torch.maximum(bonds, (torch.rand(n, nodes, nodes) < 0.05).float().tril(-1))
    bonds = (bonds + bonds.transpose(1, 2)) * real[:, :, None] * real[:, None]
    atoms = F.one_hot(kind, kinds).float() * real[..., None]
    worth = torch.tensor([[1.0, -1, 2, 0], [-1, 0, 1, -2], [2, 1, -1, 0], [0, -2, 0, 1]])
    value = torch.einsum("nik,kl,njl,nij->n", atoms, worth[:kinds, :kinds], atoms, bonds) / 2
    value = (value - value.mean()) / value.std() + 0.1 * torch.randn(n)
    return cut((atoms, bonds, real, value), train)


def machines(n: int = 1400, length: int = 64, noise: float = 0.6, train: int = 1000):
    """Two channels of vibration (n, 2, length) of four kinds of trouble."""
    label = torch.randint(4, (n,))
    time = torch.linspace(0, 1, length)
    phase = torch.rand(n, 1) * 2 * math.pi
    rate = torch.tensor([4.0, 7.0, 3.0, 5.5])[label][:, None] * (0.9 + 0.2 * torch.rand(n, 1))
    sweep = torch.where(label == 2, 6.0, 0.0)[:, None]
    carrier = 2 * math.pi * (rate + sweep * time) * time + phase
    envelope = torch.where(label[:, None] == 3, 0.4 + torch.sin(2 * math.pi * 2 * time).abs(), 1.0)
    first = torch.sin(carrier) * envelope
    second = torch.cos(carrier + 0.5) * envelope
    x = torch.stack([first, second], 1) + noise * torch.randn(n, 2, length)
    return cut((x, label), train)


def severity(n: int = 1300, length: int = 48, train: int = 1000):
    """One channel of vibration, and how strong it is (scaled logarithm)."""
    strength = torch.randn(n)
    phase = torch.rand(n, 1) * 2 * math.pi
    time = torch.linspace(0, 1, length)
    wave = torch.sin(2 * math.pi * (3 + 4 * torch.rand(n, 1)) * time + phase)
    x = torch.exp(0.5 * strength)[:, None] * wave + 0.1 * torch.randn(n, length)
    return cut((x[:, None], strength[:, None]), train)


def scenes(n: int = 700, size: int = 16, train: int = 500):
    """Noisy images of a disc and a square, and the class of every pixel (0: background)."""
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")

    def place(low: float, high: float):
        centre = low + (high - low) * torch.rand(2, n, 1, 1)
        return (row - centre[0]).abs(), (column - centre[1]).abs()

    radius = 2.5 + 1.5 * torch.rand(n, 1, 1)
    down, right = place(3, size - 4)
    disc = (down**2 + right**2).sqrt() < radius
    down, right = place(3, size - 4)
    square = torch.maximum(down, right) < radius - 0.5
    mask = torch.where(square, 2, disc.long())
    tone = torch.tensor([0.0, 0.8, 1.6])[mask]
    image = tone + 0.35 * torch.randn(n, size, size) + 0.2 * torch.randn(n, 1, 1)
    return cut((image[:, None], mask), train)


def beats(n: int = 600, length: int = 96, train: int = 450):
    """Pulses on a wandering baseline, and where they are."""
    time = torch.arange(length).float()
    drift = torch.sin(time / 15 + 6.3 * torch.rand(n, 1)) * torch.rand(n, 1) * 1.5
    signal, mask = drift + 0.25 * torch.randn(n, length), torch.zeros(n, length)
    for slot in range(3):
        centre = 12 + 32 * slot + 10 * torch.rand(n, 1)
        pulse = torch.exp(-(((time - centre) / 2.5) ** 2))
        there = (torch.rand(n, 1) < 0.8).float()
        signal = signal + 1.8 * there * pulse
        mask = torch.maximum(mask, there * (pulse > 0.3))
    return cut((signal[:, None], mask[:, None]), train)


def rents(n: int = 1500, train: int = 1100):
    """Area, rooms, year, metres to the centre, floor, energy; and the price in euros."""
    area = 20 + 160 * torch.rand(n)
    rooms = (area / 30 + torch.rand(n) * 2).round()
    year = 1900 + 120 * torch.rand(n)
    metres = 100 + 14000 * torch.rand(n) ** 1.5
    floor = torch.randint(12, (n,)).float()
    energy = 330 - (year - 1900) * 2 + 40 * torch.randn(n)
    square_metre = 2500 + 4500 * torch.exp(-metres / 3000) + 900 * (year > 1990)
    price = area * square_metre + 4000 * floor - 150 * energy + 15000 * torch.randn(n)
    return cut((torch.stack([area, rooms, year, metres, floor, energy], 1), price[:, None]), train)


def ratings(n: int = 9000, users: int = 120, items: int = 70, train: int = 7500):
    """Who rated what, and how, about 0: three tastes, and noise."""
    who, what = torch.randint(users, (n,)), torch.randint(items, (n,))
    tastes, traits = torch.randn(users, 3), torch.randn(items, 3)
    rating = (tastes[who] * traits[what]).sum(1) / 1.7 + 0.3 * torch.randn(items)[what]
    return cut((who, what, rating + 0.2 * torch.randn(n)), train)


def loads(n: int = 1300, past: int = 36, ahead: int = 6, train: int = 1000):
    """A load's last hours and the next ones: a trend, two rhythms, noise."""
    time = torch.arange(past + ahead).float()
    rhythm = torch.sin(2 * math.pi * time / (10 + 4 * torch.rand(n, 1)) + 6.3 * torch.rand(n, 1))
    second = torch.sin(2 * math.pi * time / 5 + 6.3 * torch.rand(n, 1))
    trend = (torch.rand(n, 1) - 0.5) * (time - past) / past
    series = rhythm + 0.5 * second + trend + 0.1 * torch.randn(n, past + ahead)
    return cut((series[:, :past], series[:, past:]), train)


def frauds(n: int = 9000, share: float = 0.03, train: int = 5000):
    """Payments, a few of them frauds, which overlap with the others."""
    label = (torch.rand(n) < share).float()
    x = torch.randn(n, 8)
    sign = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    x[:, 0] += 2.2 * label * sign
    x[:, 1] += 2.2 * label * sign
    x[:, 2] += 0.9 * label
    return cut((x, label), train)


def states(n: int = 500, length: int = 64, train: int = 350):
    """A machine's three sensors (n, 3, length); its state at each time, mostly 0, "normal"."""
    label = torch.zeros(n, length, dtype=torch.long)
    for kind in (1, 2, 3):
        start = torch.randint(length - 4, (n, 1))
        there = torch.rand(n, 1) < 0.4
        time = torch.arange(length)
        label[there & (time >= start) & (time < start + 4)] = kind
    push = torch.tensor([[0.0, 0, 0], [1, 0.3, 0], [0, 1, -0.3], [-0.6, 0, 1]])
    x = 1.3 * push[label] + torch.randn(n, length, 3)
    return cut((x.transpose(1, 2), label), train)


def tags(n: int = 1700, train: int = 1200):
    """Films of twenty features; which of six tags each has."""
    x = torch.randn(n, 20)
    hidden = torch.tanh(x @ torch.randn(20, 12) / 3)
    score = hidden @ torch.randn(12, 6)
    score = score + 5 * torch.tanh(x[:, :1] + x[:, 1:2])  # films of many tags, and of few
    score = (score - score.mean(0)) / score.std(0) - torch.linspace(-0.4, 0.6, 6)
    return cut((x, (score + 0.2 * torch.randn(n, 6) > 0).float()), train)


def campaigns(n: int = 1500, train: int = 1100):
    """Views, clicks, days and budget of an advertisement, counts; does it pay?"""
    views = torch.poisson(torch.exp(4 + 1.2 * torch.randn(n)))
    clicks = torch.poisson(views * (0.02 + 0.15 * torch.rand(n)))
    days, budget = torch.randint(1, 60, (n,)).float(), torch.exp(3 + torch.randn(n))
    score = torch.log1p(clicks) - 0.6 * torch.log(budget) - 0.3 * (days / 30 - 1) ** 2
    label = (score + 0.2 * torch.randn(n) > score.median()).long()
    return cut((torch.stack([views, clicks, days, budget], 1), label), train)


def friedman(n: int = 1500, train: int = 1100):
    state = np.random.RandomState(int(torch.randint(2**31 - 1, ())))
    x, y = make_friedman1(n, noise=0.8, random_state=state)
    y = (y - y.mean()) / y.std()
    return cut((torch.tensor(x).float() * 2 - 1, torch.tensor(y).float()), train)


def bundled(load, train: int):
    """One of scikit-learn's sets, shuffled."""
    x, y = load(return_X_y=True)
    order = numpy_generator().permutation(len(x))
    return cut((torch.tensor(x[order]).float(), torch.tensor(y[order]).long()), train)


def digits(train: int = 1200):
    return bundled(load_digits, train)


def tumours(train: int = 380):
    (x, y), (x_test, y_test) = bundled(load_breast_cancer, train)
    x, x_test = scaled(x, x_test)
    return [x, y], [x_test, y_test]
