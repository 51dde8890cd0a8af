"""Data of one author's runs: images, signals, tokens, tables, ratings, points, graphs."""

import math

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits, make_moons


def generator():
    """A numpy generator, seeded by torch's."""
    return np.random.default_rng(int(torch.randint(2**31, (1,))))


def split(*tensors, share=0.67):
    """Train and test rows, at random."""
    order = torch.randperm(len(tensors[0]))
    cut = int(share * len(order))
    return [t[order[:cut]] for t in tensors], [t[order[cut:]] for t in tensors]


def written_digits():
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x, dtype=torch.float32).reshape(-1, 1, 8, 8)
    return split((x - 4.9) / 6.0, torch.tensor(y))


def biopsies():
    x, y = load_breast_cancer(return_X_y=True)
    x = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
    return split(x, torch.tensor(y, dtype=torch.float32))


def shapes(n=1500, side=16, noise=0.3, classes=5):
    """Disc, square, cross, ring or bar, anywhere in a noisy picture."""
    rows = torch.arange(side).float()
    y = torch.randint(classes, (n,))
    middle = side / 2 + (torch.rand(2, n, 1, 1) - 0.5) * side * 0.4
    r = side * (0.17 + 0.1 * torch.rand(n, 1, 1))
    dy, dx = (rows[:, None] - middle[0]).abs(), (rows[None] - middle[1]).abs()
    far = (dy**2 + dx**2).sqrt()
    near = torch.maximum(dy, dx)
    kinds = torch.stack(
        [
            far < r,
            near < 0.88 * r,
            (torch.minimum(dy, dx) < 0.3 * r) & (near < 1.2 * r),
            (far < 1.15 * r) & (far > 0.6 * r),
            (dy < 0.35 * r) & (dx < 1.3 * r),
        ]
    )
    x = kinds[y, torch.arange(n)].float() + noise * torch.randn(n, side, side)
    return split(x[:, None], y)


def lesions(n=500, side=24, noise=0.35):
    """Small discs to be found among lines as bright; the masks."""
    rows = torch.arange(side).float()
    at = 3 + torch.rand(2, n, 1, 1) * (side - 7)
    r = 2.0 + 1.5 * torch.rand(n, 1, 1)
    mask = ((rows[:, None] - at[0]) ** 2 + (rows[None] - at[1]) ** 2).sqrt() < r
    line = (rows[:, None] - torch.randint(side, (n, 1, 1))).abs() < 1
    line = line | ((rows[None] - torch.randint(side, (n, 1, 1))).abs() < 1)
    slope = torch.randn(n, 1, 1) * rows / side * 0.5
    x = torch.maximum(mask.float(), line.float()) + slope + noise * torch.randn(n, side, side)
    return split(x[:, None], mask[:, None].float())


def tones(n=1200, length=96, noise=0.4, classes=4):
    """Sine, square, saw or chirp, of any pitch and phase."""
    t = torch.arange(length) / length
    y = torch.randint(classes, (n,))
    turns = (4 + 4 * torch.rand(n, 1)) * t + torch.rand(n, 1)
    waves = torch.stack(
        [
            (2 * math.pi * turns).sin() * 1.3,
            (2 * math.pi * turns).sin().sign(),
            2 * (turns % 1) - 1,
            (2 * math.pi * turns * (0.4 + 1.2 * t)).sin() * 1.3,
        ]
    )
    x = waves[y, torch.arange(n)] + noise * torch.randn(n, length)
    return split(x[:, None], y)


def reviews(n=2400, longest=16, turns=0.25):
    """Padded words, lengths, and whether it is praise; word 1 turns the next word round."""
    lengths = torch.randint(6, longest + 1, (n,))
    polar = torch.randint(2, 18, (n, longest))
    plain = torch.randint(18, 40, (n, longest))
    lot = torch.rand(n, longest)
    words = torch.where(lot < 0.45, polar, torch.where(lot < 0.45 + turns, 1, plain))
    words = torch.where(torch.arange(longest) < lengths[:, None], words, 0)
    worth = ((words > 1) & (words < 10)).float() - ((words > 9) & (words < 18)).float()
    turned = torch.cat([torch.zeros(n, 1), (words[:, :-1] == 1).float()], 1)
    total = (worth * (1 - 2 * turned)).sum(1)
    keep = total != 0
    return split(words[keep], lengths[keep], (total[keep] > 0).long(), share=0.75)


def journeys(n=900, longest=14):
    """Words and a tag for each: a town's tag depends on the preposition before. -100: padding."""
    rng = generator()
    words = np.zeros((n, longest), dtype=np.int64)
    tags = np.full((n, longest), -100)
    for row in range(n):
        said, meant = [], []
        while len(said) < rng.integers(6, longest - 2):
            way = rng.integers(4)
            filler = list(rng.integers(30, 45, rng.integers(0, 2)))
            said += [1 + way, *filler, rng.integers(10, 30)]
            meant += [0] * (1 + len(filler)) + [1 + way]
        said, meant = said[:longest], meant[:longest]
        words[row, : len(said)], tags[row, : len(said)] = said, meant
    return split(torch.tensor(words), torch.tensor(tags))


def refrains(n=2400, length=4, times=3, base=11):
    """A random motif, sung again and again."""
    return split(torch.randint(base, (n, length)).repeat(1, times))


def unsorted(n=3000, length=7, base=12):
    """Numbers from 1 on, and the same in order; 0 is free for the start."""
    x = torch.randint(1, base, (n, length))
    return split(x, x.sort(1).values, share=0.85)


def visits(n=1400, longest=20):
    """Padded events of two features, lengths, and whether the highest mark comes late."""
    lengths = torch.randint(8, longest + 1, (n,))
    x = torch.randn(n, longest, 2)
    inside = torch.arange(longest) < lengths[:, None]
    marks = torch.where(inside, x[..., 0], -9.0)
    y = (marks.argmax(1) >= lengths / 2).long()
    return split(x * inside[..., None], lengths, y)


def chaos(n=1200, past=24, ahead=1):
    """Pieces of the Mackey-Glass series, standardised, and what comes `ahead` steps later."""
    total = n * 3 + past + 300
    series = np.full(total, 1.2)
    series[:18] += 0.2 * generator().standard_normal(18)
    for i in range(17, total - 1):
        late = series[i - 17]
        series[i + 1] = 0.9 * series[i] + 0.2 * late / (1 + late**10)
    series = torch.tensor((series[200:] - series.mean()) / series.std(), dtype=torch.float32)
    starts = torch.randperm(len(series) - past - ahead)[:n]
    x = torch.stack([series[s : s + past] for s in starts])
    y = series[starts + past + ahead - 1]
    return split(x[..., None] + 0.02 * torch.randn(n, past, 1), y[:, None])


def homes(n=2000):
    """Numbers, categories, and the logarithm of a price in which they act together."""
    numbers = torch.randn(n, 4)
    town, kind = torch.randint(12, (n,)), torch.randint(5, (n,))
    level, slope = torch.randn(12), torch.randn(5)
    price = level[town] + slope[kind] * numbers[:, 0] + (2 * numbers[:, 1]).sin()
    price = price + numbers[:, 2] * (town % 2 * 2 - 1) * 0.7 + 0.2 * torch.randn(n)
    return split(numbers, torch.stack([town, kind], 1), (price - price.mean()) / price.std())


def friedman(n=1500, noise=0.3, outliers=0.0):
    """Friedman's first function, standardised; the test has no outliers."""
    x = torch.rand(n, 8)
    y = 10 * (math.pi * x[:, 0] * x[:, 1]).sin() + 20 * (x[:, 2] - 0.5) ** 2
    y = y + 10 * x[:, 3] + 5 * x[:, 4] + 5 * (6 * x[:, 5]).cos()
    y = (y - y.mean()) / y.std() + noise * torch.randn(n)
    train, test = split((x - 0.5) * 3.46, y[:, None])
    wild = torch.rand(len(train[1]), 1) < outliers
    train[1] = torch.where(wild, 8 * torch.randn(len(train[1]), 1) + 4, train[1])
    return train, test


def machines(n=2000):
    """Readings, the wear, and whether it breaks: both come of the same two products."""
    x = torch.randn(n, 6)
    a, b = x[:, 0] * x[:, 1], x[:, 2].abs() - x[:, 3]
    wear = a + b + 0.2 * torch.randn(n)
    return split(x, (wear - wear.mean()) / wear.std(), (a - b > 0).float())


def defects(n=4000, share=0.05):
    """A few faulty parts, in a shell around two corners of the readings."""
    x = torch.randn(n, 6)
    far = torch.minimum((x[:, :3] - 1).norm(dim=1), (x[:, :3] + 1).norm(dim=1))
    y = far < far.quantile(share)
    return split(x, y.float())


def alarms(n=500, length=64, noise=0.35):
    """Recordings, and at which samples the one short rise-and-fall is; decoys only rise."""
    t, y = torch.arange(length), torch.zeros(n, length)
    x = noise * torch.randn(n, length)
    for _ in range(3):
        at = torch.randint(4, length - 6, (n, 1))
        x = x + ((t >= at) & (t < at + 3)).float() * 1.5
    at = torch.randint(4, length - 6, (n, 1))
    x = x + ((t >= at) & (t < at + 3)).float() * 1.5 - ((t >= at + 3) & (t < at + 6)).float() * 1.5
    y = ((t >= at) & (t < at + 3)).float()
    return split(x[:, None], y)


def stars(users=120, items=80, rank=3, n=6000, noise=0.3):
    """Users, items and ratings: of tastes more than of means."""
    p, q = torch.randn(users, rank), torch.randn(items, rank)
    bias = 0.5 * torch.randn(users, 1) + 0.5 * torch.randn(items)
    full = p @ q.T / rank**0.5 + bias + 3.5
    chosen = torch.randperm(users * items)[:n]
    u, i = chosen // items, chosen % items
    return split(u, i, full[u, i] + noise * torch.randn(n), share=0.8)


def listens(users=150, items=100, each=20):
    """What users listened to: pairs for training; for tests also one they did not like."""
    p, q = torch.randn(users, 4), torch.randn(items, 4)
    liked = (p @ q.T + 0.5 * torch.randn(users, items)).argsort(1, descending=True)
    picks = torch.stack([row[torch.randperm(each)] for row in liked[:, :each]])
    u = torch.arange(users)[:, None]
    train = torch.stack([u.expand(-1, each - 5), picks[:, 5:]], 2).reshape(-1, 2)
    others = each + torch.randint(items - each, (users, 5))
    test = torch.stack([u.expand(-1, 5), picks[:, :5], liked.gather(1, others)], 2)
    return [train[:, 0], train[:, 1]], test.reshape(-1, 3)


def searches(n=900, longest=10):
    """Lists of documents' features, how many there are, and how good each is (0 to 3)."""
    x = torch.randn(n, longest, 6)
    worth = x[..., 0] * x[..., 1] + x[..., 2].abs() + 0.3 * torch.randn(n, longest)
    grade = (worth > 0.3).long() + (worth > 1.2).long() + (worth > 2).long()
    lengths = torch.randint(5, longest + 1, (n,))
    inside = torch.arange(longest) < lengths[:, None]
    return split(x * inside[..., None], inside, grade * inside)


def questions(n=2400, noise=0.1):
    """Features of a question and of its answer, two views of the same bent plane."""
    z = torch.randn(n, 4)
    a, b = torch.randn(4, 20), torch.randn(4, 16)
    x, y = (z @ a).tanh(), (z @ b).sin()
    return split(x + noise * torch.randn(n, 20), y + noise * torch.randn(n, 16))


def bumps(n=1500, length=32):
    """A bump anywhere on a line, of any width."""
    at, wide = 3 + torch.rand(n, 1) * (length - 6), 1.5 + 1.5 * torch.rand(n, 1)
    return split((-((torch.arange(length) - at) ** 2) / (2 * wide**2)).exp())


def crescents(n=2000):
    x, _ = make_moons(n, noise=0.06, random_state=int(torch.randint(2**31, (1,))))
    x = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
    return split(x)


def rosette(n=2400, leaves=3):
    """Points round `leaves` places on a circle, of variance 1."""
    turn = torch.randint(leaves, (n,)) * (2 * math.pi / leaves)
    x = torch.stack([turn.cos(), turn.sin()], 1) * 1.38 + 0.12 * torch.randn(n, 2)
    return split(x / x.std())


def spans(n=4000, length=32):
    """Two spans of ones among zeros, the second as long as the first."""
    size = torch.randint(3, 8, (n, 1))
    first = torch.randint(0, 8, (n, 1))
    second = first + size + torch.randint(2, 8, (n, 1))
    t = torch.arange(length)
    return split(
        (((t >= first) & (t < first + size)) | ((t >= second) & (t < second + size))).float()
    )


def gauges(n=1500):
    """A bent line whose scatter grows with the second reading."""
    x = torch.rand(n, 2) * 2 - 1
    noise = 0.02 + 0.25 * (x[:, 1] + 1) ** 2 / 4
    return split(x, (0.5 * (4 * x[:, 0]).sin() + noise * torch.randn(n))[:, None])


def loads(n=3000):
    """Hour and temperature, and the demand, skewed upwards when it is hot."""
    hour, hot = torch.rand(n) * 24, torch.randn(n)
    level = (hour / 24 * 4 * math.pi).sin() + hot * (hour / 12 - 1)
    skew = 0.15 * (0.7 * torch.randn(n)).exp() * (1 + hot.clamp(min=0))
    return split(torch.stack([hour / 12 - 1, hot], 1), (level + skew)[:, None])


def claims(n=5000):
    """Features, exposure, and how many claims."""
    x, time = torch.randn(n, 5), 0.3 + torch.rand(n)
    rate = (2.2 + 0.6 * x[:, 0] * x[:, 1] + 0.6 * (2 * x[:, 2]).sin()).clamp(max=5).exp()
    return split(x, time, torch.poisson(rate * time))


def patients(n=1500):
    """Features, the time seen, and whether the event came before the study's end."""
    x = torch.randn(n, 6)
    risk = 1.8 * x[:, 0] * x[:, 1] + 1.2 * x[:, 2].square() - 1.2
    time = -torch.rand(n).log() / risk.exp()
    end = torch.rand(n) * 4
    return split(x, torch.minimum(time, end), (time < end).float())


def swings(n=800, steps=10, dt=0.2):
    """Starting points of a pendulum, and where it is at each of the next steps."""
    x = (torch.rand(n, 2) - 0.5) * torch.tensor([5.0, 3.0])
    path = []
    for _ in range(steps):
        for _ in range(20):
            speed = x[:, 1] + dt / 20 * (-2 * x[:, 0].sin() - 0.1 * x[:, 1])
            x = torch.stack([x[:, 0] + dt / 20 * speed, speed], 1)
        path.append(x)
        if len(path) == 1:
            start = x
    return split(start, torch.stack(path[1:], 1))


def decays(n=400):
    """Times and counts of a decaying oscillation, with noise."""
    t = torch.rand(n, 1) * 6
    y = 2.5 * (-0.35 * t).exp() * (2.2 * t).cos() + 0.7
    return split(t, y + 0.05 * torch.randn(n, 1))


def molecules(n=700, most=9, kinds=4):
    """Padded kinds of atoms, bonds, which atoms there are, and an energy of bonds and degrees."""
    present = torch.arange(most) < torch.randint(5, most + 1, (n, 1))
    atoms = torch.randint(kinds, (n, most))
    bonds = torch.triu(torch.rand(n, most, most) < 0.35, 1)
    bonds = (bonds | bonds.transpose(1, 2)) & present[:, None] & present[:, :, None]
    own, pair = torch.randn(kinds), torch.randn(kinds, kinds)
    pair = pair + pair.T
    energy = (own[atoms] * present).sum(1)
    energy = energy + 0.5 * (pair[atoms[:, :, None], atoms[:, None]] * bonds).sum((1, 2))
    energy = (energy - energy.mean()) / energy.std()
    return split(atoms, bonds.float(), present.float(), energy, share=0.8)
