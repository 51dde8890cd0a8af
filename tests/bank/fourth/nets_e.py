"""Models of the runs with two faults."""

from itertools import pairwise

import torch
from torch import Tensor, nn


def stack(*widths: int, act: type[nn.Module] | None = nn.ReLU, norm: bool = False, drop: float = 0):
    """Linear layers with, in between, what is asked for."""
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(pairwise(widths), 2):
        layers.append(nn.Linear(a, b))
        if i < len(widths):
            layers += [nn.BatchNorm1d(b)] if norm else []
            layers += [act()] if act else []
            layers += [nn.Dropout(drop)] if drop else []
    return nn.Sequential(*layers)


class HumNet(nn.Module):
    """Convolutions, then a GRU over time, whose outputs of all times go to the head."""

    def __init__(self, mixed: bool):
        super().__init__()
        self.mixed = mixed
        self.conv = nn.Sequential(nn.Conv1d(1, 12, 8, stride=4), nn.ReLU())
        self.rnn = nn.GRU(12, 16)
        self.fc = nn.Linear(11 * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.rnn(self.conv(x).permute(2, 0, 1))
        if not self.mixed:
            out = out.permute(1, 0, 2)
        return self.fc(out.reshape(len(x), -1))


class TextMean(nn.Module):
    """The mean of the words' vectors, padding left out, and a small net."""

    def __init__(self, words: int = 300, width: int = 24):
        super().__init__()
        self.embed = nn.EmbeddingBag(words, width, mode="mean", padding_idx=0)
        self.head = stack(width, 32, 4)

    def forward(self, text: Tensor) -> Tensor:
        return self.head(self.embed(text))


class DigitNet(nn.Module):
    def __init__(self, drop: float):
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 10, 3), nn.ReLU(), nn.Dropout2d(drop), nn.MaxPool2d(2)),
        )
        self.classifier = nn.Sequential(
            *(nn.Flatten(), nn.Dropout(drop), nn.Linear(90, 48), nn.ReLU()),
            *(nn.Dropout(drop), nn.Linear(48, 10)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


class TinyUNet(nn.Module):
    """Down by two and up again, one skip; logits of the mask."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU())
        self.down = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.out = nn.Conv2d(16, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        high = self.encoder(x)
        return self.out(torch.cat([high, self.up(self.down(high)).relu()], 1))


class Blocks(nn.Module):
    """A stem, `depth` layers with or without a way around each, and a head."""

    def __init__(self, depth: int, skips: bool, width: int = 20):
        super().__init__()
        self.stem = nn.Linear(2, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 3)
        self.skips = skips

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x).relu()
        for block in self.blocks:
            new = block(h).relu()
            h = h + 0.5 * new if self.skips else new
        return self.head(h)
