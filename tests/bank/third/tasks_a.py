"""Data drawn on the spot: tables, small pictures, signals, words. Tasks are (train, test)."""

import torch
from torch import Tensor, nn

Task = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


def parted(*tensors: Tensor, test: int = 1000) -> Task:
    return tuple(t[:-test] for t in tensors), tuple(t[-test:] for t in tensors)


def spirals(examples: int = 1920, arms: int = 3) -> Task:
    labels = torch.randint(arms, (examples + 1000,))
    far = 0.1 + 0.9 * torch.rand(len(labels)).sqrt()
    angle = 6.28 * labels / arms + 4 * far
    points = far[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return parted(2 * points + 0.08 * torch.randn(points.shape), labels)


def clusters(examples: int = 1920, classes: int = 4, dims: int = 10, each: int = 3) -> Task:
    """Every class is `each` clouds, so that no plane parts them."""
    centres = 1.7 * torch.randn(classes, each, dims)
    labels = torch.randint(classes, (examples + 1000,))
    centre = centres[labels, torch.randint(each, labels.shape)]
    return parted((centre + torch.randn(centre.shape)) / 2, labels)


SHAPES = """..#.. #...# ##### ..... ..#.. #....
            ..#.. .#.#. #...# ..... ..#.. .#...
            ##### ..#.. #...# ##### ..#.. ..#..
            ..#.. .#.#. #...# ..... ..#.. ...#.
            ..#.. #...# ##### ..... ..#.. ....#""".split()
SHAPES = torch.tensor([[[c == "#" for c in row] for row in SHAPES[k::6]] for k in range(6)]).float()


def glyphs(examples: int = 1280, classes: int = 6, size: int = 12, noise: float = 0.3) -> Task:
    """One of six shapes somewhere; the third tensor is where, from -1 to 1."""
    labels = torch.randint(classes, (examples + 1000,))
    place = torch.randint(size - 4, (len(labels), 2))
    rows, columns = (place[:, axis, None] + torch.arange(5) for axis in (0, 1))
    images = torch.zeros(len(labels), 1, size, size)
    numbers = torch.arange(len(labels))[:, None, None]
    images[numbers, 0, rows[:, :, None], columns[:, None]] = SHAPES[labels]
    place = 2 * place / (size - 5) - 1
    return parted(images + noise * torch.randn(images.shape), labels, place)


def tones(examples: int = 1600, classes: int = 4, noise: float = 0.5) -> Task:
    """Signals of 48 samples; the class is the frequency, the phase is free."""
    labels, time = torch.randint(classes, (examples + 1000,)), torch.linspace(0, 6.28, 48)
    pitch = 3 + 2 * labels[:, None] + 0.3 * torch.randn(len(labels), 1)
    signals = (pitch * time + 6.28 * torch.rand(len(labels), 1)).sin()
    return parted((signals + noise * torch.randn(signals.shape))[:, None], labels)


def reviews(examples: int = 1920, words: int = 30, longest: int = 14) -> Task:
    """Good words (3-7), bad ones (8-12), "not" (2) before some; 0 pads. Then the lengths."""
    ids = torch.randint(13, words, (examples + 1000, longest))
    lengths = torch.randint(4, longest + 1, (len(ids),))
    start = (torch.rand(len(ids)) * (lengths - 2)).long()
    good, negated = torch.rand(len(ids)) < 0.5, torch.rand(len(ids)) < 0.3
    rows = torch.arange(len(ids))
    ids[rows, start + 1] = torch.randint(5, good.shape) + torch.where(good, 3, 8)
    ids[rows, start] = torch.where(negated, 2, ids[rows, start])
    ids[torch.arange(longest) >= lengths[:, None]] = 0
    return parted(ids, (good ^ negated).long(), lengths)


def sensors(examples: int = 1920) -> Task:
    x = torch.randn(examples + 1000, 8)
    y = (2 * x[:, 0]).sin() + x[:, 1] * x[:, 2] + x[:, 3].abs() + 0.7 * x[:, 4]
    return parted(x, ((y - y.mean()) / y.std())[:, None])


def echo(examples: int = 1600) -> Task:
    """Signals whose pitch, from -1.7 to 1.7, is asked for."""
    y, time = 3.4 * torch.rand(examples + 1000, 1) - 1.7, torch.linspace(0, 6.28, 48)
    x = ((6 + 2 * y) * time + 6.28 * torch.rand(len(y), 1)).sin()
    return parted((x + 0.3 * torch.randn(x.shape))[:, None], y)


def places(examples: int = 1600) -> Task:
    """Where the shape on a picture lies."""
    return tuple((images, 1.5 * place) for images, _, place in glyphs(examples))


def walks(examples: int = 1600, times: int = 14) -> Task:
    """Sequences; the target is what their positive steps add up to."""
    x = torch.randn(examples + 1000, times, 1)
    y = x.relu().sum(1)
    return parted(x, (y - y.mean()) / y.std())


def cells(examples: int = 480, size: int = 20, radius: float = 2.0, noise: float = 0.4) -> Task:
    """A bright ellipse or two on a slope of light; masks of a few per cent."""
    grid = torch.arange(size).float()
    away = torch.zeros(examples + 200, 2, size, size)
    for line in (grid[:, None], grid):
        centre = radius + (size - 2 * radius) * torch.rand(len(away), 2, 1, 1)
        away += ((line - centre) / (radius * (0.7 + 0.6 * torch.rand(centre.shape)))) ** 2
    away[torch.rand(len(away)) < 0.5, 1] = 9
    masks = (away < 1).any(1, keepdim=True).float()
    light = torch.rand(len(away), 1, 1, 1) * grid / size
    return parted(masks + light + noise * torch.randn(masks.shape), masks, test=200)


def chains(examples: int = 960, words: int = 18, longest: int = 14, sure: float = 0.8) -> Task:
    """Texts in which one of two words usually follows each; padded with 0, words from 2."""
    follow = torch.stack([torch.randperm(words) for _ in range(2)], 1)
    ids = torch.randint(words, (examples + 500, longest))
    for k in range(1, longest):
        usual = torch.rand(len(ids)) < sure
        ids[:, k] = torch.where(usual, follow[ids[:, k - 1], 0], follow[ids[:, k - 1], 1])
    lengths = torch.randint(5, longest + 1, (len(ids), 1))
    return parted(torch.where(torch.arange(longest) < lengths, ids + 2, 0), test=500)


def atoms(examples: int, patterns: Tensor, share: float, noise: float) -> Task:
    """Sums of a few of `patterns` (K, ...), and which ones are in."""
    labels = (torch.rand(examples + 1000, len(patterns)) < share).float()
    x = torch.einsum("nk,k...->n...", labels * (0.8 + 0.4 * torch.rand(labels.shape)), patterns)
    return parted(x + noise * torch.randn(x.shape), labels)


def strips(examples: int = 960, symbols: int = 5) -> tuple[list, list]:
    """Frames of unequal number, in which up to six symbols come after each other, for CTC."""
    looks, made = nn.functional.normalize(torch.randn(symbols + 1, 8), dim=1) * 3, []
    for _ in range(examples + 300):
        said = torch.randint(1, symbols + 1, (int(torch.randint(2, 7, ())),))
        path = torch.stack([said, torch.zeros_like(said)], 1).flatten()
        path = path.repeat_interleave(torch.randint(1, 4, path.shape))
        made.append((looks[path] + 0.5 * torch.randn(len(path), 8), said))
    return made[:-300], made[-300:]
