"""Made-up data of the runs with two faults: tables, small images, sequences, graphs."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Half = tuple[Tensor, ...]
Task = tuple[Half, Half]


def halves(*tensors: Tensor, train: float = 0.7) -> Task:
    """The first `train` of the examples, and the rest; they are drawn in no order."""
    cut = int(train * len(tensors[0]))
    return tuple(t[:cut] for t in tensors), tuple(t[cut:] for t in tensors)


def shifted_labels(task: Task, by: int = 1) -> Task:
    """The training labels belong to the inputs `by` rows away."""
    (*inputs, labels), test = task
    return (*inputs, labels.roll(by, 0)), test


def in_text_order(task: Task) -> Task:
    """Labels by number, inputs as a folder lists them: img_1, img_10, img_100, img_101, img_2."""
    (inputs, labels), test = task
    listed = sorted(range(len(inputs)), key=lambda i: f"img_{i}.png")
    return (inputs[torch.tensor(listed)], labels), test


def customers(raw: bool = False, examples: int = 1500) -> Task:
    """Who leaves, by age, income, months and balance; a float column."""
    z = torch.randn(examples, 4)
    leaves = 1.5 * z[:, 0] * z[:, 3] + z[:, 2] - 0.7 * z[:, 1] + 0.2 * torch.randn(examples) > 0
    scale, middle = torch.tensor([12.0, 15e3, 14.0, 30e3]), torch.tensor([45.0, 52e3, 40.0, 76e3])
    return halves(z * scale + middle if raw else z, leaves.float()[:, None])


def frauds(share: float, examples: int = 3000) -> Task:
    """Payments in eight columns, `share` of the training ones false; the test is balanced."""
    part = torch.full((examples, 1), share)
    part[int(0.7 * examples) :] = 0.5
    false = (torch.rand(examples, 1) < part).float()
    rows = torch.randn(examples, 8)
    rows[:, :3] += 1.2 * false
    rows[:, 3:6] *= 1 + 1.5 * false
    return halves(rows, false)


def concrete(raw: bool = False, examples: int = 1000) -> Task:
    """Strength (standardised) by cement, water, slag and age; targets are a row, not a column."""
    u = torch.rand(examples, 4)
    strength = 3 * u[:, 0] - 2.5 * u[:, 1] * (1 + u[:, 0]) + 1.2 * u[:, 2] * u[:, 3]
    strength = strength + 1.5 * torch.log1p(9 * u[:, 3]) + 0.1 * torch.randn(examples)
    rows = u * torch.tensor([440.0, 125, 360, 364]) + torch.tensor([100.0, 120, 0, 1])
    return halves(rows if raw else 3.4 * (u - 0.5), (strength - strength.mean()) / strength.std())


def shops(raw: bool = False, examples: int = 1200) -> Task:
    """The day's profit or loss by visitors, price, staff and rain; `raw`: in dollars."""
    z = torch.randn(examples, 4)
    profit = z[:, 0] * (1 + 0.5 * z[:, 1]) - z[:, 2].abs() - 0.6 * z[:, 3] + 0.8
    profit = profit + 0.15 * torch.randn(examples)
    return halves(z, profit[:, None] * (4000 if raw else 0.6))


def households(raw: bool = False, zeros: bool = False, examples: int = 1200) -> Task:
    """Rents by log income, log wealth and size; with `zeros` some have no income, whose log is."""
    income, wealth = torch.exp(torch.randn(2, examples))
    size = torch.randint(1, 6, (examples,)).float()
    rent = income.log().tanh() * 2 + 0.5 * wealth.log() * (size - 3) / 1.5
    rent = rent + 0.15 * torch.randn(examples)
    if zeros:
        income[: examples // 2] *= torch.rand(examples // 2) > 0.04
    rows = torch.stack([income.log(), wealth.log(), (size - 3) / 1.5], 1)
    return halves(rows, rent[:, None] * 700 + 1900 if raw else rent[:, None] / 1.6)


def bikes(examples: int = 1500) -> Task:
    """Hires per hour by hour of day, warmth and holiday; standardised, as notebooks do."""
    hour, warmth = 24 * torch.rand(examples), torch.randn(examples)
    holiday = (torch.rand(examples) < 0.3).float()
    peaks = torch.exp(-((hour - 8) ** 2) / 4) + torch.exp(-((hour - 17) ** 2) / 6)
    count = (1 - 0.8 * holiday) * peaks + 0.3 * warmth * (1 - peaks / 2)
    count = count + 0.05 * torch.randn(examples)
    rows = torch.stack([hour / 6 - 2, warmth, holiday], 1)
    return halves(rows, ((count - count.mean()) / count.std())[:, None])


def spirals(examples: int = 1200) -> Task:
    """Three arms in the plane."""
    arm, t = torch.arange(examples) % 3, torch.rand(examples)
    angle = 2 * math.pi * (arm / 3 + 0.8 * t) + 0.12 * torch.randn(examples)
    return halves(2 * (0.2 + t[:, None]) * torch.stack([angle.cos(), angle.sin()], 1), arm)


def shapes(raw: bool = False, examples: int = 1200, size: int = 12, noise: float = 0.15) -> Task:
    """Six kinds of figures: (examples, 1, size, size), in 0 to 1 or `raw` grey values."""
    kind = torch.randint(0, 6, (examples,))
    place = torch.arange(size) - (size - 1) / 2
    u, v = (place - 2 * torch.rand(examples, 2, 1, 1) + 1).permute(1, 0, 2, 3)
    u, v = u.expand(-1, size, -1), v.transpose(1, 2).expand(-1, -1, size)
    r = 3.2 + 1.5 * torch.rand(examples, 1, 1)
    largest, circle = torch.maximum(u.abs(), v.abs()), (u**2 + v**2).sqrt()
    inside = largest < r
    figures = torch.stack(
        [
            circle < r,
            (circle < r) & (circle > r - 1.5),
            inside & (largest > r - 1.3),
            inside & (torch.minimum(u.abs(), v.abs()) < 0.8),
            inside & ((u.abs() - v.abs()).abs() < 1),
            inside & (v.floor() % 2 == 0),
        ]
    )
    image = 0.1 + 0.7 * figures[kind, torch.arange(examples)].float()
    image = (image + noise * torch.randn(image.shape)).clamp(0, 1)[:, None]
    return halves((255 * image).round() if raw else image, kind)


def genres(examples: int = 1200, labels: int = 6) -> Task:
    """Thirty keyword counts and which of six genres a film has: none, one or several."""
    has = (torch.rand(examples, labels) < 0.4).float()
    words = torch.poisson(has @ (5 * torch.rand(labels, 30) ** 4) + 0.1)
    return halves(words.sqrt() - 0.8, has)


def spectra(examples: int = 1000, channels: int = 32) -> Task:
    """Sums of four bands of any strength, each channel standardised; to be reconstructed."""
    at = torch.arange(channels)
    bands = torch.exp(-((at - torch.tensor([[5.0], [12], [19], [26]])) ** 2) / 14)
    lines = torch.randn(examples, 4) @ bands + 0.05 * torch.randn(examples, channels)
    lines = (lines - lines.mean(0)) / lines.std(0)
    return halves(lines, lines)


def motifs(examples: int = 1000, length: int = 24) -> Task:
    """DNA as (examples, 4, length), which holds one of five motifs somewhere."""
    letters, kind = torch.randint(0, 4, (examples, length)), torch.randint(0, 5, (examples,))
    words = torch.tensor(
        [[0, 1, 2, 3, 0, 0], [3, 3, 1, 0, 2, 1], [2, 0, 2, 0, 1, 3], [1, 1, 1, 3, 2, 2], [0, 3] * 3]
    )
    at = torch.randint(0, length - 6, (examples, 1)) + torch.arange(6)
    return halves(F.one_hot(letters.scatter(1, at, words[kind]), 4).mT.float(), kind)


def sales(examples: int = 900, weeks: int = 18) -> Task:
    """The next value of a seasonal curve with a trend: (examples, weeks, 1) and (examples, 1)."""
    speed = 0.5 + 0.7 * torch.rand(examples, 1)
    time, start = torch.arange(weeks + 1), 6.3 * torch.rand(examples, 1)
    curve = torch.sin(speed * time + start) + 0.05 * torch.randn(examples, 1) * (time - weeks / 2)
    curve = curve + 0.05 * torch.randn(curve.shape)
    return halves(curve[:, :-1, None], curve[:, -1:])


def melodies(examples: int = 700, length: int = 14, notes: int = 8) -> Task:
    """Each note follows from the two before, but for one in twenty; the targets are the next."""
    tune = torch.randint(0, notes, (examples, length + 1))
    free = torch.rand(tune.shape) < 0.05
    for i in range(2, length + 1):
        tune[:, i] = torch.where(free[:, i], tune[:, i], (tune[:, i - 1] + tune[:, i - 2]) % notes)
    targets = tune[:, 1:].clone()
    targets[:, 0] = -100  # nothing tells the second note
    return halves(tune[:, :-1], targets)


def beats(examples: int = 900, times: int = 32) -> Task:
    """Heartbeats, early, broad, doubled or inverted, in noise: (examples, 1, times)."""
    kind, middle = torch.randint(0, 4, (examples,)), 10 + 8 * torch.rand(examples, 1)
    at = torch.arange(times) - middle
    peak = torch.exp(-(at**2) / 3)
    forms = [peak, torch.exp(-(at**2) / 25), peak + 0.8 * torch.exp(-((at - 6) ** 2) / 3), -peak]
    signal = torch.stack(forms)[kind, torch.arange(examples)]
    return halves((signal + 0.15 * torch.randn(signal.shape))[:, None], kind)


def vibrations(normed: bool = False, examples: int = 900, times: int = 32) -> Task:
    """Bearings, good to broken: the size of the swing tells; `normed`: each divided by its own."""
    kind = torch.randint(0, 4, (examples,))
    phase = 6.3 * torch.rand(examples, 1) + (0.4 + torch.rand(examples, 1)) * torch.arange(times)
    swing = torch.tensor([0.3, 0.8, 1.4, 2.1])[kind] * (0.9 + 0.2 * torch.rand(examples))
    signal = swing[:, None] * phase.sin() + 0.1 * torch.randn(examples, times)
    if normed:
        signal = signal - signal.mean(1, keepdim=True)
        signal = signal / signal.std(1, keepdim=True)
    return halves(signal[:, None], kind)


def likes(examples: int = 3000, users: int = 40, items: int = 30) -> Task:
    """Triples of a user, a thing this one likes and one this one likes less."""
    tastes = torch.randn(users, 3) @ torch.randn(3, items)
    user, pair = torch.randint(0, users, (examples,)), torch.rand(examples, items).argsort(1)[:, :2]
    first, second = tastes[user, pair[:, 0]], tastes[user, pair[:, 1]]
    better = (first > second).long()[:, None]
    return halves(user, pair.gather(1, 1 - better)[:, 0], pair.gather(1, better)[:, 0])


def molecules(examples: int = 900, nodes: int = 9) -> Task:
    """Graphs as node kinds (one-hot) and adjacency; the label: which kind has the most bond."""
    kinds = F.one_hot(torch.randint(0, 4, (examples, nodes)), 4).float()
    edges = torch.rand(examples, nodes, nodes).triu(1)
    edges = edges * (torch.rand(edges.shape) < 0.4)
    edges = edges + edges.mT
    bonds = (kinds * edges.sum(2, keepdim=True)).sum(1)
    return halves(kinds, edges, bonds.argmax(1))
