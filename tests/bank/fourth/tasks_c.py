"""Ordinary data sets: functions of a numpy generator that give (train, test)."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn import datasets
from torch import Tensor

Data = tuple[list[Tensor], list[Tensor]]


def tensor(array: np.ndarray) -> Tensor:
    whole = np.issubdtype(array.dtype, np.integer)
    return torch.as_tensor(array.astype(np.int64 if whole else np.float32))


def split(rng, *arrays, scale=(), share=0.7) -> Data:
    """Train and test; the arrays at `scale` standardised by what the training part is like."""
    order = rng.permutation(len(arrays[0]))
    train, test = order[: int(share * len(order))], order[int(share * len(order)) :]
    arrays = list(arrays)
    for i in scale:
        part = arrays[i][train]
        arrays[i] = (arrays[i] - part.mean(0)) / (part.std(0) + 1e-8)
    return [tensor(a[train]) for a in arrays], [tensor(a[test]) for a in arrays]


def bundled(load, kind=np.int64):
    """A data set that comes with sklearn, standardised."""
    return lambda rng: split(rng, *(a.astype(t) for a, t in zip(load(return_X_y=True),
                             (float, kind), strict=True)), scale=(0,))  # fmt: skip


cancer = bundled(datasets.load_breast_cancer, float)
wine, iris = bundled(datasets.load_wine), bundled(datasets.load_iris)


def synthetic(make, kind=np.int64, **how):
    """What one of sklearn's generators makes, standardised."""

    def data(rng):
        x, y = make(random_state=int(rng.integers(1e6)), **how)
        return split(rng, x, y.astype(kind), scale=(0,))

    return data


clusters = synthetic(datasets.make_classification, n_samples=2400, n_features=16, n_classes=4,
                     n_informative=7, n_clusters_per_class=2, class_sep=2.0)  # fmt: skip
moons = synthetic(datasets.make_moons, float, n_samples=1200, noise=0.15)


def friedman(rng):
    x, y = datasets.make_friedman1(1600, 8, noise=0.8, random_state=int(rng.integers(1e6)))
    return split(rng, x, y[:, None], scale=(0, 1))


def passengers(rng, n=2400):
    """Age and fare; sex, class and port as ids; survived or not."""
    age, ids = rng.uniform(1, 75, n), rng.integers(0, (2, 3, 3), (n, 3))
    fare = rng.lognormal(3.6 - 0.8 * ids[:, 1], 0.5)
    logit = 3 * ids[:, 0] * (2 - ids[:, 1]) - 2.5 + 5 * (age < 14) * (ids[:, 1] < 2)
    survived = (rng.logistic(0, 0.4, n) < logit).astype(float)
    return split(rng, np.stack([age, np.log(fare)], 1), ids, survived, scale=(0,))


def houses(rng, n=1800):
    """Log prices: by area, age, distance to either of two centres, quality."""
    area, age = rng.lognormal(4.6, 0.4, n), rng.uniform(0, 90, n)
    place, quality = rng.uniform(-10, 10, (n, 2)), rng.integers(1, 6, n)
    near = np.exp(-((place - 4) ** 2).sum(1) / 30) + np.exp(-((place + 4) ** 2).sum(1) / 30)
    price = np.log(area) + near + 0.1 * quality + ((age - 45) / 60) ** 2 + rng.normal(0, 0.1, n)
    x = np.column_stack([area, age, place, quality])
    return split(rng, x, price[:, None], scale=(0, 1))


def buildings(rng, n=1500):
    """Heating, cooling and peak load by six properties."""
    x = rng.uniform(-1, 1, (n, 6))
    heat = x[:, 0] * x[:, 1] + np.abs(x[:, 2]) + 0.5 * x[:, 3]
    cool = np.sin(3 * x[:, 4]) + x[:, 0] ** 2 - 0.3 * x[:, 5]
    y = np.stack([heat, cool, np.maximum(heat, cool)], 1)
    return split(rng, x, y + rng.normal(0, 0.08, y.shape), scale=(0, 1))


def bikes(rng, n=2500):
    """Rentals by hour, weekday, temperature and humidity, all between 0 and 1."""
    hour, day = rng.integers(0, 24, n), rng.integers(0, 7, n)
    warm, damp = rng.uniform(0, 1, (2, n))
    rush = np.exp(-((hour - 8) ** 2) / 4) + np.exp(-((hour - 17) ** 2) / 6)
    trip = np.where(day < 5, rush, np.exp(-((hour - 14) ** 2) / 18))
    y = np.log1p(100 * (0.1 + trip) * (0.4 + warm) * (1.2 - damp) * rng.lognormal(0, 0.1, n))
    x = np.column_stack([np.sin(hour * np.pi / 12), np.cos(hour * np.pi / 12), hour / 23,
                         day >= 5, warm, damp])  # fmt: skip
    return split(rng, x, y, scale=(1,))


def spam(rng, n=2000):
    """log(1 + counts) of forty words; spam has some of them more often, of one kind or other."""
    label, kind = rng.integers(0, 2, n), rng.integers(0, 2, n)
    rates = np.full((n, 40), 0.4)
    rates[:, :6] += 0.9 * (label * kind)[:, None]
    rates[:, 6:12] += 0.9 * (label * (1 - kind))[:, None]
    rates[:, 12:20] += 0.5 * (1 - label)[:, None]
    return split(rng, np.log1p(rng.poisson(rates)), label.astype(float))


def digits(rng, size=8, flat=False):
    """sklearn's digits between 0 and 1, or as large as you like and normalised."""
    x, y = datasets.load_digits(return_X_y=True)
    x = x.reshape(-1, 1, 8, 8) / 16
    if size > 8:
        x = F.interpolate(tensor(x), size=(size, size), mode="bilinear").numpy()
        x = (x - x.mean()) / x.std()
    return split(rng, x.reshape(len(x), -1) if flat else x, y.astype(int))


SEGMENTS = "1110111 0010010 1011101 1011011 0111010 1101011 1101111 1010010 1111111 1111011"
BARS = [(0, 1, 1, 5), (1, 5, 0, 1), (1, 5, 5, 6), (5, 6, 1, 5), (6, 10, 0, 1), (6, 10, 5, 6),
        (10, 11, 1, 5)]  # fmt: skip


def displays(rng, n=2000):
    """Seven-segment digits somewhere on a noisy field of 16 by 16."""
    x, y = rng.normal(0, 0.25, (n, 1, 16, 16)), rng.integers(0, 10, n)
    for image, digit in zip(x[:, 0], y, strict=True):
        down, right = rng.integers(0, (6, 11))
        for on, (a, b, c, d) in zip(SEGMENTS.split()[digit], BARS, strict=True):
            image[down + a : down + b, right + c : right + d] += int(on)
    return split(rng, x, y)


def shapes(rng, n=1500):
    """Discs, squares, diamonds and crosses in colours, 3 x 16 x 16."""
    rows, cols = np.mgrid[:16, :16]
    y, at, r = rng.integers(0, 4, n), rng.uniform(6, 10, (2, n, 1, 1)), rng.uniform(4, 6, (n, 1, 1))
    v, h = np.abs(rows - at[0]), np.abs(cols - at[1])
    masks = [v**2 + h**2 < r**2, np.maximum(v, h) < r * 0.85, v + h < r * 1.1,
             (np.minimum(v, h) < 1.3) & (np.maximum(v, h) < r)]  # fmt: skip
    mask = np.choose(y[:, None, None], masks)[:, None]
    ink, paper = rng.uniform(0.5, 1, (n, 3, 1, 1)), rng.uniform(0, 0.4, (n, 3, 1, 1))
    return split(rng, np.where(mask, ink, paper) + rng.normal(0, 0.05, (n, 3, 16, 16)), y)


def waves(rng, n=1200, length=24):
    """The next value of two oscillations at once, a bit noisy."""
    t = rng.uniform(0, 400, (n, 1)) + np.arange(length + 1)
    x = np.sin(0.35 * t) * (1 + 0.5 * np.sin(0.09 * t)) + rng.normal(0, 0.05, t.shape)
    return split(rng, x[:, :-1, None], x[:, -1:])


def motion(rng, n=1400, length=32):
    """Acceleration in three directions while sitting, walking, running, climbing."""
    y = rng.integers(0, 4, n)
    t = np.arange(length)[None, :, None] + rng.uniform(0, 40, (n, 1, 1))
    pace = np.array([0.0, 0.5, 1.0, 0.5])[y][:, None, None] * rng.uniform(0.9, 1.1, (n, 1, 1))
    tilt = np.where(y == 3, 0.6, 0.0)[:, None, None] * np.array([0, 0, 1])
    x = np.sin(pace * t + np.array([0, 1, 2])) * np.array([1, 0.6, 0.8]) + tilt
    return split(rng, x * (y > 0)[:, None, None] + rng.normal(0, 0.4, x.shape), y)


def driven(rng, n=900, length=30):
    """A sluggish, saturating system: its output at each moment of a random drive."""
    u, y = rng.normal(0, 1, (n, length, 1)), np.zeros((n, length + 1, 1))
    for t in range(length):
        y[:, t + 1] = 0.7 * y[:, t] + np.tanh(1.5 * u[:, t]) * (1 - 0.3 * y[:, t] ** 2) * 0.5
    return split(rng, u, y[:, 1:] + rng.normal(0, 0.03, u.shape))


def names(rng, n=1600, length=10):
    """Letters as ids, 0 for padding; four languages with endings and favourite letters."""
    y, x = rng.integers(0, 4, n), np.zeros((n, length), int)
    taste = rng.dirichlet(np.full(20, 0.5), 4)
    for row, lang in zip(x, y, strict=True):
        long = rng.integers(4, length + 1)
        row[:long] = 1 + rng.choice(20, long, p=taste[lang])
        row[long - 1] = 21 + (lang if rng.random() < 0.6 else rng.integers(4))
    return split(rng, x, y)


def reviews(rng, n=2000, length=12):
    """Words as ids: 1 is "not", 2-9 praise, 10-17 blame, others mean nothing; liked or not."""
    x, y = rng.integers(18, 60, (n, length)), rng.integers(0, 2, n)
    for row, liked in zip(x, y, strict=True):
        for at in rng.choice(range(1, length, 2), 3, replace=False):
            flipped = rng.random() < 0.35
            row[at] = rng.integers(2, 10) + 8 * ((liked == 0) != flipped)
            row[at - 1] = 1 if flipped else row[at - 1]
    return split(rng, x, y)


def topics(rng, n=1500, length=16):
    """Words as ids; a third of a text's words are of its topic, one of six."""
    y = rng.integers(0, 6, n)
    own = 1 + 8 * y[:, None] + rng.integers(0, 8, (n, length))
    return split(
        rng, np.where(rng.random(own.shape) < 0.35, own, rng.integers(1, 90, own.shape)), y
    )


def sensors(rng, n=1500):
    """Twenty noisy readings of a state of three numbers."""
    z = rng.uniform(-1, 1, (n, 3))
    x = np.tanh(z @ rng.normal(0, 1.2, (3, 20)) + rng.normal(0, 0.5, 20))
    return split(rng, x + rng.normal(0, 0.1, x.shape), x)


def ratings(rng, users=60, items=50):
    """Who gives what how many stars, of 60 people and 50 films."""
    user, item = (a.ravel() for a in np.mgrid[:users, :items])
    likes, has = rng.normal(0, 1, (users, 2)), rng.normal(0, 1, (items, 2))
    stars = 3 + 0.6 * (likes[user] * has[item]).sum(1) + rng.normal(0, 0.5, users)[user]
    return split(rng, user, item, stars + rng.normal(0, 0.25, len(user)))


def tagged(rng, n=900, length=14):
    """Words as ids; a tag for each, by the word and, for the ambiguous ones, the word before."""
    x = rng.integers(1, 31, (n, length))
    before = np.roll(x, 1, 1) * (np.arange(length) > 0)
    return split(rng, x, np.where(x > 20, 2 + (before % 3), x % 2))


def priced(rng):
    """A picture of a digit and two numbers; what it costs depends on all."""
    (x, y), (x2, y2) = digits(rng)
    x, y = torch.cat([x, x2]).numpy(), torch.cat([y, y2]).numpy()
    side = rng.normal(0, 1, (len(y), 2))
    price = (y - 4.5) / 3 * (1 + 0.5 * np.tanh(side[:, 0])) + 0.5 * side[:, 1] ** 2
    return split(rng, x, side, price, scale=(2,))
