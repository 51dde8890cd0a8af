"""Models and small helpers of author g."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..runs import examiner, unpacked


def dense(*sizes, act=nn.ReLU, norm=None, drop=0.0):
    """Linear layers, each but the last with what follows it."""
    layers = []
    for a, b in zip(sizes[:-2], sizes[1:-1], strict=True):
        layers += [nn.Linear(a, b), *([norm(b)] if norm else []), act()]
        layers += [nn.Dropout(drop)] if drop else []
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


class Flat(nn.Module):
    """A column as a row: (N, 1) to (N,)."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x).squeeze(-1)


def lenet(classes, side, channels=1):
    return nn.Sequential(
        *(nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(16 * (side // 4) ** 2, 48), nn.ReLU(), nn.Linear(48, classes)),
    )


def groups(width):
    return nn.GroupNorm(4, width)


class Residual(nn.Module):
    def __init__(self, a, b, stride=1, norm=nn.BatchNorm2d):
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = norm(b), norm(b)
        self.short = nn.Conv2d(a, b, 1, stride) if (a, stride) != (b, 1) else nn.Identity()

    def forward(self, x):
        inner = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(inner + self.short(x))


def resnet(classes, width=8, norm=nn.BatchNorm2d):
    return nn.Sequential(
        *(nn.Conv2d(1, width, 3, padding=1, bias=False), norm(width), nn.ReLU()),
        *(Residual(width, width, 1, norm), Residual(width, 2 * width, 2, norm)),
        *(Residual(2 * width, 4 * width, 2, norm), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(4 * width, classes),
    )


def separable(a, b, stride=1):
    """A depthwise and a pointwise convolution, as in MobileNet."""
    return nn.Sequential(
        *(nn.Conv2d(a, a, 3, stride, 1, groups=a, bias=False), nn.BatchNorm2d(a), nn.ReLU6()),
        *(nn.Conv2d(a, b, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU6()),
    )


def mobile(classes):
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU6()),
        *(separable(16, 24, 2), separable(24, 32), separable(32, 48, 2)),
        *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(48, classes)),
    )


def listener(classes, norm=nn.BatchNorm1d, width=16):
    """Convolutions over a signal."""
    return nn.Sequential(
        *(nn.Conv1d(1, width, 7, 2, 3), norm(width), nn.ReLU()),
        *(nn.Conv1d(width, 2 * width, 5, 2, 2), norm(2 * width), nn.ReLU()),
        *(nn.Conv1d(2 * width, 2 * width, 3, 2, 1), norm(2 * width), nn.ReLU()),
        *(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(2 * width, classes)),
    )


class UNet(nn.Module):
    """Two levels down and up again, in one or two dimensions."""

    def __init__(self, outputs, width=8, norm="batch", dims=2):
        super().__init__()
        conv = (nn.Conv1d, nn.Conv2d)[dims - 1]
        batch = (nn.BatchNorm1d, nn.BatchNorm2d)[dims - 1]
        made = {"batch": batch, "group": groups, "none": lambda n: nn.Identity()}[norm]

        def double(a, b):
            first = [conv(a, b, 3, padding=1), made(b), nn.ReLU()]
            return nn.Sequential(*first, conv(b, b, 3, padding=1), made(b), nn.ReLU())

        up = (nn.ConvTranspose1d, nn.ConvTranspose2d)[dims - 1]
        self.pool = (nn.MaxPool1d, nn.MaxPool2d)[dims - 1](2)
        self.down1, self.down2 = double(1, width), double(width, 2 * width)
        self.middle = double(2 * width, 4 * width)
        self.up2, self.up1 = up(4 * width, 2 * width, 2, 2), up(2 * width, width, 2, 2)
        self.join2, self.join1 = double(4 * width, 2 * width), double(2 * width, width)
        self.head = conv(width, outputs, 1)

    def forward(self, x):
        first = self.down1(x)
        second = self.down2(self.pool(first))
        x = self.up2(self.middle(self.pool(second)))
        x = self.up1(self.join2(torch.cat([x, second], 1)))
        return self.head(self.join1(torch.cat([x, first], 1)))


class Reader(nn.Module):
    """A recurrent net over packed sentences, from its last state."""

    def __init__(self, words, width, outputs, cell=nn.LSTM, both=False):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=0)
        self.rnn = cell(width, width, batch_first=True, bidirectional=both)
        self.head = nn.Linear(width * (1 + both), outputs)

    def forward(self, ids, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embed(ids), lengths, batch_first=True, enforce_sorted=False
        )
        state = self.rnn(packed)[1]
        state = state[0] if isinstance(state, tuple) else state
        return self.head(state.transpose(0, 1).flatten(1))


class Tagger(nn.Module):
    """One answer for each token: (N, outputs, length)."""

    def __init__(self, words, width, outputs, cell=nn.GRU, layers=1, both=False, drop=0.0):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.rnn = cell(
            width, width, layers, batch_first=True, bidirectional=both, dropout=drop * (layers > 1)
        )
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(width * (1 + both), outputs)

    def forward(self, ids):
        return self.head(self.drop(self.rnn(self.embed(ids))[0])).transpose(1, 2)


class Forecaster(nn.Module):
    def __init__(self, width=24, cell=nn.LSTM):
        super().__init__()
        self.rnn, self.head = cell(1, width, batch_first=True), nn.Linear(width, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])[:, 0]


def encoder(width, layers, heads=4, drop=0.0, first=True):
    layer = nn.TransformerEncoderLayer(
        width, heads, 2 * width, drop, "gelu", batch_first=True, norm_first=first
    )
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


class Attentive(nn.Module):
    """Tokens through an encoder: an answer for each token, or for the mean of all."""

    def __init__(self, words, width, outputs, length, layers=2, causal=False, pooled=False, **more):
        super().__init__()
        self.embed, self.place = nn.Embedding(words, width), nn.Embedding(length, width)
        self.encoder, self.head = encoder(width, layers, **more), nn.Linear(width, outputs)
        self.norm, self.causal, self.pooled = nn.LayerNorm(width), causal, pooled

    def forward(self, ids, real=None):
        length = ids.shape[1]
        x = self.embed(ids) + self.place(torch.arange(length))
        mask = torch.ones(length, length).triu(1).bool() if self.causal else None
        hidden = None if real is None else ~real
        x = self.norm(self.encoder(x, mask=mask, src_key_padding_mask=hidden))
        if not self.pooled:
            return self.head(x).transpose(1, 2)
        if real is None:
            return self.head(x.mean(1))
        return self.head((x * real[:, :, None]).sum(1) / real.sum(1, keepdim=True))


class Patches(nn.Module):
    """A vision transformer with a class token."""

    def __init__(self, classes, width=32, side=8, patch=2, layers=2, **more):
        super().__init__()
        self.cut = nn.Conv2d(1, width, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.place = nn.Parameter(0.02 * torch.randn(1, 1 + (side // patch) ** 2, width))
        self.encoder, self.norm = encoder(width, layers, **more), nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.cut(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.place
        return self.head(self.norm(self.encoder(x)[:, 0]))


class Translator(nn.Module):
    """Encoder and decoder; token 0 starts the answer."""

    def __init__(self, words, width, length):
        super().__init__()
        self.embed, self.place = nn.Embedding(words, width), nn.Embedding(length, width)
        self.body = nn.Transformer(width, 4, 1, 1, 2 * width, 0.0, batch_first=True)
        self.head = nn.Linear(width, words)

    def forward(self, source, target):
        start = torch.zeros_like(target[:, :1])
        target = torch.cat([start, target[:, :-1]], 1)
        place = self.place(torch.arange(source.shape[1]))
        mask = torch.ones(len(place), len(place)).triu(1).bool()
        out = self.body(self.embed(source) + place, self.embed(target) + place, tgt_mask=mask)
        return self.head(out).transpose(1, 2)


class ResidualTable(nn.Module):
    """Residual blocks with LayerNorm, for tables."""

    def __init__(self, inputs, width, outputs, blocks=3, drop=0.0):
        super().__init__()
        self.inlet, self.norm = nn.Linear(inputs, width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU()),
                *(nn.Dropout(drop), nn.Linear(2 * width, width)),
            )
            for _ in range(blocks)
        )
        self.head = nn.Linear(width, outputs)

    def forward(self, x):
        x = self.inlet(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.norm(x))


class Estate(nn.Module):
    """Numbers, and an embedding for each of two categories."""

    def __init__(self, districts=25, kinds=4):
        super().__init__()
        self.district, self.kind = nn.Embedding(districts, 8), nn.Embedding(kinds, 3)
        self.body = dense(4 + 8 + 3, 64, 32, 1)

    def forward(self, numbers, categories):
        district, kind = self.district(categories[:, 0]), self.kind(categories[:, 1])
        return self.body(torch.cat([numbers, district, kind], 1))[:, 0]


class Factors(nn.Module):
    """A product of factors, and biases."""

    def __init__(self, users, items, rank, mean=0.0):
        super().__init__()
        self.user = nn.Embedding(users, rank)
        self.item = nn.Embedding(items, rank)
        self.user_bias = nn.Embedding(users, 1)
        self.item_bias = nn.Embedding(items, 1)
        self.mean = mean
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.3)
        for table in (self.user_bias, self.item_bias):
            nn.init.zeros_(table.weight)

    def forward(self, u, i):
        biases = self.user_bias(u) + self.item_bias(i)
        return (self.user(u) * self.item(i)).sum(1) + biases[:, 0] + self.mean


class NeuralFactors(nn.Module):
    """Product and perceptron side by side."""

    def __init__(self, users, items, rank=8):
        super().__init__()
        self.user, self.item = nn.Embedding(users, 2 * rank), nn.Embedding(items, 2 * rank)
        self.body, self.head = dense(2 * rank, 32, 16), nn.Linear(16 + rank, 1)
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, u, i):
        (u, u2), (i, i2) = self.user(u).chunk(2, 1), self.item(i).chunk(2, 1)
        hidden = self.body(torch.cat([u2, i2], 1)).relu()
        return self.head(torch.cat([hidden, u * i], 1))[:, 0]


class Machine(nn.Module):
    """A factorisation machine with a small net beside it."""

    def __init__(self, values, fields, rank=6):
        super().__init__()
        self.factors, self.linear = nn.Embedding(values, rank), nn.Embedding(values, 1)
        self.deep = dense(fields * rank, 32, 1)
        nn.init.normal_(self.factors.weight, std=0.1)
        nn.init.zeros_(self.linear.weight)

    def forward(self, ids):
        v = self.factors(ids)
        pairs = (v.sum(1).square() - v.square().sum(1)).sum(1) / 2
        return pairs + self.linear(ids).sum((1, 2)) + self.deep(v.flatten(1))[:, 0]


class Variational(nn.Module):
    def __init__(self, inputs, width, latent):
        super().__init__()
        self.encode = dense(inputs, width, 2 * latent)
        self.decode = dense(latent, width, inputs)

    def forward(self, x):
        mean, log_var = self.encode(x.flatten(1)).chunk(2, 1)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        return self.decode(mean + noise * (log_var / 2).exp()), mean, log_var


class Couplings(nn.Module):
    """Affine couplings of the plane; returns log-densities."""

    def __init__(self, layers=6, width=32):
        super().__init__()
        self.nets = nn.ModuleList(dense(1, width, width, 2) for _ in range(layers))

    def forward(self, x):
        a, b = x[:, :1], x[:, 1:]
        total = torch.zeros(len(x))
        for net in self.nets:
            scale, shift = net(a).chunk(2, 1)
            scale = 2 * torch.tanh(scale / 2)
            a, b = b * scale.exp() + shift, a
            total = total + scale[:, 0]
        z = torch.cat([a, b], 1)
        return total - 0.5 * z.square().sum(1) - math.log(2 * math.pi)


class Masked(nn.Linear):
    """A linear layer with some of its weights held at 0."""

    def __init__(self, mask):
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask)

    def forward(self, x):
        return F.linear(x, self.weight * self.mask, self.bias)


def made(inputs, width):
    """Each output sees only the inputs before it."""
    order, hidden = torch.arange(inputs), torch.arange(width) % (inputs - 1)
    inlet = (hidden[:, None] >= order).float()
    inner = (hidden[:, None] >= hidden).float()
    outlet = (order[:, None] > hidden).float()
    return nn.Sequential(Masked(inlet), nn.ReLU(), Masked(inner), nn.ReLU(), Masked(outlet))


class Denoiser(nn.Module):
    """Guesses the noise in `x` at the time `t`."""

    def __init__(self, inputs, width, times):
        super().__init__()
        self.time = nn.Embedding(times, width)
        self.inlet, self.outlet = nn.Linear(inputs, width), nn.Linear(width, inputs)
        self.middle = nn.ModuleList(nn.Linear(width, width) for _ in range(2))

    def forward(self, x, t):
        h = self.inlet(x) + self.time(t)
        for layer in self.middle:
            h = h + layer(F.silu(h))
        return self.outlet(F.silu(h))


class Bonds(nn.Module):
    """Messages along the edges of padded graphs; a sum over nodes."""

    def __init__(self, kinds=4, width=32, rounds=2):
        super().__init__()
        self.embed = nn.Embedding(kinds, width)
        self.message = nn.ModuleList(dense(2 * width, width, width) for _ in range(rounds))
        self.update = nn.ModuleList(nn.GRUCell(width, width) for _ in range(rounds))
        self.head = dense(width, width, 1)

    def forward(self, kind, adjacency, real):
        h = self.embed(kind)
        n, nodes, width = h.shape
        for message, update in zip(self.message, self.update, strict=True):
            pair = torch.cat(
                [
                    h[:, :, None].expand(n, nodes, nodes, width),
                    h[:, None].expand(n, nodes, nodes, width),
                ],
                3,
            )
            m = (message(pair) * adjacency[..., None]).sum(2)
            h = update(m.flatten(0, 1), h.flatten(0, 1)).view(n, nodes, width)
        return (self.head(h)[..., 0] * real).sum(1)


class Dynamics(nn.Module):
    """A learnt derivative, followed by the midpoint rule."""

    def __init__(self, width=32, steps=12, dt=0.15):
        super().__init__()
        self.field, self.steps, self.dt = dense(2, width, width, 2, act=nn.Tanh), steps, dt

    def forward(self, state):
        path = []
        for _ in range(self.steps):
            half = state + self.dt / 2 * self.field(state)
            state = state + self.dt * self.field(half)
            path.append(state)
        return torch.stack(path, 1)


def several(criterion):
    """The loss of a model with several inputs; the last part of a batch is the target."""

    def loss(model, batch):
        *inputs, target = unpacked(batch)
        return criterion(model(*inputs), target)

    return loss


def share_right(test, ignore=-100):
    """Accuracy for several inputs."""
    *inputs, target = test

    def number(model):
        right = model(*inputs).argmax(1) == target
        return right[target != ignore].float().mean()

    return examiner(number)


def share_explained(test):
    """Explained variance for several inputs."""
    *inputs, target = test

    def number(model):
        return 1 - (model(*inputs) - target).square().mean() / target.var(correction=0)

    return examiner(number)


def area(positive, negative):
    """The chance that a positive is above a negative."""
    return (positive[:, None] > negative).float().mean()


def neighbour(train, test, embed=lambda model, x: model(x)):
    """The class of the nearest training example in the model's space, by cosine."""
    (x, y), (held, truth) = train, test

    def number(model):
        known = F.normalize(embed(model, x), dim=1)
        near = (F.normalize(embed(model, held), dim=1) @ known.T).argmax(1)
        return (y[near] == truth).float().mean()

    return examiner(number)
