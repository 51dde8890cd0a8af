"""Models of the sick runs with one fault, in several people's manners."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Net(nn.Module):
    """The homework's net: named layers, functions between them; `last` is put on the output."""

    def __init__(self, n_in: int, hidden: int, n_out: int, p: float = 0.0, act=F.relu, last=None):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(n_in, hidden), nn.Linear(hidden, hidden)
        self.fc3, self.drop = nn.Linear(hidden, n_out), nn.Dropout(p)
        self.act, self.last = act, last

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.fc1(x.flatten(1)))
        x = self.fc3(self.drop(self.act(self.fc2(x))))
        return self.last(x) if self.last else x


def table_net(n_in: int, n_out: int, width: int = 32, p: float = 0.1) -> nn.Sequential:
    """Linear, batch norm, SiLU, dropout, twice, and a linear layer."""
    layers = []
    for a in (n_in, width):
        layers += [nn.Linear(a, width), nn.BatchNorm1d(width), nn.SiLU(), nn.Dropout(p)]
    return nn.Sequential(*layers, nn.Linear(width, n_out))


def small_vgg(channels: int, n_out: int, width: int = 8, size: int = 16, norm: bool = False):
    """Two blocks of convolution and pooling, then a dense head."""
    layers = []
    for a, b in ((channels, width), (width, 2 * width)):
        layers += [nn.Conv2d(a, b, 3, padding=1), *([nn.BatchNorm2d(b)] if norm else [])]
        layers += [nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    flat = 2 * width * (size // 4) ** 2
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(flat, 32), nn.ReLU(), nn.Linear(32, n_out)
    )


class Sequence(nn.Module):
    """LSTM or GRU over (examples, times, features) or, with `words`, over numbers of words."""

    def __init__(self, cell: type, n_in: int, hidden: int, n_out: int, words: bool = False):
        super().__init__()
        self.embedding = nn.Embedding(n_in, hidden) if words else nn.Identity()
        self.rnn = cell(hidden if words else n_in, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, n_out)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.rnn(self.embedding(x))
        return self.fc(out[:, -1, :])


class Signal(nn.Module):
    """Convolutions along time, over (examples, times, channels); the largest of each channel."""

    def __init__(self, channels: int, n_out: int, width: int = 16):
        super().__init__()
        self.conv1 = nn.Conv1d(channels, width, 5, padding=2)
        self.conv2 = nn.Conv1d(width, width, 5, padding=2)
        self.head = nn.Linear(width, n_out)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.conv1(x.transpose(1, 2)))
        return self.head(F.leaky_relu(self.conv2(x)).amax(2))


class Bag(nn.Module):
    """The mean of a text's word vectors, and a hidden layer."""

    def __init__(self, words: int, width: int, n_out: int):
        super().__init__()
        self.words = nn.EmbeddingBag(words, width, mode="mean")
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, n_out))

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(self.words(x))


class Factors(nn.Module):
    """Matrix factorisation with biases: one number for each pair of user and item."""

    def __init__(self, users: int, items: int, k: int = 4):
        super().__init__()
        self.user, self.item = nn.Embedding(users, k), nn.Embedding(items, k)
        self.bias = nn.Embedding(items, 1)
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, who: Tensor, what: Tensor) -> Tensor:
        return (self.user(who) * self.item(what)).sum(1) + self.bias(what)[:, 0]


def pixelwise(n_out: int = 1, width: int = 10, norm: bool = True) -> nn.Sequential:
    """Dilated convolutions that keep the size: a map of logits."""
    layers, a = [], 1
    for dilation in (1, 2, 3):
        layers += [nn.Conv2d(a, width, 3, padding=dilation, dilation=dilation)]
        layers += [*([nn.BatchNorm2d(width)] if norm else []), nn.ELU()]
        a = width
    return nn.Sequential(*layers, nn.Conv2d(width, n_out, 1))


class CurveNet(nn.Module):
    """(N, 1, times) to (N, 1, times), through a neck; `relu` also at the end, or `flat` output."""

    def __init__(self, times: int, neck: int = 8, relu: bool = False, flat: bool = False):
        super().__init__()
        sizes = (times, 48, neck, 48, times)
        layers = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())]
        self.layers = nn.Sequential(*(layers if relu else layers[:-1]))
        self.flat = flat

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(x)
        return x.squeeze(1) if self.flat else x


class SelfAttention(nn.Module):
    """One round of attention over (examples, times, features), then the mean over time."""

    def __init__(self, n_in: int, width: int, n_out: int):
        super().__init__()
        self.embed = nn.Linear(n_in, width)
        self.place = nn.Parameter(0.5 * torch.randn(64, width))
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, n_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x) + self.place[: x.shape[1]]
        x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        return self.mlp(x).mean(1)
