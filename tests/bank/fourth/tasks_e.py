"""Data of the runs with two faults: small tables, waves, texts, digits and scans, all pairs."""

import math

import torch
from sklearn.datasets import load_digits
from torch import Tensor

Task = tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]


def halves(x: Tensor, y: Tensor, train: int) -> Task:
    """The first `train` examples to learn from, the others to be examined on."""
    return (x[:train], y[:train]), (x[train:], y[train:])


def standard(values: Tensor) -> Tensor:
    return (values - values.mean(0)) / values.std(0)


def plant(raw: bool, train: int = 1000) -> Task:
    """Power of a plant by temperature, vacuum, humidity, and pressure in pascals."""
    z = torch.rand(1600, 4) * 2 - 1
    bends = torch.sin(2.5 * z[:, 0]) + z[:, 1] * z[:, 3]
    power = bends + z[:, 2].square() + 0.5 * torch.sin(3 * z[:, 3])
    power = power + 0.1 * torch.randn(1600)
    table = z * torch.tensor([15.0, 20, 35, 1500]) + torch.tensor([20.0, 55, 60, 101325])
    return halves(table if raw else standard(table), standard(power)[:, None], train)


def houses(raw: bool) -> Task:
    """Prices of houses, in dollars if `raw`; targets (N,)."""
    z = torch.randn(1500, 5)
    worth = z[:, 0] + 0.6 * z[:, 1].abs() + torch.sin(2 * z[:, 2]) + 0.5 * z[:, 3] * z[:, 0]
    price = 60_000 * (worth + 0.1 * torch.randn(1500)) + 210_000
    return halves(z, price if raw else standard(price), 900)


def waveform() -> Task:
    """Two periods of a noisy sine: the first thing that one fits."""
    x = torch.rand(1100, 1) * 4 - 2
    return halves(x, torch.sin(math.pi * x) + 0.1 * torch.randn(1100, 1), 600)


def hums() -> Task:
    """Four kinds of hum, (N, 1, 48): sine, square, saw, and a sine that gets faster."""
    kind, time = torch.arange(1400) % 4, torch.linspace(0, 1, 48)
    phase = torch.rand(1400, 1) + (2.5 + torch.rand(1400, 1)) * time
    fast = torch.sin(2 * math.pi * (phase + 2.5 * time.square()))
    sine = torch.sin(2 * math.pi * phase)
    waves = torch.stack([sine, sine.sign(), 2 * (phase % 1) - 1, fast], 1)
    chosen = waves[torch.arange(1400), kind] + 0.2 * torch.randn(1400, 48)
    return halves(chosen[:, None], kind, 900)


def tickets(words: int = 300) -> Task:
    """Texts of 6 to 16 words, padded with 0; four topics have 20 own words each, among others.

    Only the `words` commonest are kept, the rest is word 1; the first 40 are stop words.
    """
    topic, length = torch.randint(0, 4, (1600,)), torch.randint(6, 17, (1600, 1))
    common = torch.randint(2, 42, (1600, 16))
    neutral = torch.randint(122, 300, (1600, 16))
    own = 42 + 20 * topic[:, None] + torch.randint(0, 20, (1600, 16))
    which = torch.rand(1600, 16)
    text = torch.where(which < 0.5, common, torch.where(which < 0.65, neutral, own))
    text = torch.where(text < words, text, 1)
    return halves(torch.where(torch.arange(16) < length, text, 0), topic, 1000)


def payments(share: float, raw: bool) -> Task:
    """Card payments, `share` of them frauds; seconds and amount as in the file if `raw`."""

    def drawn(count: int, part: float) -> tuple[Tensor, Tensor]:
        fraud = (torch.arange(count) < max(1, round(part * count))).float()[torch.randperm(count)]
        z = torch.randn(count, 7)
        z[:, :3] += 1.2 * fraud[:, None] * torch.tensor([1.0, -1, 1])
        z[:, 3:5] *= 1 + 1.5 * fraud[:, None]
        seconds, amount = 86_400 * (1 + 0.5 * torch.randn(count)), 80 * torch.randn(count).exp()
        extra = torch.stack([seconds, amount], 1)
        return torch.cat([extra if raw else standard(extra), z], 1), fraud[:, None]

    return drawn(2000, share), drawn(800, 0.5)


def credits() -> Task:
    """Good (0) and bad (1) risks: bad where income and debt do not go together."""
    z = torch.randn(1700, 6)
    bad = (z[:, 0] * z[:, 1] + 0.6 * z[:, 2] + 0.15 * torch.randn(1700) < 0).float()
    return halves(z, bad[:, None], 1000)


def digits() -> Task:
    """scikit-learn's digits, (N, 1, 8, 8), 0 to 1."""
    images, kinds = (torch.tensor(array) for array in load_digits(return_X_y=True))
    order = torch.randperm(len(kinds))
    return halves(images[order].float().view(-1, 1, 8, 8) / 16, kinds[order], 1200)


def scans() -> Task:
    """Noisy scans of a disc and of a ring as large; the disc is wanted, (N, 1, 14, 14)."""
    grid = torch.stack(torch.meshgrid(torch.arange(14.0), torch.arange(14.0), indexing="ij"))
    middle = torch.rand(2, 600, 2, 1, 1) * torch.tensor([9.0, 4]).view(2, 1, 1) + 2.5
    middle[1, :, 1] += 5.5
    far = (grid - middle).square().sum(2).sqrt()
    disc, ring = far[0] < 2.6, (far[1] < 2.9) & (far[1] > 1.6)
    image = (disc | ring).float() + 0.3 * torch.randn(600, 14, 14)
    return halves(image[:, None], disc.float()[:, None], 400)


def rings() -> Task:
    """Three noisy rings, one around the other."""
    kind, angle = torch.arange(1200) % 3, 2 * math.pi * torch.rand(1200)
    radius = 0.5 + 0.7 * kind + 0.12 * torch.randn(1200)
    x = radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return halves(x, kind, 750)
