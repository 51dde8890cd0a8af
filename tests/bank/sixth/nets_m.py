"""Models of author m."""

import torch
import torch.nn.functional as F
from torch import nn


def mlp(*sizes, act=nn.ReLU, norm=False, drop=0.0, last=None):
    """Linear layers with what stands between them."""
    layers = []
    for inside, outside in zip(sizes[:-2], sizes[1:-1], strict=True):
        layers += [nn.Linear(inside, outside)]
        layers += [nn.BatchNorm1d(outside)] if norm else []
        layers += [act()] if act else []
        layers += [nn.Dropout(drop)] if drop else []
    layers += [nn.Linear(*sizes[-2:])]
    return nn.Sequential(*layers, *([last] if last else []))


def pictures(width, side, outputs, last=None):
    """Two convolutions and a linear layer, for pictures of side x side."""
    layers = [
        nn.Conv2d(1, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * width * (side // 4) ** 2, outputs),
    ]
    return nn.Sequential(*layers, *([last] if last else []))


def listener(width, outputs):
    """A strided Conv1d net with average pooling."""
    return nn.Sequential(
        nn.Conv1d(1, width, 9, stride=2, padding=4),
        nn.ReLU(),
        nn.Conv1d(width, 2 * width, 9, stride=2, padding=4),
        nn.ReLU(),
        nn.AdaptiveMaxPool1d(1),
        nn.Flatten(),
        nn.Linear(2 * width, outputs),
    )


class Autoencoder(nn.Module):
    def __init__(self, pixels, hidden, code):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, code))
        self.decoder = nn.Sequential(nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, pixels))

    def forward(self, x):
        return self.decoder(self.encoder(x))


class Segmenter(nn.Module):
    """Down once, up once, with the way across."""

    def __init__(self, width=8):
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.last = nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, x):
        fine = F.relu(self.first(x))
        coarse = F.relu(self.down(F.max_pool2d(fine, 2)))
        return self.last(torch.cat([fine, F.relu(self.up(coarse))], 1))


class Forecaster(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.rnn = nn.GRU(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class Mover(nn.Module):
    """A GRU that wants (time, batch, axis)."""

    def __init__(self, hidden, outputs, view):
        super().__init__()
        self.rnn = nn.GRU(3, hidden)
        self.head = nn.Linear(hidden, outputs)
        self.view = view

    def forward(self, x):
        batch, time, axes = x.shape
        x = x.reshape(time, batch, axes) if self.view else x.transpose(0, 1)
        return self.head(self.rnn(x)[0].mean(0))


class Dilated(nn.Module):
    """Stacked dilated convolutions; `keep` holds the blocks."""

    def __init__(self, width, depth, outputs, keep):
        super().__init__()
        channels = [3, *[width] * depth]
        self.blocks = keep(
            nn.Conv1d(channels[i], channels[i + 1], 3, padding=2**i, dilation=2**i)
            for i in range(depth)
        )
        self.head = nn.Linear(width, outputs)

    def forward(self, x):
        x = x.transpose(1, 2)
        for block in self.blocks:
            x = F.relu(block(x))
        return self.head(x.mean(2))


class Attentive(nn.Module):
    """Embeddings, a learnt weight for each word, a small head."""

    def __init__(self, words, width, outputs):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=0)
        self.weigh = nn.Linear(width, 1)
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs))

    def forward(self, tokens, lengths):
        x = self.embed(tokens)
        there = torch.arange(tokens.shape[1]) < lengths[:, None]
        weights = self.weigh(torch.tanh(x)).squeeze(-1).masked_fill(~there, -1e9).softmax(1)
        return self.head((weights[..., None] * x).sum(1))


class TextCnn(nn.Module):
    """Windows of two and three words, max pooling, dropout."""

    def __init__(self, words, width, outputs, drop):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=0)
        self.convs = nn.ModuleList(nn.Conv1d(width, width, k, padding=1) for k in (2, 3))
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, tokens):
        x = self.embed(tokens).transpose(1, 2)
        found = torch.cat([F.relu(conv(x)).amax(2) for conv in self.convs], 1)
        return self.head(self.drop(found))


class Tagger(nn.Module):
    def __init__(self, words, width, tags):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.rnn = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, tags)

    def forward(self, tokens):
        return self.head(self.rnn(self.embed(tokens))[0]).transpose(1, 2)


class Factors(nn.Module):
    """Matrix factorisation with biases; `start` fills both tables."""

    def __init__(self, users, items, width, start):
        super().__init__()
        self.user, self.item = nn.Embedding(users, width), nn.Embedding(items, width)
        self.user_bias, self.item_bias = nn.Embedding(users, 1), nn.Embedding(items, 1)
        for table in (self.user, self.item):
            start(table.weight)
        for table in (self.user_bias, self.item_bias):
            nn.init.zeros_(table.weight)

    def forward(self, user, item):
        both = (self.user(user) * self.item(item)).sum(1)
        return both + self.user_bias(user)[:, 0] + self.item_bias(item)[:, 0]


class Likes(nn.Module):
    """The dot product of two embeddings."""

    def __init__(self, users, items, width):
        super().__init__()
        self.user, self.item = nn.Embedding(users, width), nn.Embedding(items, width)

    def forward(self, user, item):
        return (self.user(user) * self.item(item)).sum(1)


class Remembering(nn.Module):
    """A cell that is unrolled by hand."""

    def __init__(self, inputs, hidden, outputs, cut):
        super().__init__()
        self.cell, self.head = nn.RNNCell(inputs, hidden), nn.Linear(hidden, outputs)
        self.cut = cut

    def forward(self, x):
        state = x.new_zeros(len(x), self.cell.hidden_size)
        for now in x.unbind(1):
            state = self.cell(now, state.detach() if self.cut else state)
        return self.head(state)


class NextWord(nn.Module):
    def __init__(self, words, width, hidden, outputs):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(2 * width, hidden), nn.ReLU(), nn.Linear(hidden, outputs)
        )

    def forward(self, two):
        return self.body(self.embed(two))
