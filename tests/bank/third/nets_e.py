"""Small models of the runs with two faults, as different people write them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def dense(*sizes: int, act: type[nn.Module] | None = nn.ReLU, drop: float = 0.0) -> nn.Sequential:
    """Linear layers of these sizes, `act` and dropout between them."""
    layers: list[nn.Module] = []
    for a, b in zip(sizes, sizes[1:], strict=False):
        layers += [
            nn.Linear(a, b),
            *([act()] if act else []),
            *([nn.Dropout(drop)] if drop else []),
        ]
    last = max(i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear))
    return nn.Sequential(*layers[: last + 1])


class PlainCNN(nn.Module):
    """Two convolutions and two linear layers, in the style of the tutorials."""

    def __init__(self, width: int = 8, hidden: int = 32, drop: float = 0.0):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.fc1 = nn.Linear(18 * width, hidden)
        self.drop = nn.Dropout(drop)
        self.fc2 = nn.Linear(hidden, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(self.drop(x))


class Scratch(nn.Module):
    """One hidden layer of bare matrices, of normal numbers times `scale`."""

    def __init__(self, inputs: int, hidden: int, scale: float):
        super().__init__()
        self.W1 = nn.Parameter(scale * torch.randn(inputs, hidden))
        self.b1 = nn.Parameter(torch.zeros(hidden))
        self.W2 = nn.Parameter(scale * torch.randn(hidden, 1))
        self.b2 = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x @ self.W1 + self.b1) @ self.W2 + self.b2


class Residual(nn.Module):
    """`depth` layers of one width, plain or each added to what it gets."""

    def __init__(self, inputs: int, width: int, depth: int, outputs: int, skips: bool):
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.last = nn.Linear(width, outputs)
        self.skips = skips
        for layer in self.layers if not skips else ():
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x.flatten(1)))
        for layer in self.layers:
            x = x + F.relu(layer(x)) / 4 if self.skips else F.relu(layer(x))
        return self.last(x)


class Conv1d(nn.Module):
    """Filters along a sequence, their maxima, a linear layer."""

    def __init__(self, channels: int, width: int, classes: int, drop: float = 0.0):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(channels, width, 6, padding=2), nn.ReLU(), nn.AdaptiveMaxPool1d(1)
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(drop), nn.Linear(width, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


class Forecast(nn.Module):
    """A GRU, then a linear layer on its last state."""

    def __init__(self, width: int = 20):
        super().__init__()
        self.gru = nn.GRU(1, width, batch_first=True)
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.gru(x)[1][-1])


class Notes(nn.Module):
    """Next-note scores at each place: (examples, notes, places)."""

    def __init__(self, notes: int = 8, width: int = 48):
        super().__init__()
        self.embedding = nn.Embedding(notes, width)
        self.lstm = nn.GRU(width, width, batch_first=True)
        self.decoder = nn.Linear(width, notes)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.lstm(self.embedding(x))[0]).transpose(1, 2)


class GraphNet(nn.Module):
    """Each node with its neighbours, twice; the graph's classes from the mean of its nodes.

    `listed`: the features go through a list, and leave their history behind.
    """

    def __init__(self, kinds: int = 4, width: int = 24, classes: int = 4, listed=False):
        super().__init__()
        self.conv1 = nn.Linear(2 * kinds, width)
        self.conv2 = nn.Linear(2 * width, width)
        self.readout, self.listed = nn.Linear(width, classes), listed

    def forward(self, h: Tensor, adjacency: Tensor) -> Tensor:
        for conv in (self.conv1, self.conv2):
            neighbours = adjacency @ h
            h = F.relu(conv(torch.cat([h, neighbours / 3], -1)))
        h = h.mean(1)
        return self.readout(torch.tensor(h.tolist()) if self.listed else h)


class Factors(nn.Module):
    """A user's score for an item: the product of their vectors."""

    def __init__(self, users: int = 40, items: int = 30, rank: int = 8):
        super().__init__()
        self.users, self.items = nn.Embedding(users, rank), nn.Embedding(items, rank)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        return (self.users(user) * self.items(item)).sum(-1)


class Mixed(nn.Module):
    """Images row by row through an LSTM; `mixed`: time first, but the batch comes first."""

    def __init__(self, size: int = 12, width: int = 48, drop: float = 0.0, mixed: bool = False):
        super().__init__()
        self.rnn = nn.LSTM(size, width, batch_first=not mixed)
        self.drop, self.fc = nn.Dropout(drop), nn.Linear(width, 6)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.rnn(self.drop(x.squeeze(1)))
        return self.fc(self.drop(out[:, -1]))
