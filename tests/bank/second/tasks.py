"""Small data sets, made or bundled: pairs (train, test) of tuples of tensors.

What is random comes from torch's global generator, which the registry seeds around each builder.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from sklearn import datasets as bundled
from torch import Tensor

from course_utils import datasets

Task = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


def split(*tensors: Tensor, test: int) -> Task:
    """The examples in random order, the last `test` of them apart."""
    order = torch.randperm(len(tensors[0]))
    tensors = tuple(tensor[order] for tensor in tensors)
    return tuple(t[:-test] for t in tensors), tuple(t[-test:] for t in tensors)


def standardised(train: Tensor, other: Tensor) -> Tensor:
    """`other` in the training data's deviations, each column by itself."""
    return (other - train.mean(0)) / train.std(0).clamp(min=1e-6)


def digits(seed: int, raw: bool = False) -> Task:
    """8 x 8 images in ten classes; `raw`: 0 to 255 as an image file has them."""
    halves = [datasets.load("digits", train=train, seed=seed)[:2] for train in (True, False)]
    return tuple((images * (255 if raw else 1), labels) for images, labels in halves)


def nuclei(seed: int, examples: int = 900) -> Task:
    """Fine against coarse texture, 24 x 24, standardised."""
    images, labels = datasets.nuclei(seed, examples=examples)[:2]
    return split((images - images.mean()) / images.std(), labels, test=examples // 3)


def lines(seed: int, pairs: int = 600) -> Task:
    """Whole against broken lines, 16 x 16."""
    return split(*datasets.lines(seed, pairs=pairs)[:2], test=400)


def volumes(seed: int) -> Task:
    """Balls against shells, 8 x 8 x 8."""
    return split(*datasets.volumes(seed)[:2], test=160)


def table(name: str, raw: bool = False, column: bool = False) -> Task:
    """sklearn's "wine", "breast_cancer" or "diabetes"; labels of two classes as a float column."""
    made = getattr(bundled, f"load_{name}")(**({"scaled": False} if name == "diabetes" else {}))
    order = torch.randperm(len(made.target))
    rows = torch.from_numpy(made.data).float()[order]
    labels = torch.from_numpy(np.asarray(made.target))[order]
    labels = labels.float()[:, None] if column else labels
    (train, train_labels), (test, test_labels) = split(rows, labels, test=len(rows) // 3)
    if not raw:
        train, test = standardised(train, train), standardised(train, test)
    return (train, train_labels), (test, test_labels)


def friedman(examples: int = 1200, noise: float = 0.5) -> Task:
    """Friedman's first function of ten inputs in (0, 1), of which five count; targets standard."""
    x = torch.rand(examples, 10)
    y = 10 * torch.sin(math.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    y = y + 10 * x[:, 3] + 5 * x[:, 4] + noise * torch.randn(examples)
    return split(2 * x - 1, ((y - y.mean()) / y.std())[:, None], test=examples // 3)


def houses(raw_inputs: bool = False, raw_targets: bool = False, examples: int = 1200) -> Task:
    """Prices of houses by area, rooms, age and distance, in square feet, years, metres, dollars."""
    area = 600 + 2800 * torch.rand(examples)
    rooms = 1 + (6 * torch.rand(examples)).floor()
    age, way = 90 * torch.rand(examples), 12000 * torch.rand(examples)
    price = 90 * area + 9000 * rooms - 40 * area * (way / 12000) - 900 * (age - 45).abs()
    price = price + 8000 * torch.randn(examples)
    rows, targets = torch.stack([area, rooms, age, way], 1), price[:, None]
    rows = rows if raw_inputs else standardised(rows, rows)
    return split(rows, targets if raw_targets else standardised(targets, targets), test=400)


def rings(classes: int = 2, examples: int = 1200) -> Task:
    """Rings about each other in the plane: no straight line parts them."""
    labels = torch.arange(examples) % classes
    angle, radius = 2 * math.pi * torch.rand(examples), 0.5 + labels + 0.12 * torch.randn(examples)
    return split(torch.stack([angle.cos(), angle.sin()], 1) * radius[:, None], labels, test=300)


def waves(examples: int = 900, times: int = 24, raw: bool = False) -> Task:
    """Three frequencies in noise, two channels: (examples, times, 2)."""
    labels = torch.arange(examples) % 3
    frequency = torch.tensor([1.0, 2.0, 3.5])[labels] * (0.9 + 0.2 * torch.rand(examples))
    phase = (
        2
        * math.pi
        * (frequency[:, None] * torch.arange(times) / times + torch.rand(examples)[:, None])
    )
    signal = torch.stack([phase.sin(), phase.cos()], 2) + 0.3 * torch.randn(examples, times, 2)
    signal = 500 * signal + 2000 if raw else signal
    return split(signal, labels, test=300)


def ahead(examples: int = 1200, times: int = 16) -> Task:
    """A damped oscillation's next value: (examples, times, 1) and (examples, 1)."""
    speed, start = 0.3 + 0.5 * torch.rand(examples, 1), 2 * math.pi * torch.rand(examples, 1)
    values = torch.sin(speed * torch.arange(times + 1) + start) + 0.05 * torch.randn(
        examples, times + 1
    )
    return split(values[:, :-1, None], values[:, -1:], test=400)


def topics(examples: int = 1200, length: int = 12, words: int = 40, classes: int = 4) -> Task:
    """Texts of word numbers, padded with 0, in classes that each prefer some words."""
    labels = torch.arange(examples) % classes
    own = 1 + labels[:, None] + classes * torch.randint(0, 9, (examples, length))
    text = torch.where(torch.rand(examples, length) < 0.45, own, torch.randint(1, words, own.shape))
    ends = torch.randint(6, length + 1, (examples, 1))
    return split(text.masked_fill(torch.arange(length) >= ends, 0), labels, test=400)


def tags(examples: int = 1400, length: int = 10, words: int = 20) -> Task:
    """A tag per word: its number modulo 3, one further after an even word; -100 at padding."""
    text = torch.randint(1, words, (examples, length))
    previous = F.pad(text[:, :-1], (1, 0), value=1)
    tag = (text + (previous % 2 == 0)) % 3
    padding = torch.arange(length) >= torch.randint(5, length + 1, (examples, 1))
    return split(text.masked_fill(padding, 0), tag.masked_fill(padding, -100), test=200)


def discs(examples: int = 400, size: int = 16, radius: float = 3.0, noise: float = 0.5) -> Task:
    """Noisy images with one bright disc each, and its mask: (examples, 1, size, size) both."""
    middle = 2 + (size - 5) * torch.rand(examples, 2, 1, 1)
    place = torch.arange(size)
    away = (place[:, None] - middle[:, 0]) ** 2 + (place - middle[:, 1]) ** 2
    mask = (away < (radius * (0.8 + 0.4 * torch.rand(examples, 1, 1))) ** 2).float()[:, None]
    return split(mask + noise * torch.randn(mask.shape), mask, test=examples // 4)


def labelled_sums(examples: int = 1200, labels: int = 12, share: float = 0.25) -> Task:
    """Sums of 40-dimensional patterns in noise; targets say which patterns are present."""
    present = (torch.rand(examples, labels) < share).float()
    patterns = torch.randn(labels, 40)
    return split(present @ patterns / 2 + 0.3 * torch.randn(examples, 40), present, test=400)


def rare(examples: int = 4000, share: float = 0.03) -> Task:
    """A table of 12 columns with few positives, overlapping the others; a float column."""
    yes = (torch.rand(examples, 1) < share).float()
    rows = torch.randn(examples, 12)
    rows[:, :4] += 0.9 * yes
    rows[:, 4:5] *= 1 + yes
    return split(rows, yes, test=examples // 2)


def counting(examples: int = 1000, length: int = 8, words: int = 24) -> Task:
    """Word numbers that go up by 1, 2 or 3; the targets are each place's next word."""
    start, by = torch.randint(0, words, (examples, 1)), torch.randint(1, 4, (examples, 1))
    text = (start + by * torch.arange(length + 1)) % words
    return split(text[:, :-1], text[:, 1:], test=300)


def pairs_of(task: Task) -> Task:
    """Each input beside another, and whether both are of one class (as 0.0 or 1.0)."""

    def paired(inputs: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        same = torch.rand(len(labels)) < 0.5
        suitable = (labels[:, None] == labels) == same[:, None]
        other = torch.multinomial(suitable.float(), 1)[:, 0]
        return inputs, inputs[other], same.float()

    return tuple(paired(*half[:2]) for half in task)


def triples_of(task: Task) -> Task:
    """Each input beside one of its class and one of another."""

    def drawn(inputs: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        alike = labels[:, None] == labels
        near = torch.multinomial(alike.float(), 1)[:, 0]
        far = torch.multinomial((~alike).float(), 1)[:, 0]
        return inputs, inputs[near], inputs[far]

    return tuple(drawn(*half[:2]) for half in task)
