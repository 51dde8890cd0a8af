"""Data of author m: lists of tensors, (train, test)."""

import numpy as np
import torch
from sklearn.datasets import load_diabetes, load_digits


def generator():
    """A numpy generator that hangs on the torch seed."""
    return np.random.default_rng(int(torch.randint(2**31, (1,))))


def floats(array):
    return torch.as_tensor(np.asarray(array), dtype=torch.float32)


def split(*tensors, share=0.6):
    """A random division of the rows into train and test."""
    order = torch.randperm(len(tensors[0]))
    cut = int(share * len(order))
    return [t[order[:cut]] for t in tensors], [t[order[cut:]] for t in tensors]


def standard(train, test):
    mean, std = train.mean(0), train.std(0)
    return (train - mean) / std, (test - mean) / std


def digits(flat=False):
    x, y = load_digits(return_X_y=True)
    images = floats(x) / 16
    return split(images if flat else images.view(-1, 1, 8, 8), torch.as_tensor(y))


def diabetes():
    x, y = load_diabetes(return_X_y=True)
    train, test = split(floats(x), floats(y), share=0.7)
    train[0], test[0] = standard(train[0], test[0])
    return train, test


def houses(n=2000):
    """Rooms, age, distance...; a standardised price with interactions."""
    rng = generator()
    x = rng.normal(size=(n, 8))
    y = x[:, 0] * np.where(x[:, 1] > 0, 1.5, -0.5) + np.abs(x[:, 2]) + 0.7 * x[:, 3]
    y = y + np.sin(2 * x[:, 4]) + 0.2 * rng.normal(size=n)
    return split(floats(x), floats((y - y.mean()) / y.std()))


def sensors(n=2000, raw=False):
    """Ten readings, three states by two products of readings; raw: in the devices' units."""
    rng = generator()
    x = rng.normal(size=(n, 10))
    scores = np.stack([x[:, 0] * x[:, 1], x[:, 2] + 0.5 * x[:, 3], x[:, 4] ** 2 - 1], 1)
    y = scores.argmax(1)
    units = np.array([1, 2, 500, 0.02, 30, 1, 1500, 0.1, 4000, 8])
    offsets = np.array([0, 5, 1200, 0.3, 60, 0, 4000, 0, 9000, 20])
    return split(floats(x * units + offsets if raw else x), torch.as_tensor(y))


def visits(n=2400):
    """Counts of visits to six pages; which of three kinds of customer."""
    rng = generator()
    kinds = rng.integers(3, size=n)
    rates = np.array([[12, 8, 25, 9, 14, 30], [22, 8, 14, 16, 9, 24], [12, 17, 22, 8, 19, 14]])
    gamma = rng.gamma(12, 1 / 12, size=(n, 1))
    return split(floats(rng.poisson(rates[kinds] * gamma)), torch.as_tensor(kinds))


def tones(n=1500, length=64, kinds=5):
    """Signals in which each of five tones sounds or not."""
    rng = generator()
    there = rng.random((n, kinds)) < 0.4
    time = np.arange(length)
    phase = rng.uniform(0, 2 * np.pi, (n, kinds, 1))
    pitch = np.array([2, 4, 7, 11, 16])[:, None] / length
    waves = np.sin(2 * np.pi * pitch * time + phase) * rng.uniform(0.7, 1.3, (n, kinds, 1))
    signal = (waves * there[..., None]).sum(1) + 0.3 * rng.normal(size=(n, length))
    return split(floats(signal)[:, None], floats(there))


def spots(n=700, size=16):
    """Noisy pictures with one to three discs, and their masks."""
    rng = generator()
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1)
    masks = np.zeros((n, size, size), bool)
    for k in range(3):
        centre, radius = rng.uniform(2, size - 2, (n, 1, 1, 2)), rng.uniform(1.5, 3, (n, 1, 1))
        disc = np.square(grid - centre).sum(-1) < radius**2
        masks |= disc & ((k == 0) | (rng.random((n, 1, 1)) < 0.5))
    images = masks + 0.5 * rng.normal(size=masks.shape)
    return split(floats(images)[:, None], floats(masks)[:, None])


def places(n=1500, size=12):
    """Pictures of one bright patch; its place in both directions, from -1 to 1."""
    rng = generator()
    where = rng.uniform(-1, 1, (n, 2))
    grid = np.stack(np.meshgrid(*[np.linspace(-1.2, 1.2, size)] * 2), -1)
    distance = np.square(grid - where[:, None, None]).sum(-1)
    images = np.exp(-distance / 0.1) + 0.15 * rng.normal(size=(n, size, size))
    return split(floats(images)[:, None], floats(where))


def shapes(n=1600, size=12):
    """Disc, square, cross or ring, somewhere in a noisy picture."""
    rng = generator()
    kinds = rng.integers(4, size=n)
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1)
    away = grid - rng.uniform(4, size - 5, (n, 1, 1, 2))
    far, most = np.sqrt(np.square(away).sum(-1)), np.abs(away).max(-1)
    least = np.abs(away).min(-1)
    drawn = np.stack([far < 3, most < 3, (least < 1) & (most < 4), (far > 2) & (far < 3.6)], 1)
    images = drawn[np.arange(n), kinds] + 0.25 * rng.normal(size=(n, size, size))
    return split(floats(images)[:, None], torch.as_tensor(kinds))


def reviews(n=1600, words=400, length=24, topics=4, telling=5):
    """Left-aligned token ids, lengths, topics: frequent words tell nothing, a few rare ones do."""
    rng = generator()
    kinds = rng.integers(topics, size=n)
    frequent = np.minimum(rng.zipf(1.6, (n, length)), 60)
    own = 61 + kinds[:, None] + topics * rng.integers((words - 61) // topics, size=(n, length))
    tokens = np.where(rng.random((n, length)) < telling / length, own, frequent)
    lengths = rng.integers(length // 2, length + 1, n)
    tokens[np.arange(length) >= lengths[:, None]] = 0
    return split(torch.as_tensor(tokens), torch.as_tensor(lengths), torch.as_tensor(kinds))


def names(n=900, length=20, words=120):
    """Tokens and their tags: 1 or 2 after a title, if the word may be a name, else 0."""
    rng = generator()
    tokens = rng.integers(10, words, (n, length))
    titles = rng.random((n, length)) < 0.1
    tokens[titles] = rng.integers(2, 10, titles.sum())
    before = np.roll(tokens, 1, 1)
    before[:, 0] = 50
    tags = np.where((before < 10) & (tokens >= 60), 1 + (before >= 6), 0)
    return split(torch.as_tensor(tokens), torch.as_tensor(tags))


def ratings(users=120, items=80, rank=3, n=6000):
    """Users, items, standardised ratings: a bit of each alone, most of both together."""
    rng = generator()
    u, i = rng.integers(users, size=n), rng.integers(items, size=n)
    p, q = rng.normal(size=(users, rank)), rng.normal(size=(items, rank))
    r = (p[u] * q[i]).sum(1) + 0.4 * rng.normal(size=users)[u] + 0.4 * rng.normal(size=items)[i]
    r = (r - r.mean()) / r.std() + 0.2 * rng.normal(size=n)
    return split(torch.as_tensor(u), torch.as_tensor(i), floats(r), share=0.75)


def tides(n=1500, length=24):
    """Windows of a water level, each gauge with its own rhythm; the level four hours on."""
    rng = generator()
    time = np.arange(length + 4)
    period = rng.uniform(9, 15, (n, 1))
    level = np.sin(2 * np.pi * (time / period + rng.random((n, 1))))
    level = level * rng.uniform(0.6, 1.4, (n, 1)) + 0.05 * rng.normal(size=level.shape)
    return split(floats(level[:, :length, None]), floats(level[:, -1]))


def rings(n=1500):
    """Three rings in five dimensions, two of which count."""
    rng = generator()
    kinds = rng.integers(3, size=n)
    radius, angle = 0.6 + 0.8 * kinds + 0.15 * rng.normal(size=n), rng.uniform(0, 2 * np.pi, n)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    x = np.concatenate([x, rng.normal(size=(n, 3))], 1)
    return split(floats(x), torch.as_tensor(kinds))


def payments(n=6000, rare=0.03):
    """Payments of eight columns; few are fraud, and they overlap with the rest."""
    rng = generator()
    x = rng.normal(size=(n, 8))
    score = 1.2 * x[:, 0] + x[:, 1] * x[:, 2] - 0.8 * np.abs(x[:, 3]) + 0.6 * rng.normal(size=n)
    return split(floats(x), floats(score > np.quantile(score, 1 - rare)))


def recalls(n=1500, length=7, kinds=6):
    """One-hot sequences; the class is the first symbol, the rest is noise."""
    rng = generator()
    tokens = rng.integers(kinds, size=(n, length))
    return split(floats(np.eye(kinds)[tokens]), torch.as_tensor(tokens[:, 0]))


def walks(n=1400, length=32):
    """Three axes of an accelerometer, (n, time, axis); four ways to move."""
    rng = generator()
    kinds = rng.integers(4, size=n)
    time = np.arange(length)[None, :, None]
    pitch = np.array([2.0, 3.0, 4.5, 3.0])[kinds][:, None, None] / length
    lag = np.where(kinds == 3, -1, 1)[:, None, None] * np.array([0, 1, 2]) * np.pi / 3
    wave = np.sin(2 * np.pi * (pitch * time + rng.random((n, 1, 1))) + lag)
    signal = wave * rng.uniform(0.7, 1.3, (n, 1, 1)) + 0.4 * rng.normal(size=(n, length, 3))
    return split(floats(signal), torch.as_tensor(kinds))


def chain(n=6000, words=80):
    """Two words and the next one, which hangs on the last word's group and the first's half."""
    rng = generator()
    two = rng.integers(words, size=(n, 2))
    group = (two[:, 1] % 10 + 5 * (two[:, 0] % 2)) % 10
    nxt = np.where(rng.random(n) < 0.05, rng.integers(10, size=n), group)
    return split(torch.as_tensor(two), torch.as_tensor(nxt))
