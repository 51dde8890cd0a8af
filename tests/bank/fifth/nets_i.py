"""Models and examiners of author i."""

import torch
import torch.nn.functional as F
from torch import nn

from ..runs import examiner


def dense(*sizes, act=nn.ReLU, drop=0.0):
    """Linear layers, `act` between them (None: nothing)."""
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)):
        layers.append(nn.Linear(a, b))
        if i < len(sizes) - 2:
            layers += [act()] if act else []
            layers += [nn.Dropout(drop)] if drop else []
    return nn.Sequential(*layers)


class DeepSet(nn.Module):
    """An MLP for each point, a pool, an MLP for the set."""

    def __init__(self, inputs, width, classes):
        super().__init__()
        self.phi = dense(inputs, width, width)
        self.rho = dense(2 * width, width, classes)

    def forward(self, points):
        h = F.relu(self.phi(points))
        return self.rho(torch.cat([h.mean(1), h.amax(1)], 1))


class Basket(nn.Module):
    """The mean of the items' embeddings, an MLP."""

    def __init__(self, items, width, hidden, classes, drop=0.0):
        super().__init__()
        self.items = nn.EmbeddingBag(items + 1, width, mode="mean", padding_idx=0)
        self.drop = nn.Dropout(drop)
        self.hidden, self.out = nn.Linear(width, hidden), nn.Linear(hidden, classes)

    def forward(self, ids):
        h = self.drop(self.items(ids))
        return self.out(self.drop(F.relu(self.hidden(h))))


class RandLayer(nn.Module):
    """A graph convolution with its own weights."""

    def __init__(self, inputs, outputs, start):
        super().__init__()
        self.weight = nn.Parameter(start(inputs, outputs))
        self.own = nn.Parameter(start(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, h, bonds):
        return bonds @ h @ self.weight + h @ self.own + self.bias


def glorot(inputs, outputs):
    return nn.init.xavier_uniform_(torch.empty(inputs, outputs))


class GraphNet(nn.Module):
    """Graph convolutions, a masked sum of the nodes, a linear layer."""

    def __init__(self, kinds=4, width=32, outputs=1, start=glorot, act=F.relu, last=None):
        super().__init__()
        sizes = [kinds, width, width]
        self.convs = nn.ModuleList(
            RandLayer(a, b, start) for a, b in zip(sizes, sizes[1:], strict=False)
        )
        self.out = nn.Linear(width, outputs)
        self.act, self.last = act, last

    def forward(self, atoms, bonds, real):
        h = atoms
        for conv in self.convs:
            h = self.act(conv(h, bonds))
        pooled = (h * real[..., None]).sum(1) / 6
        out = self.out(pooled)
        return self.last(out) if self.last else out


class Residual(nn.Module):
    """Blocks of two linear layers; with or without the way around them."""

    def __init__(self, inputs, width, outputs, blocks, skip):
        super().__init__()
        self.first, self.last = nn.Linear(inputs, width), nn.Linear(width, outputs)
        self.blocks = nn.ModuleList(dense(width, width, width) for _ in range(blocks))
        self.skip = skip

    def forward(self, x):
        h = self.first(x)
        for block in self.blocks:
            h = F.relu(h + block(h) if self.skip else block(h))
        return self.last(h)


class Listener(nn.Module):
    """An LSTM over (batch, time, channels), its last output classified."""

    def __init__(self, channels, width, classes, batch_first):
        super().__init__()
        self.lstm = nn.LSTM(channels, width, batch_first=batch_first)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.head(out[:, -1])


class Forecaster(nn.Module):
    def __init__(self, width, ahead):
        super().__init__()
        self.gru = nn.GRU(1, width, batch_first=True)
        self.head = nn.Linear(width, ahead)

    def forward(self, x):
        _, h = self.gru(x.unsqueeze(-1))
        return self.head(h[-1])


def convolutions(channels, width, classes, drop=0.0):
    return nn.Sequential(
        nn.Dropout(drop),
        nn.Conv1d(channels, width, 7, 2, 3),
        nn.ReLU(),
        nn.Conv1d(width, 2 * width, 5, 2, 2),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Dropout(drop),
        nn.Linear(2 * width, classes),
    )


class Factors(nn.Module):
    """Users' and items' factors; `frozen` reads the users' out of the graph."""

    def __init__(self, users, items, width, frozen=False):
        super().__init__()
        self.users, self.items = nn.Embedding(users, width), nn.Embedding(items, width)
        self.user_bias, self.item_bias = nn.Embedding(users, 1), nn.Embedding(items, 1)
        for bias in (self.user_bias, self.item_bias):
            nn.init.zeros_(bias.weight)
        self.frozen = frozen

    def forward(self, who, what):
        user = self.users.weight.data[who] if self.frozen else self.users(who)
        bias = self.user_bias(who) + self.item_bias(what)
        return (user * self.items(what)).sum(1) / 2 + bias.squeeze(1)


class Painter(nn.Module):
    """A small U: down, up, and what was there before."""

    def __init__(self, inputs, width, outputs):
        super().__init__()
        self.enter = nn.Conv2d(inputs, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.out = nn.Conv2d(2 * width, outputs, 3, padding=1)

    def forward(self, x):
        first = F.relu(self.enter(x))
        deep = F.relu(self.up(F.relu(self.down(first))))
        return self.out(torch.cat([first, deep], 1))


class Prototypes(nn.Module):
    """Logits are the negative squared distances to each class's prototype."""

    def __init__(self, encoder, width, classes):
        super().__init__()
        self.encoder = encoder
        self.centres = nn.Parameter(torch.randn(classes, width))

    def forward(self, x):
        return -torch.cdist(self.encoder(x), self.centres).square()


def mean_recall(inputs, targets, classes):
    """The mean over the classes of the share that is found."""

    def number(model):
        said = model(inputs).argmax(1)
        return torch.stack(
            [(said == c)[targets == c].float().mean() for c in range(classes)]
        ).mean()

    return examiner(number)


def mean_overlap(inputs, targets, classes):
    """The mean intersection over union of the classes but the background."""

    def number(model):
        said = model(inputs).argmax(1)
        shares = [
            ((said == c) & (targets == c)).sum() / ((said == c) | (targets == c)).sum().clamp(min=1)
            for c in range(1, classes)
        ]
        return torch.stack(shares).mean()

    return examiner(number)


def r_squared(inputs, target):
    """The explained share, of a model of several inputs."""

    def number(model):
        rest = (model(*inputs).reshape(target.shape) - target).square().mean()
        return 1 - rest / target.var(correction=0)

    return examiner(number)
