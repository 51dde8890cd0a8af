"""The architectures of part D, small, in the styles in which people write them; common runs."""

from functools import partial

import torch.nn.functional as F
from torch import nn

from ..runs import accuracy, explained, supervised_run, yes_or_no

classed = partial(supervised_run, criterion=F.cross_entropy, judge=accuracy)
valued = partial(supervised_run, criterion=F.mse_loss, judge=explained)
yes_no = partial(supervised_run, criterion=F.binary_cross_entropy_with_logits, judge=yes_or_no)


class Net(nn.Module):
    """Linear layers; `depth` hidden ones, plain or each around itself, of He's start or torch's."""

    def __init__(self, inputs, width, depth, outputs, *, skips=False, he=False, act=F.relu):
        super().__init__()
        self.skips, self.act = skips, act
        self.first = nn.Linear(inputs, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.last = nn.Linear(width, outputs)
        for layer in [self.first, *self.hidden] if he else []:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        x = self.act(self.first(x.flatten(1)))
        for layer in self.hidden:
            x = x + self.act(layer(x)) / len(self.hidden) if self.skips else self.act(layer(x))
        return self.last(x)


def convs(*channels, classes, norm=False, act=nn.ReLU, drop=0.0):
    """Convolutions with stride 2 (no pooling but an average at the end), then a linear layer."""
    layers = []
    for a, b in zip(channels, channels[1:], strict=False):
        layers.append(nn.Conv2d(a, b, 3, stride=2, padding=1))
        layers += [nn.BatchNorm2d(b)] if norm else []
        layers += [act()] if act else []
        layers += [nn.Dropout2d(drop)] if drop else []
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels[-1], classes)
    )


class Vgg(nn.Module):
    """Convolutions of one width without norm or skips, pooled twice."""

    def __init__(self, width, depth, classes):
        super().__init__()
        self.entry = nn.Conv2d(1, width, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.fc = nn.Linear(width * 9, classes)

    def forward(self, x):
        x = F.relu(self.entry(x))
        for i, conv in enumerate(self.body):
            x = F.relu(conv(x))
            if i < 2:
                x = F.max_pool2d(x, 2)
        return self.fc(x.flatten(1))


class Reader(nn.Module):
    """Embedding, dropout, a recurrent layer, and a linear one on its last output."""

    def __init__(self, words, width, outputs, *, cell=nn.LSTM, drop=0.0, batch_first=True):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.drop = nn.Dropout(drop)
        self.rnn = cell(width, width, batch_first=batch_first)
        self.fc = nn.Linear(width, outputs)

    def forward(self, x):
        out, _ = self.rnn(self.drop(self.embedding(x)))
        return self.fc(out[:, -1]).squeeze(-1)


class Forecast(nn.Module):
    """A GRU over the hours, and the next load."""

    def __init__(self, width=16, cell=nn.GRU):
        super().__init__()
        self.rnn, self.out = cell(2, width, batch_first=True), nn.Linear(width, 1)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


class PointNet(nn.Module):
    """The same layers for every point, their maximum, and a head."""

    def __init__(self, width=32, classes=4, drop=0.0):
        super().__init__()
        self.local = nn.Sequential(
            nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2 * width), nn.ReLU()
        )
        self.head = nn.Sequential(
            nn.Linear(2 * width, width), nn.ReLU(), nn.Dropout(drop), nn.Linear(width, classes)
        )

    def forward(self, x):
        return self.head(self.local(x).amax(1))


class SetTransformer(nn.Module):
    """A transformer over points, which have no order, and their mean at the end."""

    def __init__(self, width=24, classes=4):
        super().__init__()
        self.embed = nn.Linear(3, width)
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, 0.1, "gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x)).mean(1))


def segmenter(width=12, classes=3):
    """Down, between, up, out: a score for each class at each pixel."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(2 * width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, classes, 1),
    )
