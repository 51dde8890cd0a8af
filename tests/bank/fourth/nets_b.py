"""Networks of author b."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


def mlp(*sizes, act=nn.ReLU, norm=None, drop=0.0, first=0.0):
    """Dense layers; `first` is the dropout of the inputs."""
    layers = [nn.Flatten()] + ([nn.Dropout(first)] if first else [])
    for a, b in pairwise(sizes[:-1]):
        layers += [nn.Linear(a, b)] + ([norm(b)] if norm else []) + [act()]
        layers += [nn.Dropout(drop)] if drop else []
    return nn.Sequential(*layers, nn.Linear(*sizes[-2:]))


class ConvNet(nn.Module):
    """Convolutions, the maxima of the halves or quarters, a head; words are embedded."""

    def __init__(self, widths, classes, dims=2, inputs=1, norm=None, drop=0.0, words=0):
        super().__init__()
        conv = {1: nn.Conv1d, 2: nn.Conv2d}[dims]
        self.embed = nn.Embedding(words, inputs) if words else None
        self.dims, layers = dims, []
        for k, (a, b) in enumerate(pairwise((inputs, *widths))):
            layers += [conv(a, b, 3 if dims == 2 else 5, stride=1 + (k == 1), padding=1)]
            layers += ([norm(b)] if norm else []) + [nn.ReLU(inplace=True)]
        self.body, self.drop = nn.Sequential(*layers), nn.Dropout(drop)
        self.pool = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d}[dims](2)
        self.head = nn.Linear(2**dims * widths[-1], classes)

    def forward(self, x):
        x = x if self.embed is None else self.embed(x)
        h = self.pool(self.body(x if self.dims == 2 else x.transpose(1, 2)))
        return self.head(self.drop(h.flatten(1)))


class Recurrent(nn.Module):
    """Reads words, numbers or the rows of a picture; answers at the end or at `every` place."""

    def __init__(self, cell, inputs, hidden, outputs, words=0, every=False, drop=0.0, **more):
        super().__init__()
        self.embed = nn.Embedding(words, inputs) if words else nn.Identity()
        self.rnn = cell(inputs, hidden, batch_first=True, **more)
        self.every, self.dropout = every, nn.Dropout(drop)
        self.fc = nn.Linear(hidden * (2 if more.get("bidirectional") else 1), outputs)

    def forward(self, x):
        out, _ = self.rnn(self.embed(x.squeeze(1) if x.dim() == 4 else x))
        if self.every:
            return self.fc(self.dropout(out)).transpose(1, 2)
        last = out.mean(1) if self.rnn.bidirectional else out[:, -1]
        return self.fc(self.dropout(last))


class Former(nn.Module):
    """An encoder of attention; called with targets it gives (outputs, loss)."""

    def __init__(self, inputs, width, outputs, times, words=False, every=False, layers=1, **more):
        super().__init__()
        self.tok = nn.Embedding(inputs, width) if words else nn.Linear(inputs, width)
        self.pos = nn.Parameter(0.1 * torch.randn(times, width))
        settings = {"dropout": 0.0, "activation": "gelu", **more, "batch_first": True}
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 2 * width, **settings) for _ in range(layers)
        )
        self.ln, self.head, self.every = nn.LayerNorm(width), nn.Linear(width, outputs), every

    def forward(self, x, targets=None):
        h = self.tok(x.squeeze(1) if x.dim() == 4 else x) + self.pos
        for block in self.blocks:
            h = block(h)
        out = self.head(self.ln(h if self.every else h.mean(1)))
        out = out.transpose(1, 2) if self.every else out
        return out if targets is None else (out, F.cross_entropy(out, targets))


def double(conv, a, b, norm):
    made = [conv(a, b, 3, padding=1), norm(b) if norm else nn.Identity(), nn.LeakyReLU(0.1)]
    return nn.Sequential(*made, conv(b, b, 3, padding=1), nn.LeakyReLU(0.1))


class UNet(nn.Module):
    """Down once and up again, with one bridge."""

    def __init__(self, inputs, width, outputs, dims=2, norm=None, sharp=False):
        super().__init__()
        conv, pool, up = {
            1: (nn.Conv1d, nn.MaxPool1d, nn.ConvTranspose1d),
            2: (nn.Conv2d, nn.MaxPool2d, nn.ConvTranspose2d),
        }[dims]
        self.down, self.pool = double(conv, inputs, width, norm), pool(2)
        self.bottom = double(conv, width, 2 * width, norm)
        self.up = up(2 * width, width, 2, 2) if sharp else nn.Upsample(scale_factor=2)
        self.join = double(conv, (2 if sharp else 3) * width, width, norm)
        self.out = conv(width, outputs, 1)

    def forward(self, x):
        skip = self.down(x)
        up = self.up(self.bottom(self.pool(skip)))
        return self.out(self.join(torch.cat([skip, up], 1)))


class Residual(nn.Module):
    def __init__(self, width, norm=nn.LayerNorm):
        super().__init__()
        self.f = nn.Sequential(norm(width), nn.Linear(width, width), nn.SiLU())
        self.g = nn.Linear(width, width)

    def forward(self, x):
        return x + self.g(self.f(x))


def resnet(inputs, width, outputs, blocks):
    body = [Residual(width) for _ in range(blocks)]
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, width), *body, nn.Linear(width, outputs))
