"""The architectures of the bank, small."""

import torch
from torch import Tensor, nn


def mlp(
    *sizes: int,
    act: type[nn.Module] | None = nn.ReLU,
    drop: float = 0.0,
    norm: type[nn.Module] | None = None,
) -> nn.Sequential:
    """Flatten, then linear layers of these sizes, all but the last with norm, `act`, dropout."""
    layers: list[nn.Module] = [nn.Flatten()]
    for i, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)):
        layers.append(nn.Linear(a, b))
        if i < len(sizes) - 2:
            layers += [norm(b)] if norm else []
            layers += [act()] if act else []
            layers += [nn.Dropout(drop)] if drop else []
    return nn.Sequential(*layers)


def conv_block(a: int, b: int, norm: str | None = "batch", act: type[nn.Module] = nn.ReLU):
    """Convolution 3 x 3, norm ("batch", "group" or none), nonlinearity."""
    norms = {"batch": lambda: [nn.BatchNorm2d(b)], "group": lambda: [nn.GroupNorm(4, b)]}
    made = norms[norm]() if norm else []
    return [nn.Conv2d(a, b, 3, padding=1, bias=not made), *made, act()]


def conv_net(
    classes: int = 10, width: int = 12, norm: str | None = None, drop: float = 0.0, inputs: int = 1
) -> nn.Sequential:
    """Two convolutions with pooling, then a linear layer over the average of each channel."""
    return nn.Sequential(
        *conv_block(inputs, width, norm),
        nn.MaxPool2d(2),
        *conv_block(width, 2 * width, norm),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        *([nn.Dropout(drop)] if drop else []),
        nn.Linear(8 * width, classes),
    )


def depthwise_net(classes: int, width: int, norm: str = "batch") -> nn.Sequential:
    """Depthwise and pointwise convolutions in turn."""

    def separable(a: int, b: int) -> list[nn.Module]:
        depthwise = nn.Conv2d(a, a, 3, padding=1, groups=a, bias=False)
        made = nn.BatchNorm2d(b) if norm == "batch" else nn.GroupNorm(4, b)
        return [depthwise, nn.Conv2d(a, b, 1, bias=False), made, nn.ReLU6()]

    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        *separable(width, 2 * width),
        nn.MaxPool2d(2),
        *separable(2 * width, 2 * width),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * width, classes),
    )


class Around(nn.Module):
    """x + body(x)."""

    def __init__(self, *body: nn.Module):
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def deep_mlp(inputs: int, width: int, depth: int, outputs: int, skips: bool) -> nn.Sequential:
    """`depth` hidden layers of He's initialisation, plain or in residual pairs (last one zero)."""
    first = [nn.Flatten(), nn.Linear(inputs, width), nn.ReLU()]
    layers: list[nn.Module] = []
    for _ in range(depth // 2):
        pair = [nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)]
        for linear in pair[::2]:
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
        if skips:
            nn.init.zeros_(pair[2].weight)
        layers += [Around(*pair)] if skips else [*pair, nn.ReLU()]
    return nn.Sequential(*first, *layers, nn.Linear(width, outputs))


def deep_conv(classes: int, width: int, blocks: int, skips: bool, norm: str | None = None):
    """A stem, `blocks` pairs of convolutions with or without skips, pooling, a linear layer."""
    body: list[nn.Module] = []
    for _ in range(blocks):
        pair = [*conv_block(width, width, norm), *conv_block(width, width, norm)]
        if skips:
            pair = pair[:-1]  # the sum comes after the last convolution
            if norm is None:
                nn.init.zeros_(pair[-1].weight)
        body += [Around(*pair), nn.ReLU()] if skips else pair
    return nn.Sequential(
        *conv_block(1, width, norm),
        *body,
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * width, classes),
    )


class Recurrent(nn.Module):
    """GRU or LSTM over (examples, times, features) or word numbers; a linear layer at its end."""

    def __init__(
        self, inputs: int, width: int, outputs: int, cell: type = nn.GRU, words: bool = False
    ):
        super().__init__()
        self.embed = nn.Embedding(inputs, width, padding_idx=0) if words else nn.Identity()
        self.body = cell(width if words else inputs, width, batch_first=True)
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.body(self.embed(x))
        return self.head(out[:, -1])


class Transformer(nn.Module):
    """An encoder over word numbers (`words`) or signals; classes from the mean of its places.

    With `each` the classes of every place, (examples, classes, places).
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        width: int = 16,
        layers: int = 1,
        drop: float = 0.0,
        words: bool = True,
        each: bool = False,
        batch_first: bool = True,
    ):
        super().__init__()
        self.words, self.each = words, each
        self.embed = nn.Embedding(inputs, width) if words else nn.Linear(inputs, width)
        self.places = nn.Parameter(0.1 * torch.randn(24, width))
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, drop, batch_first=batch_first)
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(self.embed(x) + self.places[: x.shape[1]])
        if self.each:
            return self.head(out).movedim(-1, 1)
        if not self.words:
            return self.head(out.mean(1))
        kept = (x != 0).unsqueeze(-1)
        return self.head((out * kept).sum(1) / kept.sum(1).clamp(min=1))


class UNet(nn.Module):
    """Down once, up once, with the skip between; one logit a pixel."""

    def __init__(self, width: int = 8, norm: str | None = "batch", classes: int = 1):
        super().__init__()
        self.down = nn.Sequential(*conv_block(1, width, norm))
        self.low = nn.Sequential(nn.MaxPool2d(2), *conv_block(width, 2 * width, norm))
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.out = nn.Sequential(*conv_block(2 * width, width, norm), nn.Conv2d(width, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        high = self.down(x)
        return self.out(torch.cat([high, self.up(self.low(high))], 1))
