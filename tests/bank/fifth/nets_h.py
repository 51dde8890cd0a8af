"""Models: small convolutional, recurrent, attention and graph nets."""

import torch
from torch import nn
from torch.nn.functional import normalize


class FlatNet(nn.Module):
    """One convolution or two, flattened, with a hidden layer."""

    def __init__(self, side, outputs, width=8, hidden=48, drop=0.0, act=nn.ReLU, last=None):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.act, self.pool, self.drop = act(), nn.MaxPool2d(2), nn.Dropout(drop)
        self.fc1 = nn.Linear(width * (side // 2) ** 2, hidden)
        self.fc2 = nn.Linear(hidden, outputs)
        self.last = last

    def forward(self, x):
        x = self.act(self.conv1(x))
        x = self.pool(self.act(self.conv2(x)))
        x = self.act(self.fc1(self.drop(x.flatten(1))))
        x = self.fc2(self.drop(x))
        return self.last(x) if self.last else x


class PlainStack(nn.Module):
    """Many equal convolutions, one after the other."""

    def __init__(self, depth, outputs, width=10):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, stride=2, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.head = nn.Linear(width * 16, outputs)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        for conv in self.body:
            x = torch.relu(conv(x))
        return self.head(x.flatten(1))


class ListedNet(nn.Module):
    """A stack of blocks; as a plain list they are no submodules."""

    def __init__(self, outputs, registered, width=16, depth=3):
        super().__init__()
        blocks = [nn.Conv1d(1 if i == 0 else width, width, 5, 2, 2) for i in range(depth)]
        self.blocks = nn.ModuleList(blocks) if registered else blocks
        self.head = nn.Linear(width, outputs)

    def forward(self, x):
        for block in self.blocks:
            x = torch.relu(block(x))
        return self.head(x.mean(-1))


class WaveNet(nn.Module):
    """Convolutions over time, the largest answer, a linear head."""

    def __init__(self, outputs, width=12, kernel=7):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(1, width, kernel, padding=kernel // 2),
            nn.ReLU(),
            nn.Conv1d(width, width, kernel, padding=kernel // 2),
            nn.ReLU(),
            nn.AdaptiveMaxPool1d(1),
            nn.Flatten(),
            nn.Linear(width, outputs),
        )

    def forward(self, x):
        return self.net(x)


class PooledBN(nn.Module):
    """Convolutions, then a normalised hidden layer."""

    def __init__(self, outputs, width=16):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        )  # fmt: skip
        self.norm1 = nn.BatchNorm1d(4 * width)
        self.fc1 = nn.Linear(4 * width, 48)
        self.norm2 = nn.BatchNorm1d(48)
        self.fc2 = nn.Linear(48, outputs)

    def forward(self, x):
        x = self.norm1(self.conv(x).flatten(1))
        return self.fc2(torch.relu(self.norm2(self.fc1(x))))


class Segmenter(nn.Module):
    """Down once, up once, with a connection across."""

    def __init__(self, width=8):
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU())
        self.down = nn.Sequential(
            nn.MaxPool2d(2), nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.out = nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, x):
        fine = self.enter(x)
        return self.out(torch.cat([fine, torch.relu(self.up(self.down(fine)))], 1))


class Attentive(nn.Module):
    """Embeddings, places, one layer of an encoder, and what it says at the first place."""

    def __init__(self, words, length, outputs, batch_first=True, width=24, drop=0.0):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Parameter(torch.randn(length, width) * 0.5)
        self.layer = nn.TransformerEncoderLayer(width, 4, 48, drop, batch_first=batch_first)
        self.head = nn.Linear(width, outputs)

    def forward(self, tokens):
        return self.head(self.layer(self.words(tokens) + self.places)[:, 0])


class Reader(nn.Module):
    """Embeddings and an LSTM, the state after the last true word (or at the very end)."""

    def __init__(self, words, outputs, width=24, drop=0.0, at_end=False):
        super().__init__()
        self.at_end = at_end
        self.words = nn.Embedding(words, width, padding_idx=0)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(width, outputs)

    def forward(self, tokens):
        lengths = (tokens != 0).sum(1) if not self.at_end else tokens.shape[1]
        states, _ = self.lstm(self.drop(self.words(tokens)))
        return self.head(self.drop(states[torch.arange(len(tokens)), lengths - 1]))


class BagOfWords(nn.Module):
    def __init__(self, words, outputs, width=24, hidden=32):
        super().__init__()
        self.bag = nn.EmbeddingBag(words, width, mode="sum")
        self.net = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, outputs))

    def forward(self, tokens):
        return self.net(self.bag(tokens))


class Tagger(nn.Module):
    """A recurrent net in both directions and an answer a word: (batch, tags, time)."""

    def __init__(self, words, tags, width=20):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.rnn = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, tags)

    def forward(self, tokens):
        return self.head(self.rnn(self.words(tokens))[0]).transpose(1, 2)


class WindowTagger(nn.Module):
    """Each word is tagged after its neighbours."""

    def __init__(self, words, tags, width=32):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.window = nn.Conv1d(width, 24, 3, padding=1)
        self.head = nn.Conv1d(24, tags, 1)

    def forward(self, tokens):
        return self.head(torch.relu(self.window(self.words(tokens).transpose(1, 2))))


class CosineNet(nn.Module):
    """Logits are cosines to a direction of each class, times a scale."""

    def __init__(self, inputs, outputs, width=32, scale=64.0):
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, width)
        )
        self.centres = nn.Parameter(torch.randn(outputs, width))
        self.scale = scale

    def forward(self, x):
        return self.scale * normalize(self.body(x)) @ normalize(self.centres).T


class OwnRecurrence(nn.Module):
    """A hand-written loop over time."""

    def __init__(self, words, outputs, width=32, cut=False):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.cell = nn.GRUCell(width, width)
        self.head = nn.Linear(width, outputs)
        self.width, self.cut = width, cut

    def forward(self, tokens):
        state = torch.zeros(len(tokens), self.width)
        for word in self.words(tokens).unbind(1):
            state = self.cell(word, state.detach() if self.cut else state)
        return self.head(state)


class Forecaster(nn.Module):
    """A GRU over the past; the last state tells the future."""

    def __init__(self, features, ahead, width=24, last=None):
        super().__init__()
        self.gru = nn.GRU(features, width, batch_first=True)
        self.head = nn.Linear(width, ahead)
        self.last = last or nn.Identity()

    def forward(self, x):
        return self.last(self.head(self.gru(x)[0][:, -1]))


class GraphConv(nn.Module):
    """Neighbours are averaged, then weighted; beside them the node itself."""

    def __init__(self, inputs, outputs, zero=False):
        super().__init__()
        made = torch.zeros(2 * inputs, outputs)
        self.weight = nn.Parameter(made if zero else nn.init.xavier_uniform_(made))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x, edges):
        around = edges @ x / edges.sum(2, keepdim=True).clamp(min=1)
        return torch.cat([x, around], 2) @ self.weight + self.bias


class GraphNet(nn.Module):
    """Three graph convolutions and the sum over the nodes."""

    def __init__(self, inputs, outputs, width=24, zero=False):
        super().__init__()
        self.one = GraphConv(inputs, width, zero)
        self.two = GraphConv(width, width, zero)
        self.three = GraphConv(width, width, zero)
        self.head = nn.Linear(width, outputs)

    def forward(self, inputs):
        x, edges, mask = inputs
        for layer in (self.one, self.two, self.three):
            x = torch.relu(layer(x, edges))
        x = x * mask[..., None]
        return self.head(x.sum(1) / mask.sum(1, keepdim=True))


class Siamese(nn.Module):
    """Both pictures through one net; the distance decides."""

    def __init__(self, width=32):
        super().__init__()
        self.tower = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, width), nn.ReLU()
        )
        self.head = nn.Linear(width, 1)

    def forward(self, first, second):
        return self.head((self.tower(first) - self.tower(second)).abs()).squeeze(1)
