"""Models of the runs ending in _n."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence


def dense(*widths: int, act=nn.ReLU, norm: bool = False, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers of these widths, and between them whatever is asked for."""
    layers: list[nn.Module] = []
    for number, (wide, after) in enumerate(zip(widths, widths[1:], strict=False)):
        layers.append(nn.Linear(wide, after))
        if number < len(widths) - 2:
            layers += [nn.BatchNorm1d(after)] if norm else []
            layers += [act()] if act else []
            layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers)


class DigitNet(nn.Module):
    """Two convolutions and a head, which may end with a softmax."""

    def __init__(self, softmax: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(64, 10)
        self.softmax = nn.Softmax(dim=1) if softmax else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        return self.softmax(self.fc(x.flatten(1)))


class Stacked(nn.Module):
    """A stem, blocks and a head; `tracked` keeps the blocks in a ModuleList."""

    def __init__(self, inputs: int, width: int, outputs: int, depth: int, tracked: bool):
        super().__init__()
        blocks = [nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(depth)]
        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(blocks) if tracked else blocks
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Deep(nn.Module):
    """Many equal layers, with a way around each or without."""

    def __init__(self, inputs: int, width: int, outputs: int, depth: int, skip: bool):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, outputs)
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.stem(x))
        for layer in self.layers:
            y = torch.relu(layer(x))
            x = x + 0.3 * y if self.skip else y
        return self.head(x)


class GestureNet(nn.Module):
    """A GRU over (time, batch, features), and a head on all of its outputs."""

    def __init__(self, features: int, width: int, length: int, kinds: int, mixed: bool):
        super().__init__()
        self.gru = nn.GRU(features, width)
        self.head = nn.Linear(width * length, kinds)
        self.mixed = mixed

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.gru(x.transpose(0, 1))
        if not self.mixed:
            out = out.transpose(0, 1)
        return self.head(out.reshape(len(x), -1))


class Segmenter(nn.Module):
    """An encoder, a decoder and one bridge between them."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU())
        self.deep = nn.Sequential(
            nn.MaxPool2d(2), nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU()
        )
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.out = nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        near = self.down(x)
        return self.out(torch.cat([near, self.up(self.deep(near))], 1))


class Recommender(nn.Module):
    """The product of two embeddings."""

    def __init__(self, users: int, items: int, rank: int):
        super().__init__()
        self.user = nn.Embedding(users, rank)
        self.item = nn.Embedding(items, rank)
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        return (self.user(user) * self.item(item)).sum(1)


class TopicNet(nn.Module):
    """The mean of a post's word vectors, padding left out."""

    def __init__(self, words: int, width: int, topics: int):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=0)
        self.head = dense(width, width, topics)

    def forward(self, text: Tensor, sizes: Tensor) -> Tensor:
        return self.head(self.embed(text).sum(1) / sizes[:, None])


class ReviewNet(nn.Module):
    """The sum of a review's word vectors, and one output; weights by `nn.init`, as it came."""

    def __init__(self, words: int, width: int):
        super().__init__()
        self.bag = nn.EmbeddingBag(words, width, mode="sum")
        self.head = nn.Linear(width, 1)
        nn.init.uniform_(self.bag.weight)
        nn.init.normal_(self.head.weight)

    def forward(self, text: Tensor) -> Tensor:
        return self.head(self.bag(text)).squeeze(1)


class StepByStep(nn.Module):
    """A GRU cell in a loop over the symbols of a stream."""

    def __init__(self, symbols: int, width: int, outputs: int, cut: bool):
        super().__init__()
        self.embed = nn.Embedding(symbols, width)
        self.cell = nn.GRUCell(width, width)
        self.head = nn.Linear(width, outputs)
        self.cut = cut

    def forward(self, stream: Tensor) -> Tensor:
        hidden = torch.zeros(len(stream), self.cell.hidden_size)
        for symbol in self.embed(stream).unbind(1):
            hidden = self.cell(symbol, hidden)
            if self.cut:
                hidden = hidden.detach()
        return self.head(hidden)


class PostReader(nn.Module):
    """A packed GRU over the words of a post."""

    def __init__(self, words: int, width: int, topics: int):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=0)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, topics)

    def forward(self, text: Tensor, sizes: Tensor) -> Tensor:
        packed = pack_padded_sequence(
            self.embed(text), sizes, batch_first=True, enforce_sorted=False
        )
        return self.head(self.gru(packed)[1][-1])


class Forecaster(nn.Module):
    """An LSTM's last output, brought to one number."""

    def __init__(self, width: int):
        super().__init__()
        self.lstm = nn.LSTM(1, width, batch_first=True)
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class CallNet(nn.Module):
    """Word vectors, a convolution over them and the largest of its answers."""

    def __init__(self, words: int, width: int, kinds: int):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.conv = nn.Conv1d(width, 2 * width, 1)
        self.head = nn.Linear(2 * width, kinds)

    def forward(self, text: Tensor) -> Tensor:
        found = torch.relu(self.conv(self.embed(text).transpose(1, 2)))
        return self.head(found.mean(2))


def beat_net(kinds: int, dropout: float = 0.0) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(1, 12, 7, padding=3),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(12, 24, 7, padding=3),
        nn.ReLU(),
        nn.AdaptiveMaxPool1d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(24, kinds),
    )


def plain_convolutions(kinds: int, std: float | None) -> nn.Sequential:
    """Five convolutions in a row; `std`: normally distributed weights, else He's."""
    layers: list[nn.Module] = []
    for before, after, stride in ((1, 12, 1), (12, 12, 2), (12, 16, 1), (16, 16, 2), (16, 16, 1)):
        layers += [nn.Conv2d(before, after, 3, stride, 1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, kinds))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            if std is None:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            else:
                nn.init.normal_(module.weight, 0.0, std)
            nn.init.zeros_(module.bias)
    return model
