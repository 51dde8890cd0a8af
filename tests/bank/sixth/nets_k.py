"""Models of author k: for tables, texts, series, lists and graphs."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence


def mlp(*widths, act=nn.ReLU, drop=0.0, norm=None):
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:], strict=False)):
        layers.append(nn.Linear(a, b))
        if i < len(widths) - 2:
            layers += [norm(b)] if norm else []
            layers += [act()] + ([nn.Dropout(drop)] if drop else [])
    return nn.Sequential(*layers)


# tables


class Tabular(nn.Module):
    """Embeddings of the categories beside the normalised numbers."""

    def __init__(self, sizes, numbers, hidden, out, drop=0.1):
        super().__init__()
        dims = [min(16, round(1.6 * size**0.56)) for size in sizes]
        self.embeds = nn.ModuleList(map(nn.Embedding, sizes, dims))
        self.norm = nn.BatchNorm1d(numbers)
        self.body = mlp(sum(dims) + numbers, *hidden, out, drop=drop, norm=nn.BatchNorm1d)

    def forward(self, codes, numbers):
        parts = [embed(codes[:, i]) for i, embed in enumerate(self.embeds)]
        return self.body(torch.cat([*parts, self.norm(numbers)], 1))


class EntityNet(nn.Module):
    def __init__(self, sizes, numbers, width):
        super().__init__()
        self.embeds = nn.ModuleList([nn.Embedding(size, 6) for size in sizes])
        self.first = nn.Linear(6 * len(sizes) + numbers, width)
        self.blocks = nn.ModuleList([mlp(width, width, width, act=nn.SiLU) for _ in range(2)])
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2)])
        self.head = nn.Linear(width, 1)

    def forward(self, codes, numbers):
        parts = [embed(codes[:, i]) for i, embed in enumerate(self.embeds)]
        x = self.first(torch.cat([*parts, numbers], 1))
        for norm, block in zip(self.norms, self.blocks, strict=True):
            x = x + block(norm(x))
        return self.head(x).squeeze(1)


class DeepFM(nn.Module):
    def __init__(self, values, fields, width=6):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.first = nn.Embedding(values, 1)
        self.second = nn.Embedding(values, width)
        nn.init.normal_(self.second.weight, std=0.1)
        nn.init.zeros_(self.first.weight)
        self.deep = mlp(fields * width, 32, 16, 1)

    def forward(self, codes):
        v = self.second(codes)
        pairs = 0.5 * (v.sum(1).square() - v.square().sum(1)).sum(1)
        single = self.bias + self.first(codes).sum((1, 2))
        return single + pairs + self.deep(v.flatten(1)).squeeze(1)


class Block(nn.Module):
    """Pre-norm attention and feed-forward."""

    def __init__(self, width, heads=4, drop=0.0, causal=False):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = mlp(width, 4 * width, width, act=nn.GELU)
        self.drop = nn.Dropout(drop)

    def forward(self, x, there=None):
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mask = None if there is None else there[:, None, None, :]
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal)
        x = x + self.drop(self.out(seen.transpose(1, 2).reshape(n, t, d)))
        return x + self.drop(self.feed(self.norm2(x)))


class TokenTable(nn.Module):
    """Every column a token, and a transformer over the columns."""

    def __init__(self, sizes, numbers, out, width=24, depth=2):
        super().__init__()
        self.embeds = nn.ModuleList([nn.Embedding(size, width) for size in sizes])
        self.weight = nn.Parameter(torch.randn(numbers, width) / width**0.5)
        self.bias = nn.Parameter(torch.randn(numbers, width) / width**0.5)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList([Block(width) for _ in range(depth)])
        self.head = nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, out))

    def forward(self, codes, numbers):
        tokens = [embed(codes[:, i])[:, None] for i, embed in enumerate(self.embeds)]
        tokens.append(numbers[..., None] * self.weight + self.bias)
        x = torch.cat([self.cls.expand(len(codes), -1, -1), *tokens], 1)
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


class TwoHeads(nn.Module):
    """A trunk, a head of two values, a head of classes, and the tasks' log variances."""

    def __init__(self, features, classes, width=64):
        super().__init__()
        self.trunk = nn.Sequential(mlp(features, width, width), nn.ReLU())
        self.values, self.classes = nn.Linear(width, 2), nn.Linear(width, classes)
        self.log_vars = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        h = self.trunk(x)
        return self.values(h), self.classes(h)


class MMoE(nn.Module):
    def __init__(self, features, experts=4, width=24, tasks=2):
        super().__init__()
        made = [nn.Sequential(mlp(features, 32, width), nn.ReLU()) for _ in range(experts)]
        self.experts = nn.ModuleList(made)
        self.gates = nn.ModuleList([nn.Linear(features, experts) for _ in range(tasks)])
        self.towers = nn.ModuleList([mlp(width, 16, 1) for _ in range(tasks)])

    def forward(self, x):
        told = torch.stack([expert(x) for expert in self.experts], 1)
        mixed = [(gate(x).softmax(1)[..., None] * told).sum(1) for gate in self.gates]
        return [tower(m).squeeze(1) for tower, m in zip(self.towers, mixed, strict=True)]


class MeanAndVariance(nn.Module):
    def __init__(self, features, width=64):
        super().__init__()
        self.body = mlp(features, width, width, 2, act=nn.Tanh)

    def forward(self, x):
        mean, raw = self.body(x).unbind(1)
        return mean, F.softplus(raw) + 1e-4


class Quantiles(nn.Module):
    """A lowest quantile and steps upwards, so that none cross."""

    def __init__(self, features, count, width=64):
        super().__init__()
        self.body = mlp(features, width, width, count, act=nn.ELU)

    def forward(self, x):
        out = self.body(x)
        return torch.cat([out[:, :1], out[:, :1] + F.softplus(out[:, 1:]).cumsum(1)], 1)


class MixtureDensity(nn.Module):
    def __init__(self, features, parts=4, width=32):
        super().__init__()
        self.body = nn.Sequential(mlp(features, width, width, act=nn.Tanh), nn.Tanh())
        self.logits, self.means = nn.Linear(width, parts), nn.Linear(width, parts)
        self.scales = nn.Linear(width, parts)

    def forward(self, x):
        h = self.body(x)
        scale = self.scales(h).clamp(-5, 3).exp()
        parts = torch.distributions.Normal(self.means(h), scale)
        mixing = torch.distributions.Categorical(logits=self.logits(h))
        return torch.distributions.MixtureSameFamily(mixing, parts)


class WeibullNet(nn.Module):
    """Scale and shape of a lifetime; the shape is shared."""

    def __init__(self, features, width=48):
        super().__init__()
        self.body = mlp(features, width, width, 1, act=nn.SELU)
        self.log_shape = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return torch.distributions.Weibull(self.body(x).squeeze(1).exp(), self.log_shape.exp())


# texts


class Bag(nn.Module):
    def __init__(self, words, width, classes):
        super().__init__()
        self.embedding = nn.EmbeddingBag(words, width)
        self.fc = nn.Linear(width, classes)
        self.embedding.weight.data.uniform_(-0.5, 0.5)
        self.fc.weight.data.uniform_(-0.5, 0.5)
        self.fc.bias.data.zero_()

    def forward(self, text, offsets):
        return self.fc(self.embedding(text, offsets))


class TextCNN(nn.Module):
    def __init__(self, words, width, maps, out, kernels=(2, 3, 4), drop=0.5):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=0)
        self.convs = nn.ModuleList([nn.Conv1d(width, maps, k, padding=k - 1) for k in kernels])
        self.drop, self.fc = nn.Dropout(drop), nn.Linear(maps * len(kernels), out)

    def forward(self, ids):
        x = self.embed(ids).transpose(1, 2)
        return self.fc(self.drop(torch.cat([F.relu(c(x)).amax(2) for c in self.convs], 1)))


class PackedLSTM(nn.Module):
    def __init__(self, words, width, hidden):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=0)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden, 1)

    def forward(self, ids, lengths):
        packed = pack_padded_sequence(
            self.embed(ids), lengths, batch_first=True, enforce_sorted=False
        )
        _, (last, _) = self.lstm(packed)
        return self.fc(torch.cat([last[0], last[1]], 1)).squeeze(1)


class Encoder(nn.Module):
    """A transformer over ids, 0 padded; a vector for each place."""

    def __init__(self, words, width, depth, length, drop=0.0, causal=False, heads=4):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.place = nn.Parameter(0.1 * torch.randn(length, width))
        nn.init.normal_(self.embed.weight, std=0.1)
        self.blocks = nn.ModuleList([Block(width, heads, drop, causal) for _ in range(depth)])
        self.norm, self.drop = nn.LayerNorm(width), nn.Dropout(drop)

    def forward(self, ids, there=None):
        x = self.drop(self.embed(ids) + self.place[: ids.shape[1]])
        for block in self.blocks:
            x = block(x, there)
        return self.norm(x)


class Reader(nn.Module):
    """An encoder whose mean over the words that are there decides."""

    def __init__(self, words, width, depth, length, out, drop=0.1):
        super().__init__()
        self.encoder = Encoder(words, width, depth, length, drop)
        self.head = nn.Linear(width, out)

    def forward(self, ids):
        there = ids != 0
        h = self.encoder(ids, there) * there[..., None]
        return self.head(h.sum(1) / there.sum(1, keepdim=True))


class LabelAttention(nn.Module):
    """For every label its own look at the text."""

    def __init__(self, words, width, labels):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=0)
        self.conv = nn.Conv1d(width, width, 3, padding=1)
        self.drop = nn.Dropout(0.3)
        self.look, self.final = nn.Linear(width, labels, bias=False), nn.Linear(width, labels)

    def forward(self, ids):
        h = self.drop(self.embed(ids)).transpose(1, 2)
        h = torch.tanh(self.conv(h)).transpose(1, 2)
        weight = self.look(h).masked_fill((ids == 0)[..., None], -1e9).softmax(1)
        seen = weight.transpose(1, 2) @ h
        return (seen * self.final.weight).sum(2) + self.final.bias


class LM(nn.Module):
    """A decoder-only transformer; (batch, words, places) as cross-entropy wants it."""

    def __init__(self, words, width, depth, length, causal=True, drop=0.0, heads=4):
        super().__init__()
        self.body = Encoder(words, width, depth, length, drop, causal=causal, heads=heads)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.body.embed.weight

    def forward(self, ids):
        return self.head(self.body(ids)).transpose(1, 2)


class BothSides(nn.Module):
    """A word from what stands on both sides of it."""

    def __init__(self, words, width, drop=0.1):
        super().__init__()
        self.embed, self.drop = nn.Embedding(words, width), nn.Dropout(drop)
        self.gru = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.LayerNorm(width))
        self.out = nn.Linear(width, words)

    def forward(self, ids):
        h, _ = self.gru(self.drop(self.embed(ids)))
        return self.out(self.head(h)).transpose(1, 2)


class RNNModel(nn.Module):
    """Encoder, LSTM, decoder, with tied weights."""

    def __init__(self, words, width, drop=0.2):
        super().__init__()
        self.drop, self.encoder = nn.Dropout(drop), nn.Embedding(words, width)
        self.rnn = nn.LSTM(width, width, batch_first=True)
        self.decoder = nn.Linear(width, words)
        self.decoder.weight = self.encoder.weight
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, ids):
        out, _ = self.rnn(self.drop(self.encoder(ids)))
        return self.decoder(self.drop(out)).transpose(1, 2)


def ngram(letters, context=3, width=8, hidden=96):
    """Bengio's model, as in makemore."""
    net = nn.Sequential(
        *(nn.Embedding(letters, width), nn.Flatten()),
        *(nn.Linear(context * width, hidden, bias=False), nn.BatchNorm1d(hidden), nn.Tanh()),
        nn.Linear(hidden, letters),
    )
    with torch.no_grad():
        net[-1].weight *= 0.1
    return net


class Joint(nn.Module):
    """Intent from the mean, slots from every place."""

    def __init__(self, words, width, intents, slots):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=0)
        self.gru = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.intent, self.slot = nn.Linear(2 * width, intents), nn.Linear(2 * width, slots)

    def forward(self, ids):
        h, _ = self.gru(self.embed(ids))
        return self.intent(h.amax(1)), self.slot(h).transpose(1, 2)


# sequences


class CRF(nn.Module):
    """Emissions by a small GRU, a chain over the tags; log likelihood and Viterbi."""

    def __init__(self, words, width, tags):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=0)
        self.gru = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.emit = nn.Linear(2 * width, tags)
        self.start, self.end = nn.Parameter(torch.zeros(tags)), nn.Parameter(torch.zeros(tags))
        self.move = nn.Parameter(torch.empty(tags, tags).uniform_(-0.1, 0.1))

    def forward(self, ids):
        return self.emit(self.gru(self.embed(ids))[0])

    def log_likelihood(self, ids, tags):
        emit, there = self(ids), tags >= 0
        tags, rows = tags.clamp(min=0), torch.arange(len(tags))
        gold = self.start[tags[:, 0]] + emit[rows, 0, tags[:, 0]]
        alpha = self.start + emit[:, 0]
        for t in range(1, tags.shape[1]):
            step = self.move[tags[:, t - 1], tags[:, t]] + emit[rows, t, tags[:, t]]
            gold = gold + step * there[:, t]
            after = torch.logsumexp(alpha[:, :, None] + self.move, 1) + emit[:, t]
            alpha = torch.where(there[:, t, None], after, alpha)
        gold = gold + self.end[tags[rows, there.sum(1) - 1]]
        return gold - torch.logsumexp(alpha + self.end, 1)

    def decode(self, ids, there):
        emit, back = self(ids), []
        score = self.start + emit[:, 0]
        for t in range(1, ids.shape[1]):
            best, where = (score[:, :, None] + self.move).max(1)
            stay = torch.arange(score.shape[1]).expand_as(where)
            back.append(torch.where(there[:, t, None], where, stay))
            score = torch.where(there[:, t, None], best + emit[:, t], score)
        said = [(score + self.end).argmax(1)]
        for where in reversed(back):
            said.append(where.gather(1, said[-1][:, None]).squeeze(1))
        return torch.stack(said[::-1], 1)


class Listener(nn.Module):
    """Convolution and GRU to log probabilities of the symbols and the blank (0)."""

    def __init__(self, features, width, symbols):
        super().__init__()
        self.conv = nn.Conv1d(features, width, 3, padding=1)
        self.gru = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * width, symbols + 1)

    def forward(self, x):
        h = F.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        return self.fc(self.gru(h)[0]).log_softmax(2)


class Translator(nn.Module):
    """GRU encoder, GRU decoder with dot-product attention; teacher forcing."""

    def __init__(self, words, width):
        super().__init__()
        self.source, self.target = nn.Embedding(words, width), nn.Embedding(words, width)
        self.encoder = nn.GRU(width, width, batch_first=True)
        self.decoder = nn.GRU(width, width, batch_first=True)
        self.mix, self.out = nn.Linear(2 * width, width), nn.Linear(width, words)

    def forward(self, source, before):
        memory, state = self.encoder(self.source(source))
        h, _ = self.decoder(self.target(before), state)
        score = h @ memory.transpose(1, 2) / math.sqrt(h.shape[2])
        weight = score.masked_fill((source == 0)[:, None], -1e9).softmax(2)
        return self.out(torch.tanh(self.mix(torch.cat([h, weight @ memory], 2))))

    def translate(self, source, steps):
        said = torch.ones(len(source), 1, dtype=torch.long)
        for _ in range(steps):
            said = torch.cat([said, self(source, said)[:, -1:].argmax(2)], 1)
        return said


class Spans(nn.Module):
    """Start and end of the answer by a GRU over the text, the question beside every word."""

    def __init__(self, words, width):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.gru = nn.GRU(3 * width, width, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * width, 2)

    def forward(self, ids):
        text, asked = self.embed(ids[:, 1:]), self.embed(ids[:, :1])
        both = torch.cat([text, asked.expand_as(text), text * asked], 2)
        return self.out(self.gru(both)[0]).unbind(2)


class Seq2One(nn.Module):
    """The last state of an LSTM gives all hours ahead."""

    def __init__(self, hidden, ahead):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, ahead)

    def forward(self, past):
        out, _ = self.lstm(past[..., None])
        return self.fc(out[:, -1])


class Dilated(nn.Module):
    def __init__(self, a, b, dilation, drop):
        super().__init__()
        self.pad = 2 * dilation
        self.one = nn.Conv1d(a, b, 3, dilation=dilation)
        self.two = nn.Conv1d(b, b, 3, dilation=dilation)
        self.drop, self.skip = nn.Dropout(drop), nn.Conv1d(a, b, 1)

    def forward(self, x):
        h = self.drop(F.relu(self.one(F.pad(x, (self.pad, 0)))))
        h = self.drop(F.relu(self.two(F.pad(h, (self.pad, 0)))))
        return F.relu(h + self.skip(x))


def tcn(width, drop=0.0):
    parts = [Dilated(1, width, 1, drop), Dilated(width, width, 2, drop)]
    return nn.Sequential(*parts, nn.Conv1d(width, 1, 1))


class NBeats(nn.Module):
    """Blocks that explain the past bit by bit and add up the future, in the past's units."""

    def __init__(self, past, ahead, blocks=3, width=64):
        super().__init__()
        self.past = past
        self.blocks = nn.ModuleList([mlp(past, width, width, past + ahead) for _ in range(blocks)])

    def forward(self, past):
        scale = past.mean(1, keepdim=True)
        rest, future = past / scale - 1, 0
        for block in self.blocks:
            out = block(rest)
            rest, future = rest - out[:, : self.past], future + out[:, self.past :]
        return (future + 1) * scale


class DLinear(nn.Module):
    """Trend by a moving average, the rest, and a linear map for each."""

    def __init__(self, past, ahead, kernel=13):
        super().__init__()
        self.average = nn.AvgPool1d(kernel, 1)
        self.half = kernel // 2
        self.trend, self.season = nn.Linear(past, ahead), nn.Linear(past, ahead)
        nn.init.constant_(self.trend.weight, 1 / past)
        nn.init.constant_(self.season.weight, 1 / past)

    def forward(self, x):
        x = x.transpose(1, 2)
        trend = self.average(F.pad(x, (self.half, self.half), mode="replicate"))
        return (self.trend(trend) + self.season(x - trend)).transpose(1, 2)


class Reservoir(nn.Module):
    """A recurrent net that is left as it was drawn, and a readout that learns."""

    def __init__(self, units, radius=0.8):
        super().__init__()
        inner = torch.randn(units, units) / units**0.5
        self.register_buffer("inner", radius * inner)
        self.register_buffer("outer", torch.rand(units) - 0.5)
        self.register_buffer("shift", torch.rand(units) - 0.5)
        self.readout = nn.Linear(units, 1)

    def forward(self, u):
        h, seen = u.new_zeros(len(u), len(self.inner)), []
        for t in range(u.shape[1]):
            h = torch.tanh(h @ self.inner.T + u[:, t] * self.outer + self.shift)
            seen.append(h)
        return self.readout(torch.stack(seen, 1)).squeeze(2)


# ratings and lists


class BiasedMF(nn.Module):
    def __init__(self, users, items, rank, mean):
        super().__init__()
        self.p, self.q = nn.Embedding(users, rank), nn.Embedding(items, rank)
        self.bu, self.bi = nn.Embedding(users, 1), nn.Embedding(items, 1)
        self.register_buffer("mean", torch.tensor(float(mean)))
        for table in (self.p, self.q):
            nn.init.normal_(table.weight, std=0.1)
        for table in (self.bu, self.bi):
            nn.init.zeros_(table.weight)

    def forward(self, user, item):
        bias = self.bu(user).squeeze(1) + self.bi(item).squeeze(1)
        return self.mean + bias + (self.p(user) * self.q(item)).sum(1)


class Factors(nn.Module):
    def __init__(self, users, items, rank):
        super().__init__()
        self.user, self.item = nn.Embedding(users, rank), nn.Embedding(items, rank)
        nn.init.normal_(self.user.weight, std=0.05)
        nn.init.normal_(self.item.weight, std=0.05)

    def forward(self, user, item):
        return (self.user(user) * self.item(item)).sum(-1)

    def everything(self):
        return self.user.weight @ self.item.weight.T


class MultDAE(nn.Module):
    def __init__(self, items, width, drop=0.5):
        super().__init__()
        self.drop = nn.Dropout(drop)
        self.encode, self.decode = nn.Linear(items, width), nn.Linear(width, items)

    def forward(self, x):
        return self.decode(torch.tanh(self.encode(self.drop(F.normalize(x)))))


class GRU4Rec(nn.Module):
    def __init__(self, items, width):
        super().__init__()
        self.embed = nn.Embedding(items, width, padding_idx=0)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.out = nn.Linear(width, items)

    def forward(self, x):
        return self.out(self.gru(self.embed(x))[0]).transpose(1, 2)


class Scorer(nn.Module):
    def __init__(self, features, width, act=nn.ReLU):
        super().__init__()
        self.body = mlp(features, width, width // 2, 1, act=act)

    def forward(self, x):
        return self.body(x).squeeze(-1)


class TwoTowers(nn.Module):
    def __init__(self, words, width):
        super().__init__()
        self.ask, self.tell = mlp(words, 64, width), mlp(words, 64, width)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, left, right):
        a, b = F.normalize(self.ask(left), dim=1), F.normalize(self.tell(right), dim=1)
        return self.log_scale.exp() * a @ b.T


# graphs


def smooth(adjacency):
    """D^-1/2 (A + I) D^-1/2."""
    a = adjacency + torch.eye(adjacency.shape[-1])
    d = a.sum(-1).rsqrt()
    return d[..., None] * a * d[..., None, :]


class GCN(nn.Module):
    def __init__(self, features, width, classes, drop=0.5):
        super().__init__()
        self.one, self.two = nn.Linear(features, width), nn.Linear(width, classes)
        self.drop = nn.Dropout(drop)

    def forward(self, x, adjacency):
        a = smooth(adjacency)
        h = F.relu(a @ self.one(self.drop(x)))
        return a @ self.two(self.drop(h))


class GIN(nn.Module):
    """Sum over neighbours and an MLP, three times; sums of every layer decide."""

    def __init__(self, width, classes, depth=3):
        super().__init__()
        self.eps = nn.Parameter(torch.zeros(depth))
        widths = [1] + [width] * depth
        self.layers = nn.ModuleList(
            [mlp(a, width, width) for a in widths[:-1]],
        )
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(depth)])
        self.head = mlp(width * depth, width, classes, drop=0.2)

    def forward(self, adjacency, there):
        h, read = there[..., None], []
        for i, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            h = F.relu(norm(layer((1 + self.eps[i]) * h + adjacency @ h))) * there[..., None]
            read.append(h.sum(1) / 10)
        return self.head(torch.cat(read, 1))


class MPNN(nn.Module):
    """Messages by both atoms and the bond, added up; the property is a sum over atoms."""

    def __init__(self, atoms, bonds, width, rounds=2):
        super().__init__()
        self.atom, self.bond = nn.Embedding(atoms, width), nn.Embedding(bonds, width)
        self.message = nn.ModuleList([mlp(3 * width, width, width) for _ in range(rounds)])
        self.update = nn.ModuleList([nn.GRUCell(width, width) for _ in range(rounds)])
        self.read = mlp(width, width, 1)

    def forward(self, atoms, bonds):
        h, e = self.atom(atoms), self.bond(bonds)
        n, k, d = h.shape
        for message, update in zip(self.message, self.update, strict=True):
            pair = torch.cat([h[:, :, None].expand(-1, -1, k, -1), h[:, None].expand_as(e), e], 3)
            told = (message(pair) * (bonds > 0)[..., None]).sum(2)
            h = update(told.reshape(-1, d), h.reshape(-1, d)).reshape(n, k, d)
        return (self.read(h).squeeze(2) * (atoms > 0)).sum(1)


class GAE(nn.Module):
    """A free vector per node, two graph convolutions, links by dot products."""

    def __init__(self, nodes, width, out, adjacency):
        super().__init__()
        self.register_buffer("near", smooth(adjacency))
        self.free = nn.Parameter(torch.randn(nodes, width) / width**0.5)
        self.one, self.two = nn.Linear(width, width), nn.Linear(width, out)

    def forward(self, pairs):
        h = self.near @ self.two(F.relu(self.near @ self.one(self.free)))
        return (h[pairs[:, 0]] * h[pairs[:, 1]]).sum(1)


# odd ones


class LoRA(nn.Module):
    """A frozen linear layer and a small product beside it, which begins at 0."""

    def __init__(self, base, rank, alpha=8.0):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.a.T) @ self.b.T


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.factor * gradient, None


class Adversarial(nn.Module):
    """Features that tell the label and, by a reversed gradient, not the place."""

    def __init__(self, features, width=48, factor=0.3):
        super().__init__()
        self.factor = factor
        self.trunk = nn.Sequential(mlp(features, width, width), nn.ReLU())
        self.label, self.place = nn.Linear(width, 2), mlp(width, 24, 2)

    def forward(self, x):
        h = self.trunk(x)
        return self.label(h), self.place(Reverse.apply(h, self.factor))


class SignSTE(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() <= 1)


class BinaryCode(nn.Module):
    """A code of signs between encoder and classifier (straight-through)."""

    def __init__(self, features, bits, classes, width=96):
        super().__init__()
        self.encoder = nn.Sequential(mlp(features, width, bits), nn.BatchNorm1d(bits))
        self.classify = nn.Linear(bits, classes)

    def forward(self, x):
        return self.classify(SignSTE.apply(self.encoder(x)))
