"""Ordinary models, as tutorials and homework have them."""

import torch
import torch.nn.functional as F
from torch import nn


def mlp(*widths, act=nn.ReLU, norm=None, drop=0.0, last=()):
    """Dense layers; norm, activation and dropout between them."""
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:], strict=False)):
        layers.append(nn.Linear(a, b))
        if i < len(widths) - 2:
            layers += [norm(b)] if norm else []
            layers += [act()] + ([nn.Dropout(drop)] if drop else [])
    return nn.Sequential(*layers, *last)


class LeNet(nn.Module):
    """Two convolutions with pooling, two dense layers; log-probabilities if you like."""

    def __init__(self, side, classes, channels=1, width=8, drop=0.0, log=False):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.dropout = nn.Dropout(drop)
        self.fc1 = nn.Linear(2 * width * (side // 4) ** 2, 64)
        self.fc2 = nn.Linear(64, classes)
        self.log = log

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.dropout(F.relu(self.fc1(x.view(x.size(0), -1))))
        return F.log_softmax(self.fc2(x), dim=1) if self.log else self.fc2(x)


def blocks(channels, *widths, classes, act=nn.ReLU):
    """Conv, BatchNorm, activation, pooling, repeated; then the mean over the image."""
    layers = []
    for width in widths:
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
        layers += [act(), nn.MaxPool2d(2)]
        channels = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers)


class Recurrent(nn.Module):
    """A cell over numbers or ids; answers from its last output, or one for every step."""

    def __init__(self, cell, inputs, hidden, outputs, words=0, every=False, **more):
        super().__init__()
        self.embedding = nn.Embedding(words, inputs, padding_idx=0) if words else nn.Identity()
        self.rnn = cell(inputs, hidden, batch_first=True, **more)
        self.fc = nn.Linear(hidden * (2 if more.get("bidirectional") else 1), outputs)
        self.every = every

    def forward(self, x):
        out, _ = self.rnn(self.embedding(x))
        return self.fc(out if self.every else out[:, -1])


class Tagger(Recurrent):
    """Logits as the cross-entropy wants them: (N, tags, T)."""

    def forward(self, x):
        return super().forward(x).transpose(1, 2)


class TextCNN(nn.Module):
    """Kernels of several lengths over embedded words, the maximum of each."""

    def __init__(self, words, width, channels, classes, sizes=(2, 3, 4), drop=0.3):
        super().__init__()
        self.emb = nn.Embedding(words, width)
        self.convs = nn.ModuleList(nn.Conv1d(width, channels, k) for k in sizes)
        self.drop, self.fc = nn.Dropout(drop), nn.Linear(channels * len(sizes), classes)

    def forward(self, ids):
        x = self.emb(ids).transpose(1, 2)
        return self.fc(self.drop(torch.cat([F.relu(c(x)).amax(2) for c in self.convs], 1)))


class Encoder(nn.Module):
    """Embedded words and places, torch's own transformer layers, the mean, a head."""

    def __init__(self, words, width, classes, length, layers=1, heads=4, drop=0.1):
        super().__init__()
        self.tok = nn.Embedding(words, width)
        self.pos = nn.Parameter(0.02 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, drop, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, ids):
        return self.head(self.encoder(self.tok(ids) + self.pos).mean(1))


class AutoEncoder(nn.Module):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x):
        return self.decoder(self.encoder(x))


def conv_autoencoder(channels, width, code):
    """For images of 16 by 16."""
    down = [nn.Conv2d(channels, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, 2 * width, 3, 2, 1)]
    up = [nn.ConvTranspose2d(2 * width, width, 2, 2), nn.ReLU()]
    up += [nn.ConvTranspose2d(width, channels, 2, 2)]
    size = 2 * width * 16
    encoder = nn.Sequential(*down, nn.ReLU(), nn.Flatten(), nn.Linear(size, code))
    grown = [nn.Linear(code, size), nn.ReLU(), nn.Unflatten(1, (2 * width, 4, 4))]
    return AutoEncoder(encoder, nn.Sequential(*grown, *up))


class WithCategories(nn.Module):
    """Embeddings of the categories beside the numbers."""

    def __init__(self, numbers, sizes, width, hidden):
        super().__init__()
        self.embeds = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        self.bn = nn.BatchNorm1d(numbers)
        self.layers = mlp(numbers + width * len(sizes), hidden, hidden // 2, 1, drop=0.1)

    def forward(self, numbers, ids):
        words = [embed(ids[:, i]) for i, embed in enumerate(self.embeds)]
        return self.layers(torch.cat([self.bn(numbers), *words], 1)).squeeze(1)


class Factors(nn.Module):
    """Matrix factorisation with biases."""

    def __init__(self, users, items, rank):
        super().__init__()
        self.user, self.item = nn.Embedding(users, rank), nn.Embedding(items, rank)
        self.user_bias, self.item_bias = nn.Embedding(users, 1), nn.Embedding(items, 1)
        self.mean = nn.Parameter(torch.zeros(()))
        for table in (self.user, self.item, self.user_bias, self.item_bias):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, user, item):
        bias = (self.user_bias(user) + self.item_bias(item)).squeeze(1)
        return (self.user(user) * self.item(item)).sum(1) + bias + self.mean


class PictureAndNumbers(nn.Module):
    def __init__(self, numbers):
        super().__init__()
        self.cnn = LeNet(8, 32)
        self.numbers = mlp(numbers, 32, 32)
        self.regressor = mlp(64, 64, 1)

    def forward(self, picture, numbers):
        both = torch.cat([self.cnn(picture), self.numbers(numbers)], dim=1)
        return self.regressor(F.relu(both)).squeeze(-1)


class TwoHeads(nn.Module):
    """A common body; a dict of what kind and how much."""

    def __init__(self, inputs, width, classes):
        super().__init__()
        self.body = mlp(inputs, width, width, norm=nn.LayerNorm, last=[nn.ReLU()])
        self.kind, self.amount = nn.Linear(width, classes), nn.Linear(width, 1)

    def forward(self, x):
        h = self.body(x)
        return {"kind": self.kind(h), "amount": self.amount(h).squeeze(1)}
