"""Small nets of several kinds, and ordinary pairings of them with tasks."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam

from ..runs import Run, accuracy, stepping, supervised_run
from . import tasks_a as tasks


def dense(*sizes, act=nn.ReLU, norm=False, drop=0.0):
    layers = []
    for a, b in zip(sizes[:-2], sizes[1:-1], strict=True):
        layers += [nn.Linear(a, b), *[nn.BatchNorm1d(b)] * norm, act()]
        layers += [nn.Dropout(drop)] * (drop > 0)
    return nn.Sequential(*layers, nn.Linear(*sizes[-2:]))


def picture_net(outputs, width=10, flat=False):
    """Two convolutions; `flat` keeps the places, else the strongest answer counts."""
    body = [nn.Conv2d(1, width, 5, padding=2), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
    body += [nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU()]
    end = [nn.Flatten(), nn.Linear(72 * width, outputs)]
    pool = [nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(2 * width, outputs)]
    return nn.Sequential(*body, *(end if flat else pool))


def signal_net(outputs, width=16):
    return nn.Sequential(
        *(nn.Conv1d(1, width, 9, stride=2), nn.GroupNorm(4, width), nn.GELU()),
        *(nn.Conv1d(width, width, 5), nn.GELU(), nn.AdaptiveAvgPool1d(1), nn.Flatten()),
        nn.Linear(width, outputs),
    )


class Gru(nn.GRU):
    """Its states at all times, (N, T, inputs) to (N, T, width)."""

    def forward(self, x):
        return super().forward(x)[0]


class Causal(nn.Conv1d):
    """A convolution along the time that looks back only."""

    def forward(self, x):
        return super().forward(F.pad(x.transpose(1, 2), (self.kernel_size[0] - 1, 0))).mT.relu()


class Attention(nn.Module):
    def __init__(self, width: int, longest: int = 14):
        super().__init__()
        self.places = nn.Parameter(0.5 * torch.randn(longest, width))
        self.layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, batch_first=True)

    def forward(self, x):
        return self.layer(x + self.places[: x.shape[1]])


class Reader(nn.Module):
    """Ids in, logits out: for a text, or (`each`) for each of its words."""

    def __init__(self, words, outputs, width, body, after=None, each=False):
        super().__init__()
        self.embedding = nn.Embedding(words, width, padding_idx=0)
        self.body, self.each = body, each
        self.classifier = nn.Linear(after or width, outputs)

    def forward(self, ids):
        hidden = self.body(self.embedding(ids))
        if self.each:
            return self.classifier(hidden).mT
        there = (ids > 0)[..., None]
        return self.classifier(hidden.masked_fill(~there, -9.0).amax(1))


class Last(nn.Module):
    """A GRU over (N, T, 1), and what it says in the end."""

    def __init__(self, outputs=1, width=20):
        super().__init__()
        self.rnn, self.fc = nn.GRU(1, width, batch_first=True), nn.Linear(width, outputs)

    def forward(self, x):
        return self.fc(self.rnn(x)[1][-1])


class Several(nn.Module):
    """Stages one after the other, each with a head (or none); all the heads' answers."""

    def __init__(self, stages, heads):
        super().__init__()
        self.stages, self.heads = nn.ModuleList(stages), nn.ModuleList(heads)

    def forward(self, x):
        out = []
        for stage, head in zip(self.stages, self.heads, strict=True):
            x = stage(x)
            out.append(head(x))
        return out


class Then(nn.Module):
    """A model, and a function of its outputs: for the judges."""

    def __init__(self, model, function):
        super().__init__()
        self.model, self.function = model, function

    def forward(self, x):
        return self.function(self.model(x))


def judging(judge, function):
    """`judge` of a function of the model's outputs."""
    return lambda test: lambda model: judge(test)(Then(model, function))


def adam(rate, kind=Adam, **more):
    return partial(kind, lr=rate, **more)


def sgd(rate, momentum=0.9, **more):
    return partial(SGD, lr=rate, momentum=momentum, **more)


clipped = partial(stepping, clip=1.0)
warmed = partial(stepping, schedule=lambda done: 5e-3 * min(1, (done + 1) / 80))


class Kit(NamedTuple):
    """A task, a model by its number of outputs, and the keys of batches that are dicts."""

    task: Callable
    model: Callable
    keys: tuple[str, ...] = ()


def reader(outputs):
    return Reader(30, outputs, 24, Causal(24, 24, 3))


KITS = {
    "spirals": Kit(tasks.spirals, lambda out: dense(2, 40, 40, out, act=nn.Tanh)),
    "clusters": Kit(tasks.clusters, lambda out: dense(10, 64, 48, out, norm=True, drop=0.1)),
    "glyphs": Kit(tasks.glyphs, picture_net, ("pixel_values", "labels")),
    "tones": Kit(tasks.tones, signal_net),
    "reviews": Kit(tasks.reviews, reader, ("input_ids", "labels")),
    "sensors": Kit(tasks.sensors, lambda out: dense(8, 64, 64, out, act=nn.SiLU)),
    "echo": Kit(tasks.echo, lambda out: signal_net(out, 24)),
    "places": Kit(tasks.places, lambda out: picture_net(out, 8, flat=True), ("image", "xy")),
    "walks": Kit(tasks.walks, Last),
}
CLASSES = {"spirals": 3, "clusters": 4, "glyphs": 6, "tones": 4, "reviews": 2}


def learn(kit, by, goal, at=(0, None), *, judge=accuracy, steps=400, **more) -> Run:
    """A kit's run as it is handed over; `by` makes the optimiser, `more` replaces parts."""
    task, keys = more.pop("task", None) or KITS[kit].task(), more.pop("keys", ())
    labels = task[0][1]
    outputs = labels.shape[1] if labels.is_floating_point() else CLASSES.get(kit)
    model = more.pop("model", None) or KITS[kit].model(outputs)
    keys = keys or (KITS[kit].keys if kit in KITS else ())
    task = tuple(part[: len(keys) or 3] for part in task)
    given = (more.pop("criterion", F.cross_entropy), judge)
    options = {"goal": goal, "steps": steps, "keys": keys, **more}
    return supervised_run(task, model, by(model.parameters()), *given, **options).handed(*at)
