"""Models of part D, as people write them, and the commonest runs."""

from functools import partial

import torch.nn.functional as F
from torch import nn

from ..runs import accuracy, explained, supervised_run

classed = partial(supervised_run, criterion=F.cross_entropy, judge=accuracy)
valued = partial(supervised_run, criterion=F.mse_loss, judge=explained)


def mlp(*widths, act=nn.ReLU, drop=0.0, norm=None, last=None):
    """Linear layers with `norm`, `act` and dropout between them."""
    layers = [nn.Flatten()]
    for i, (a, b) in enumerate(zip(widths, widths[1:], strict=False), 2):
        layers.append(nn.Linear(a, b))
        if i < len(widths):
            layers += [norm(b)] if norm else []
            layers += [act()] if act else []
            layers += [nn.Dropout(drop)] if drop else []
    return nn.Sequential(*layers, *([last] if last else []))


class SimpleCNN(nn.Module):
    """conv1, pool, conv2, pool, fc1, fc2: the tutorial's net."""

    def __init__(self, channels, size, outputs, width=16, drop=0.0, norm=False):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width) if norm else nn.Identity()
        self.pool, self.dropout = nn.MaxPool2d(2), nn.Dropout(drop)
        self.fc1 = nn.Linear(2 * width * (size // 4) ** 2, 48)
        self.fc2 = nn.Linear(48, outputs)

    def forward(self, x):
        x = self.pool(F.relu(self.bn(self.conv1(x))))
        x = self.pool(F.relu(self.conv2(x)))
        x = self.dropout(F.relu(self.fc1(x.flatten(1))))
        return self.fc2(x)


class TicketNet(nn.Module):
    """Embedding, a bidirectional GRU, and a linear layer on all its outputs."""

    def __init__(self, words=30, length=12, hidden=16, mixed=False):
        super().__init__()
        self.mixed = mixed
        self.embed = nn.Embedding(words, 16)
        self.gru = nn.GRU(16, hidden, bidirectional=True)
        self.fc = nn.Linear(2 * hidden * length, 2)

    def forward(self, words):
        out, _ = self.gru(self.embed(words).transpose(0, 1))
        out = out if self.mixed else out.transpose(0, 1)
        return self.fc(out.reshape(len(words), -1))


class WaveNet1d(nn.Module):
    """Two wide convolutions, the mean over time, a linear layer."""

    def __init__(self, classes=4, width=16, norm=False):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(1, width, 9, padding=4),
            nn.BatchNorm1d(width) if norm else nn.Identity(),
            nn.LeakyReLU(0.1),
            nn.MaxPool1d(2),
            nn.Conv1d(width, width, 7, padding=3),
            nn.LeakyReLU(0.1),
            nn.AdaptiveMaxPool1d(4),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(4 * width, classes)

    def forward(self, wave):
        return self.classifier(self.features(wave))


class PatchTransformer(nn.Module):
    """Rows of the digits as tokens, two encoder layers, mean of the tokens."""

    def __init__(self, size=8, width=24, classes=10):
        super().__init__()
        self.embed, self.place = nn.Linear(size, width), nn.Embedding(size, width)
        layer = nn.TransformerEncoderLayer(width, 4, 48, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, image):
        return self.head(self.encoder(self.embed(image) + self.place.weight).mean(1))
