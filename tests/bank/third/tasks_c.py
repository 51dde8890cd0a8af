"""Data of the sick runs with one fault: (training half, test half), each inputs and targets."""

import math

import torch
from torch import Tensor

Task = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


def halves(*tensors: Tensor, test: int) -> Task:
    """All but the last `test` examples to train on, the others to be judged by."""
    return tuple(t[:-test] for t in tensors), tuple(t[-test:] for t in tensors)


def standardised(task: Task, which: int = 0) -> Task:
    """Tensor number `which` by its mean and deviation over the training half."""
    mean, deviation = task[0][which].mean(0), task[0][which].std(0)
    first, last = (list(half) for half in task)
    for half in (first, last):
        half[which] = (half[which] - mean) / deviation
    return tuple(first), tuple(last)


def loans(examples: int = 1600) -> Task:
    """Age, income, debt, years in the job, children; who does not pay back (0 or 1)."""
    age, income, debt, years, children = torch.rand(5, examples)
    age, income, children = 20 + 50 * age, 15000 * (1.5 * income).exp(), (4 * children).floor()
    bad = 2 * debt + 0.3 * children > 1.4 + 0.6 * (age / 7).sin()
    rows = [age, income, income * (0.2 + 1.6 * debt), 30 * years, children]
    return halves(torch.stack(rows, 1), bad.long(), test=400)


def rides(examples: int = 1600) -> Task:
    """Hour, temperature, working day, Unix time; rented bicycles, a column of counts."""
    hour, working = torch.randint(0, 24, (examples,)), torch.randint(0, 2, (examples,))
    warm, day = 10 + 8 * torch.randn(examples), torch.randint(0, 700, (examples,))
    commute = (-(((hour - 8) / 2.5) ** 2)).exp() + (-(((hour - 18) / 3) ** 2)).exp()
    leisure = (-(((hour - 14) / 4) ** 2)).exp()
    demand = 40 + 450 * torch.where(working > 0, commute, leisure)
    counts = demand * (0.4 + ((warm - 10) / 6).sigmoid()) + 10 * torch.rand(examples)
    rows = torch.stack([hour, warm, working, 1.6e9 + 86400 * day + 3600 * hour], 1)
    return halves(rows.float(), counts.round()[:, None], test=400)


def signals(examples: int = 1200, times: int = 32) -> Task:
    """Sine, square, sawtooth, two tones, of any phase: (examples, times, 1)."""
    kind = torch.arange(examples) % 4
    turn = torch.rand(examples, 1) + (1.5 + 1.5 * torch.rand(examples, 1)) * torch.linspace(
        0, 1, times
    )
    sine = (2 * math.pi * turn).sin()
    forms = [sine, sine.sign(), 2 * (turn % 1) - 1, 0.7 * sine + (6 * math.pi * turn).sin()]
    wave = torch.stack(forms)[kind, torch.arange(examples)]
    return halves((wave + 0.15 * torch.randn(wave.shape))[..., None], kind, test=300)


def pictures(examples: int = 1200, size: int = 16) -> Task:
    """Bars, crosses, discs and rings in any colours, 0 to 255: (examples, 3, size, size)."""
    kind, place = torch.randint(0, 5, (examples,)), 4 + (size - 9) * torch.rand(examples, 2, 1, 1)
    dy = torch.arange(size)[:, None] - place[:, 0]
    dx = torch.arange(size) - place[:, 1]
    radius = 3 + 1.5 * torch.rand(examples, 1, 1)
    away = (dx**2 + dy**2).sqrt()
    lying = (dy.abs() < 1) & (dx.abs() < radius + 1)
    standing = (dx.abs() < 1) & (dy.abs() < radius + 1)
    forms = [lying, standing, lying | standing, away < radius, (away - radius).abs() < 0.9]
    form = torch.stack(forms)[kind, torch.arange(examples), None]
    ground, ink = (100 * torch.rand(2, examples, 3, 1, 1)) + torch.tensor([20, 130])[
        :, None, None, None, None
    ]
    image = torch.where(form, ink, ground) + 12 * torch.randn(examples, 3, size, size)
    return halves(image.clamp(0, 255).floor(), kind, test=300)


def reviews(examples: int = 1500, length: int = 16, classes: int = 3) -> Task:
    """Numbers of words, the frequent first; only words from 100 on tell the class."""
    label = torch.randint(0, classes, (examples,))
    text = 2 + (98 * torch.rand(examples, length) ** 2).long()
    telling = 100 + classes * torch.randint(0, 30, text.shape) + label[:, None]
    return halves(torch.where(torch.rand(text.shape) < 0.25, telling, text), label, test=400)


def ratings(examples: int = 3000, users: int = 50, items: int = 30) -> Task:
    """Who, what, and how many stars (a column)."""
    who, what = torch.randint(0, users, (examples,)), torch.randint(0, items, (examples,))
    taste, kind = torch.randn(users, 2), torch.randn(items, 2)
    stars = (taste[who] * kind[what]).sum(1) + torch.randn(items)[what]
    return halves(who, what, (stars + 0.3 * torch.randn(examples))[:, None], test=600)


def rain(examples: int = 2400) -> Task:
    """Six readings, millimetres of rain (mostly 0); in the test half what is to be expected."""
    rows = torch.randn(examples, 6)
    chance = 0.48 * (4 * rows[:, 0].abs() + 1.2 * rows[:, 1] - 3).sigmoid()
    fallen = (torch.rand(examples) < chance) * 4 * (0.5 + torch.rand(examples))
    millimetres = torch.cat([fallen[:-600], 4 * chance[-600:]])
    return halves(rows, millimetres[:, None], test=600)


def curves(examples: int = 1500, times: int = 24) -> Task:
    """Sums of three slow waves, and the same in noise: (examples, 1, times) and its target."""
    height, phase = torch.randn(3, examples, 1), 2 * math.pi * torch.rand(3, examples, 1)
    along = torch.linspace(0, 2 * math.pi, times)
    clean = sum(height[i] * ((i + 1) * along + phase[i]).sin() for i in range(3))
    clean = clean / clean.std()
    return halves((clean + 0.4 * torch.randn(clean.shape))[:, None], clean, test=400)


def clusters(classes: int = 8, examples: int = 1600, share=None, noise: float = 0.6) -> Task:
    """Three heaps for each class, in no order; `share` are the classes' frequencies."""
    weights = torch.ones(classes) if share is None else torch.tensor(share)
    label = torch.multinomial(weights, examples, replacement=True)
    heaps = 1.1 * torch.randn(classes, 3, 12)
    rows = heaps[label, torch.randint(0, 3, (examples,))] + noise * torch.randn(examples, 12)
    return halves(rows, label, test=examples // 3)


def chords(examples: int = 1500, notes: int = 10) -> Task:
    """Spectra with overtones in noise, and which notes sound."""
    sound = (torch.rand(examples, notes) < 0.2).float()
    loud = sound * (0.6 + 0.8 * torch.rand(examples, notes))
    spectrum = 0.15 * torch.randn(examples, 48)
    for overtone in (1, 2, 3):
        for note in range(notes):
            spectrum[:, (overtone * (5 + note)) % 48] += loud[:, note] / overtone
    return halves(spectrum, sound, test=400)


def landmarks(examples: int = 1000, size: int = 20) -> Task:
    """A soft spot in noise and where it is, in pixels: (examples, 1, size, size)."""
    place = 2 + (size - 5) * torch.rand(examples, 2)
    away = [((torch.arange(size) - place[:, i, None]) ** 2) for i in (0, 1)]
    spot = (-(away[0][:, :, None] + away[1][:, None]) / 8).exp()
    return halves((spot + 0.1 * torch.randn(spot.shape))[:, None], place, test=250)


def cells(examples: int = 500, size: int = 20) -> Task:
    """Two bright ellipses on a slope of light, and their mask: (examples, 1, size, size)."""
    along = torch.arange(size)
    mask = torch.zeros(examples, size, size)
    for _ in range(2):
        y, x = 3 + (size - 7) * torch.rand(2, examples, 1, 1)
        a, b = 2 + 2 * torch.rand(2, examples, 1, 1)
        mask += ((((along[:, None] - y) / a) ** 2 + ((along - x) / b) ** 2) < 1).float()
    mask = mask.clamp(max=1)[:, None]
    light = 2 * torch.rand(examples, 1, 1, 1) * torch.linspace(-1, 1, size)
    return halves(mask + light + 0.4 * torch.randn(mask.shape), mask, test=100)


def preferences(examples: int = 2000) -> Task:
    """The rows of two offers, the better one first."""
    offers = torch.randn(2, examples, 8)
    worth = (1.5 * offers[..., 0]).sin() + offers[..., 1] * offers[..., 2] + 0.5 * offers[..., 3]
    order = worth.argsort(0, descending=True)
    better, worse = offers[order, torch.arange(examples)]
    return halves(better, worse, test=500)


def first_word(examples: int = 1600, length: int = 12, words: int = 6) -> Task:
    """Words, some frequent; the target is the first one."""
    text = torch.multinomial(0.75 ** torch.arange(words), examples * length, replacement=True)
    text = text.reshape(examples, length)
    return halves(text, text[:, 0], test=400)


def directions(examples: int = 1500) -> Task:
    """Rows, and unit vectors that turn with them."""
    rows = torch.randn(examples, 5)
    bent = torch.stack(
        [(2 * rows[:, 0]).sin(), rows[:, 1] * rows[:, 2], rows[:, 3], rows[:, 4].abs() - 0.8], 1
    )
    return halves(rows, bent / bent.norm(dim=1, keepdim=True), test=400)
