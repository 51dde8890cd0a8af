"""Small architectures: dense, convolutional (signals or images), recurrent, attending, deep."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence


def dense(*sizes, act=nn.ReLU, norm=None, drop=0.0):
    net = nn.Sequential(nn.Flatten())
    for a, b in pairwise(sizes[:-1]):
        net.append(nn.Linear(a, b))
        if norm:
            net.append(norm(b))
        net.append(act())
        if drop:
            net.append(nn.Dropout(drop))
    return net.append(nn.Linear(*sizes[-2:]))


def convolution(a, b, dims, norm=None, act=nn.ReLU, **more):
    conv = nn.Conv1d if dims == 1 else nn.Conv2d
    layers = [conv(a, b, 3, padding=1, **more), norm(b) if norm else nn.Identity(), act()]
    return nn.Sequential(*layers)


class Seer(nn.Module):
    """Strided convolutions over signals or images, their average or maximum, a linear head."""

    def __init__(self, widths, outputs, dims=2, norm=None, act=nn.ReLU, drop=0.0):
        super().__init__()
        made = pairwise([1, *widths])
        self.features = nn.Sequential(*(convolution(*w, dims, norm, act, stride=2) for w in made))
        self.dropout = nn.Dropout(drop)
        self.classifier = nn.Linear(2 * widths[-1], outputs)

    def forward(self, x):
        found = self.features(x).flatten(2)
        return self.classifier(self.dropout(torch.cat([found.mean(2), found.amax(2)], 1)))


class Hourglass(nn.Module):
    """A level of a U-Net, about the next one."""

    def __init__(self, inputs, width, levels, dims, norm):
        super().__init__()
        self.enter = convolution(inputs, width, dims, norm)
        self.inner = Hourglass(width, 2 * width, levels - 1, dims, norm) if levels else None
        self.pool = (nn.MaxPool1d if dims == 1 else nn.MaxPool2d)(2)
        self.leave = convolution(3 * width if levels else width, width, dims, norm)

    def forward(self, x):
        x = self.enter(x)
        if self.inner is not None:
            low = self.inner(self.pool(x))
            low = nn.functional.interpolate(low, size=x.shape[2:])
            x = torch.cat([x, low], 1)
        return self.leave(x)


def unet(width, outputs=1, dims=2, levels=2, norm=None):
    head = (nn.Conv1d if dims == 1 else nn.Conv2d)(width, outputs, 1)
    return nn.Sequential(Hourglass(1, width, levels, dims, norm), head)


class Reader(nn.Module):
    """A recurrent net over words (packed, 0 is padding) or numbers; its last state to the head."""

    def __init__(self, cell, width, outputs, words=0, inputs=1, drop=0.0, both=False):
        super().__init__()
        self.embedding = nn.Embedding(words, width, padding_idx=0) if words else None
        entering = width if words else inputs
        self.rnn = cell(entering, width, batch_first=True, bidirectional=both)
        self.dropout, self.fc = nn.Dropout(drop), nn.Linear(width * (1 + both), outputs)

    def forward(self, x):
        if self.embedding is not None:
            lengths = (x > 0).sum(1)
            x = self.dropout(self.embedding(x))
            x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        _, state = self.rnn(x)
        last = state[0] if isinstance(state, tuple) else state
        return self.fc(self.dropout(last.transpose(0, 1).flatten(1)))


class Speaker(nn.Module):
    """A recurrent net that says each next word: (batch, words, places)."""

    def __init__(self, cell, words, width, tied=False):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(words, width), cell(width, width, batch_first=True)
        self.decoder = nn.Linear(width, words, bias=not tied)
        if tied:
            self.decoder.weight = self.emb.weight

    def forward(self, tokens):
        hidden, _ = self.rnn(self.emb(tokens))
        return self.decoder(hidden).transpose(1, 2)


class Patches(nn.Module):
    """An image, or a signal, as the words of a sentence."""

    def __init__(self, size, width, conv=nn.Conv2d):
        super().__init__()
        self.proj = conv(1, width, size, size)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class Attender(nn.Module):
    """A transformer encoder: from a class token, or causally at each place."""

    def __init__(self, embed, width, outputs, length, layers=2, causal=False, drop=0.0):
        super().__init__()
        self.embed, self.causal = embed, causal
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.place = nn.Parameter(0.1 * torch.randn(length + 1, width))
        block = nn.TransformerEncoderLayer(
            *(width, 2, 2 * width, drop), activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, outputs)

    def forward(self, x):
        h = torch.cat([self.cls.expand(len(x), 1, -1), self.embed(x)], 1)
        h = h + self.place[: h.shape[1]]
        length = h.shape[1]
        hide = torch.ones(length, length, dtype=torch.bool).triu(1) if self.causal else None
        h = self.head(self.norm(self.blocks(h, mask=hide)))
        return h[:, 1:].transpose(1, 2) if self.causal else h[:, 0]


class Skip(nn.Module):
    """x + body(x); in training the body of some examples is left out (stochastic depth)."""

    def __init__(self, body, drop=0.0):
        super().__init__()
        self.body, self.drop = body, drop

    def forward(self, x):
        if not (self.training and self.drop):
            return x + self.body(x)
        kept = torch.rand(len(x), *[1] * (x.dim() - 1)) >= self.drop
        return x + kept * self.body(x) / (1 - self.drop)
