"""Models of letter a, and how its runs are put together."""

from functools import partial

import torch
from sklearn.metrics import average_precision_score
from torch import nn
from torch.optim import SGD

from ..runs import examiner, supervised, supervised_run

momentum = partial(SGD, momentum=0.9)


def learn(task, model, by, loss, judge, *, goal, steps, at=(0, None), size=32, keys=(), step=None):
    """A run; `by` makes the optimiser; `loss` is a criterion, or a loss if it says so."""
    loss = loss if getattr(loss, "whole", False) else supervised(loss)
    more = {"goal": goal, "steps": steps, "size": size, "keys": keys, "step": step}
    return supervised_run(
        task, model, by(model.parameters()), None, judge, loss=loss, **more
    ).handed(*at)


def whole(loss):
    """Marks a loss of model and batch."""
    loss.whole = True
    return loss


def mlp(*sizes, act=nn.ReLU, norm=None, drop=0.0):
    layers = [nn.Flatten()]
    for a, b in zip(sizes, sizes[1:-1], strict=False):
        layers += [nn.Linear(a, b), *([norm(b)] if norm else []), act()]
        layers += [nn.Dropout(drop)] * (drop > 0)
    return nn.Sequential(*layers, nn.Linear(*sizes[-2:]))


def convnet(out, width=12, dims=2, norm=None, act=nn.ReLU, pool=True):
    """Two convolutions and a head; `norm` takes the number of channels."""
    conv = nn.Conv1d if dims == 1 else nn.Conv2d
    ends = nn.AdaptiveAvgPool1d(4) if dims == 1 else nn.AdaptiveAvgPool2d(2)
    kernel, stride = (7, 2) if dims == 1 else (3, 1)
    layers = []
    for a, b in ((1, width), (width, 2 * width)):
        layers += [conv(a, b, kernel, stride, kernel // 2), *([norm(b)] if norm else []), act()]
        layers += [nn.MaxPool2d(2)] * (dims == 2 and pool)
    return nn.Sequential(*layers, ends, nn.Flatten(), nn.Linear(8 * width, out))


class UNet(nn.Module):
    """One level down, and a skip; group norm."""

    def __init__(self, width=8):
        super().__init__()
        self.enc, self.mid = self.block(1, width), self.block(width, 2 * width)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.dec, self.out = self.block(2 * width, width), nn.Conv2d(width, 1, 1)

    def block(self, a, b):
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.GroupNorm(4, b), nn.ReLU())

    def forward(self, x):
        x = self.enc(x)
        low = self.up(self.mid(nn.functional.max_pool2d(x, 2)))
        return self.out(self.dec(torch.cat([x, low], 1)))


class Bag(nn.Module):
    """The mean of the words' vectors, and a small net."""

    def __init__(self, *sizes, drop=0.0):
        super().__init__()
        self.embed, self.net = nn.EmbeddingBag(280, sizes[0]), mlp(*sizes, drop=drop)

    def forward(self, ids):
        return self.net(self.embed(ids))


class Recurrent(nn.Module):
    """An output (as channels, the second axis) for each word; or, of numbers, one for all."""

    def __init__(self, cell, out, width=32, words=0, both=False, each=True):
        super().__init__()
        self.embed = nn.Embedding(words, 16) if words else nn.Linear(1, 16)
        self.rnn = cell(16, width, batch_first=True, bidirectional=both)
        self.head, self.each = nn.Linear(width * (1 + both), out), each

    def forward(self, x):
        out = self.rnn(self.embed(x))[0]
        return self.head(out).transpose(1, 2) if self.each else self.head(out[:, -1])


class Transformer(nn.Module):
    """Causal layers; the words' vectors are used twice."""

    def __init__(self, words, width=32, depth=1):
        super().__init__()
        self.tok, self.pos = nn.Embedding(words, width), nn.Embedding(40, width)
        nn.init.normal_(self.tok.weight, std=0.1)
        layer = nn.TransformerEncoderLayer(
            width, 4, 64, dropout=0.0, batch_first=True, norm_first=True, activation="gelu"
        )
        self.body = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), False)

    def forward(self, ids):
        n = ids.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(n)
        x = self.body(self.tok(ids) + self.pos.weight[:n], mask=mask)
        return (x @ self.tok.weight.T).transpose(1, 2)


def below(test, criterion):
    """The criterion on the test, negated."""
    return examiner(lambda model: -criterion(model(test[0]), test[1]))


def recalls(test):
    """The classes' recalls, averaged."""

    def number(model):
        right = (model(test[0]).argmax(1) == test[1]).float()
        return torch.stack([right[test[1] == c].mean() for c in test[1].unique()]).mean()

    return examiner(number)


def precision(test):
    """Average precision; a constant has the share of positives."""
    return examiner(lambda m: average_precision_score(test[1].flatten(), m(test[0]).flatten()))


class Picked(nn.Module):
    """A model of which `pick` takes what is asked for."""

    def __init__(self, model, pick):
        super().__init__()
        self.model, self.pick = model, pick

    def forward(self, x):
        return self.pick(self.model(x))


def first(judge, pick=lambda out: out[0]):
    """Judges the first of several outputs."""
    return lambda test: lambda model: judge(test)(Picked(model, pick))
