"""Data, nets and the training loop that the sick practice runs share."""

import inspect
from functools import lru_cache

import numpy
import torch
import torch.nn.functional as F
from sklearn import datasets
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Run(dict):
    """The arguments of one checkup; the plan of the run lies beside them as attributes."""

    def __init__(self, arguments, left, score, target, honest):
        super().__init__(arguments)
        self.left = left
        self.score = score
        self.target = target
        self.honest = honest


def plain_step(loss):
    """Return the usual training step for a loss of two or of three arguments."""
    takes_pair = len(inspect.signature(loss).parameters) == 3

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, *batch) if takes_pair else loss(model, batch)
        value.backward()
        optimizer.step()

    return step


def train(model, loss, batches, optimizer, step, epochs):
    """Train for some epochs with the run's own step."""
    step = step or plain_step(loss)
    for _ in range(epochs):
        for batch in batches:
            step(model, optimizer, batch)


def hand_over(
    model,
    loss,
    batches,
    optimizer,
    step=None,
    shown=None,
    *,
    epochs,
    done=0,
    score,
    target,
    honest=None,
):
    """Train `done` of the planned `epochs` and return the run as checkup takes it."""
    train(model, loss, batches, optimizer, step, done)
    arguments = {
        "model": model,
        "loss": loss,
        "batches": batches,
        "optimizer": optimizer,
        "step": step,
        "shown": shown() if callable(shown) else shown,
    }
    return Run(arguments, epochs - done, score, target, honest)


# ---------------------------------------------------------------------------------------- scores


def accuracy(inputs, labels, decode=None):
    """Return a score: the accuracy in evaluation mode on data the run hasn't seen."""

    def score(model):
        model.eval()
        with torch.no_grad():
            outputs = model(inputs)
        guesses = decode(outputs) if decode else outputs.argmax(-1)
        return (guesses == labels).float().mean().item()

    return score


def balanced_accuracy(inputs, labels, decode=None):
    """Return a score: the mean over the classes of the share that is found."""

    def score(model):
        model.eval()
        with torch.no_grad():
            outputs = model(inputs)
        guesses = decode(outputs) if decode else outputs.argmax(-1)
        shares = [(guesses[labels == one] == one).float().mean() for one in labels.unique()]
        return torch.stack(shares).mean().item()

    return score


def explained(inputs, targets, scale=1.0, offset=0.0):
    """Return a score: the share of the variance of the targets that is explained."""

    def score(model):
        model.eval()
        with torch.no_grad():
            outputs = model(inputs)
        outputs = outputs.reshape(targets.shape) * scale + offset
        error = ((outputs - targets) ** 2).mean()
        return (1 - error / ((targets - targets.mean(0)) ** 2).mean()).item()

    return score


def positive(outputs):
    """Read one logit per example as class 0 or 1."""
    return (outputs.reshape(len(outputs), -1)[:, 0] > 0).long()


def likely(outputs):
    """Read one probability per example as class 0 or 1."""
    return (outputs.reshape(len(outputs), -1)[:, 0] > 0.5).long()


# ------------------------------------------------------------------------------------------ data


def generator(seed):
    """Return a generator of its own."""
    return torch.Generator().manual_seed(seed)


@lru_cache
def bundled(name):
    """Return a bundled table as arrays."""
    loaders = {
        "digits": datasets.load_digits,
        "wine": datasets.load_wine,
        "cancer": datasets.load_breast_cancer,
    }
    if name == "diabetes":
        return datasets.load_diabetes(return_X_y=True, scaled=False)
    return loaders[name](return_X_y=True)


def table(name, seed, size=None):
    """Return a bundled table, raw, as training inputs and labels, test inputs and labels."""
    inputs, labels = bundled(name)
    inputs = torch.tensor(numpy.asarray(inputs), dtype=torch.float32)
    labels = torch.tensor(numpy.asarray(labels))
    labels = labels.float() if name == "diabetes" else labels.long()
    order = torch.randperm(len(inputs), generator=generator(seed))
    size = size or (len(inputs) * 2) // 3
    first, rest = order[:size], order[size : size + 600]
    return inputs[first], labels[first], inputs[rest], labels[rest]


def digits(seed, size=1000):
    """Return the digits with pixels between 0 and 1."""
    inputs, labels, test_inputs, test_labels = table("digits", seed, size)
    return inputs / 16, labels, test_inputs / 16, test_labels


def standardised(inputs, test_inputs):
    """Scale both with the mean and the deviation of the first."""
    mean, deviation = inputs.mean(0), inputs.std(0) + 1e-6
    return (inputs - mean) / deviation, (test_inputs - mean) / deviation


def spirals(seed, size=300, arms=2, turns=1.25):
    """Return points on spiral arms; the arm is the label."""
    random = generator(seed)
    labels = torch.arange(2 * size) % arms
    radius = torch.rand(2 * size, generator=random) * 0.9 + 0.1
    angle = radius * turns * 2 * torch.pi + labels * 2 * torch.pi / arms
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
    points = (points + 0.02 * torch.randn(2 * size, 2, generator=random)) * 2
    return points[:size], labels[:size], points[size:], labels[size:]


def curve(seed, size=400):
    """Return a regression of one number: a sine with a slope."""
    random = generator(seed)
    inputs = torch.rand(2 * size, 1, generator=random) * 6 - 3
    targets = torch.sin(2 * inputs) + 0.3 * inputs
    targets = targets + 0.05 * torch.randn(2 * size, 1, generator=random)
    return inputs[:size], targets[:size], inputs[size:], targets[size:]


def friedman(seed, size=500):
    """Return Friedman's regression of five numbers, the targets standardised."""
    random = generator(seed)
    inputs = torch.rand(2 * size, 5, generator=random)
    a, b, c, d, e = inputs.unbind(1)
    targets = 10 * torch.sin(torch.pi * a * b) + 20 * (c - 0.5) ** 2 + 10 * d + 5 * e
    targets = ((targets - 14.4) / 4.9 + 0.1 * torch.randn(2 * size, generator=random)).unsqueeze(1)
    inputs = (inputs - 0.5) * 3.4
    return inputs[:size], targets[:size], inputs[size:], targets[size:]


def reviews(seed, size=500, length=12):
    """Return sequences of words; a few signal words among them make the label (0 or 1)."""
    random = generator(seed)
    words = torch.randint(12, 60, (2 * size, length), generator=random)
    labels = torch.randint(0, 2, (2 * size,), generator=random)
    for _ in range(2):
        place = torch.randint(0, length, (2 * size,), generator=random)
        signal = torch.randint(2, 7, (2 * size,), generator=random) + 5 * labels
        words[torch.arange(2 * size), place] = signal
    return words[:size], labels[:size], words[size:], labels[size:]


def tagged(seed, size=300, length=10):
    """Return sequences of words and a tag for each word (a function of the word)."""
    random = generator(seed)
    words = torch.randint(0, 30, (2 * size, length), generator=random)
    tags = (words * 7 + 3) % 5
    return words[:size], tags[:size], words[size:], tags[size:]


def texts(seed, size=300, length=12):
    """Return sequences in which each sign mostly fixes the next one."""
    random = generator(seed)
    following = torch.randperm(20, generator=generator(seed + 1))
    signs = torch.randint(0, 20, (2 * size, length + 1), generator=random)
    for place in range(length):
        sure = torch.rand(2 * size, generator=random) < 0.9
        signs[:, place + 1] = torch.where(sure, following[signs[:, place]], signs[:, place + 1])
    return signs[:size], signs[size:]


def recall(seed, size=600, length=8):
    """Return sequences of six signs; the first sign is the label."""
    random = generator(seed)
    signs = torch.randint(0, 6, (2 * size, length), generator=random)
    return signs[:size], signs[:size, 0], signs[size:], signs[size:, 0]


def series(seed, size=400, length=20):
    """Return windows of sines of different pitch and the value that comes next."""
    random = generator(seed)
    pitch = 0.2 + 0.6 * torch.rand(2 * size, 1, generator=random)
    phase = 6.28 * torch.rand(2 * size, 1, generator=random)
    values = torch.sin(pitch * torch.arange(length + 1) + phase)
    values = values + 0.03 * torch.randn(2 * size, length + 1, generator=random)
    inputs, targets = values[:, :-1].unsqueeze(-1), values[:, -1:]
    return inputs[:size], targets[:size], inputs[size:], targets[size:]


def blobs(seed, size=200, side=16, radius=3.0):
    """Return noisy images with one bright disk, its mask and its quadrant."""
    random = generator(seed)
    centre = torch.rand(2 * size, 2, generator=random) * (side - 2 * radius) + radius
    line = torch.arange(side).float()
    rows = (line.view(1, -1, 1) - centre[:, :1].unsqueeze(-1)) ** 2
    columns = (line.view(1, 1, -1) - centre[:, 1:].unsqueeze(-1)) ** 2
    masks = ((rows + columns) < radius**2).float().unsqueeze(1)
    images = masks + 0.4 * torch.randn(2 * size, 1, side, side, generator=random)
    quadrants = (centre[:, 0] > (side - 1) / 2).long() * 2 + (centre[:, 1] > (side - 1) / 2).long()
    return images, masks, quadrants


def shuffled(seed, *tensors):
    """Put tensors of the same length into the same random order."""
    order = torch.randperm(len(tensors[0]), generator=generator(seed))
    return [tensor[order] for tensor in tensors]


def pairs(inputs, labels, size, seed=None):
    """Return the batches as a list of pairs; shuffled once if a seed is given."""
    if seed is not None:
        inputs, labels = shuffled(seed + 5, inputs, labels)
    return list(zip(inputs.split(size), labels.split(size), strict=True))


def dicts(inputs, labels, size, seed):
    """Return the batches as a list of dicts."""
    return [{"inputs": one, "labels": other} for one, other in pairs(inputs, labels, size, seed)]


def loader(inputs, labels, size, seed):
    """Return the batches as a loader that shuffles with a generator of its own."""
    return DataLoader(
        TensorDataset(inputs, labels), size, shuffle=True, generator=generator(seed + 5)
    )


# ------------------------------------------------------------------------------------------ nets


def dense(*sizes, activation=nn.ReLU):
    """Return a net of linear layers with activations between them."""
    layers = []
    for place, (entering, leaving) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        layers.append(nn.Linear(entering, leaving))
        if place < len(sizes) - 2:
            layers.append(activation())
    return nn.Sequential(*layers)


def convolutional(classes=10, channels=8, norm=False):
    """Return a small net for images of 8 x 8 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.BatchNorm2d(channels) if norm else nn.Identity(),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.BatchNorm2d(2 * channels) if norm else nn.Identity(),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * channels, classes),
    )


class Reader(nn.Module):
    """Embedding, GRU and a linear head on the last state."""

    def __init__(self, words=60, width=16, classes=2, batch_first=True):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.recurrent = nn.GRU(width, 2 * width, batch_first=batch_first)
        self.head = nn.Linear(2 * width, classes)

    def forward(self, words):
        states, _ = self.recurrent(self.embedding(words))
        return self.head(states[:, -1])


class Forecaster(nn.Module):
    """LSTM over a series and a linear head on the last state."""

    def __init__(self, width=16):
        super().__init__()
        self.lstm = nn.LSTM(1, width, batch_first=True)
        self.head = nn.Linear(width, 1)

    def forward(self, values):
        states, _ = self.lstm(values)
        return self.head(states[:, -1])


class Attentive(nn.Module):
    """A tiny transformer: embedding, places, one or more blocks, mean, head."""

    def __init__(self, words=60, width=16, classes=2, length=12, depth=1):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True)
            for _ in range(depth)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, words):
        hidden = self.embedding(words) + self.places
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(hidden.mean(1))


class Segmenter(nn.Module):
    """A U-shaped net of two levels with one output channel."""

    def __init__(self, channels=6):
        super().__init__()
        self.down = nn.Conv2d(1, channels, 3, padding=1)
        self.bottom = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.up = nn.Conv2d(3 * channels, channels, 3, padding=1)
        self.head = nn.Conv2d(channels, 1, 1)

    def forward(self, images):
        fine = F.relu(self.down(images))
        coarse = F.relu(self.bottom(F.max_pool2d(fine, 2)))
        merged = torch.cat([fine, F.interpolate(coarse, scale_factor=2)], 1)
        return self.head(F.relu(self.up(merged)))
