"""Data of part D, all made here: pairs (train, test) of tuples of tensors.

What is random comes from torch's global generator, which the registry seeds around each builder.
"""

import math

import torch
from torch import Tensor

Task = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


def halves(*tensors: Tensor, test: int = 300) -> Task:
    """The examples in random order, the last `test` of them apart."""
    order = torch.randperm(len(tensors[0]))
    return tuple(t[order[:-test]] for t in tensors), tuple(t[order[-test:]] for t in tensors)


def scaled(values: Tensor) -> Tensor:
    return (values - values.mean(0)) / values.std(0)


def spirals(arms: int = 3, examples: int = 1200, turn: float = 0.6) -> Task:
    """Arms of a spiral in the plane."""
    arm, along = torch.arange(examples) % arms, torch.rand(examples)
    angle = 2 * math.pi * (arm / arms + turn * along) + 0.15 * torch.randn(examples)
    radius = 0.3 + 2 * along
    return halves(torch.stack([radius * angle.cos(), radius * angle.sin()], 1), arm)


FORMS = (".x. xxx .x.", "xxx x.x xxx", "x.x .x. x.x", "x.. x.. xxx", "xxx .x. .x.")


def glyphs(examples: int = 1800, size: int = 12) -> Task:
    """Five signs of 6 x 6 pixels somewhere in a noisy image: (examples, 1, size, size)."""
    forms = torch.tensor([[[c == "x" for c in row] for row in f.split()] for f in FORMS]).float()
    signs = forms.repeat_interleave(2, 1).repeat_interleave(2, 2)
    label, images = torch.arange(examples) % len(FORMS), 0.25 * torch.randn(examples, 1, size, size)
    for image, sign in zip(images, signs[label], strict=True):
        row, column = torch.randint(0, size - 5, (2,)).tolist()
        image[0, row : row + 6, column : column + 6] += (0.7 + 0.6 * torch.rand(())) * sign
    return halves(images, label)


def gratings(examples: int = 1000, size: int = 14, angles: int = 4) -> Task:
    """Coloured stripes of any phase in `angles` directions: (examples, 3, size, size)."""
    label = torch.arange(examples) % angles
    angle = math.pi * label / angles + 0.1 * torch.randn(examples)
    place = torch.arange(size) - size / 2
    across = angle.cos()[:, None, None] * place[:, None] + angle.sin()[:, None, None] * place
    pace, phase = 0.9 + 0.6 * torch.rand(examples, 1, 1), 6.3 * torch.rand(examples, 1, 1)
    colour = 0.5 + torch.rand(examples, 3, 1, 1)
    images = colour * torch.sin(pace * across + phase)[:, None]
    return halves(images + 0.5 * torch.randn_like(images), label)


def names(examples: int = 1500, languages: int = 4, letters: int = 16, length: int = 12) -> Task:
    """Words whose letters follow each other by the habits of one of several languages."""
    follow = (2.0 * torch.randn(languages, letters, letters)).softmax(-1)
    label = torch.arange(examples) % languages
    word = [torch.randint(0, letters, (examples,))]
    for _ in range(length - 1):
        word.append(torch.multinomial(follow[label, word[-1]], 1)[:, 0])
    return halves(torch.stack(word, 1), label)


def reviews(examples: int = 1500, length: int = 10) -> Task:
    """Good words 1 to 8, bad ones 9 to 16, 17 turns the next one round, the others say nothing."""
    text = torch.randint(18, 36, (examples, length))
    text = torch.where(torch.rand(examples, length) < 0.45, torch.randint(1, 17, text.shape), text)
    text[torch.rand(examples, length) < 0.2] = 17
    opinion = (text <= 8).float() - ((text > 8) & (text < 17)).float()
    turned = torch.nn.functional.pad(text[:, :-1] == 17, (1, 0))
    total = torch.where(turned, -opinion, opinion).sum(1)
    text, total = text[total != 0], total[total != 0]
    return halves(text, (total > 0).float())


def consumption(examples: int = 1200, hours: int = 20) -> Task:
    """Load and temperature of the last hours, and the next hour's load: a column."""
    start, speed = 24 * torch.rand(examples, 1), 0.2 + 0.3 * torch.rand(examples, 1)
    clock = start + torch.arange(hours + 1)
    warm = torch.sin(2 * math.pi * clock / 24) + 0.3 * torch.randn(examples, 1)
    load = warm.square() + torch.sin(speed * clock) + 0.1 * torch.randn(clock.shape)
    window = torch.stack([load, warm], 2)[:, :-1]
    return halves((window - window.mean()) / window.std(), scaled(load[:, -1:]))


def strength(examples: int = 1200) -> Task:
    """The strength of concrete by eight standardised columns: products, a bend, an optimum."""
    x = torch.randn(examples, 8)
    y = 1.5 * x[:, 0] * x[:, 1] + torch.relu(2 * x[:, 2]) - x[:, 3].square() + 0.7 * x[:, 4]
    return halves(x, scaled(y + torch.tanh(x[:, 5]) + 0.2 * torch.randn(examples))[:, None])


def ratings(users: int = 60, items: int = 50, rank: int = 4) -> Task:
    """Users, items, and what the ones think of the others, by `rank` tastes."""
    tastes, traits = torch.randn(users, rank), torch.randn(items, rank)
    who, what = torch.cartesian_prod(torch.arange(users), torch.arange(items)).T
    mark = (tastes[who] * traits[what]).sum(1) + 0.3 * torch.randn(len(who))
    return halves(who, what, scaled(mark), test=600)


def clouds(examples: int = 1200, points: int = 24) -> Task:
    """Points on a ball's, a box's or a tube's surface, or within a ball: (examples, points, 3)."""
    label = torch.arange(examples) % 4
    x = torch.randn(examples, points, 3)
    ball = x / x.norm(dim=2, keepdim=True)
    box = x.clamp(-1, 1) / x.abs().clamp(max=1).amax(2, keepdim=True)
    tube = torch.cat([x[..., :2] / x[..., :2].norm(dim=2, keepdim=True), box[..., 2:] * 1.5], 2)
    full = ball * torch.rand(examples, points, 1) ** (1 / 3)
    made = torch.stack([ball, box, tube, full], 1)[torch.arange(examples), label]
    return halves(made + 0.05 * torch.randn_like(made), label)


def scenes(examples: int = 500, size: int = 16) -> Task:
    """Which pixels belong to the bright rectangle (1), which to the striped one (2)."""
    row, column = torch.arange(size)[:, None], torch.arange(size)
    map_ = torch.zeros(examples, size, size, dtype=torch.long)
    for kind in (1, 2):
        a, b = torch.randint(0, size - 7, (2, examples, 1, 1))
        map_[(row >= a) & (row < a + 7) & (column >= b) & (column < b + 7)] = kind
    image = (map_ == 1) * 0.8 + (map_ == 2) * (row + column) % 2 * 1.6
    return halves((image + 0.4 * torch.randn(map_.shape))[:, None], map_, test=120)


def patients(examples: int = 1200, times: int = 24) -> Task:
    """A curve and six columns each; four kinds of patients: two by each of the inputs."""
    fast, ill = torch.randint(0, 2, (2, examples))
    pace = torch.tensor([0.3, 0.6])[fast][:, None] * (0.9 + 0.2 * torch.rand(examples, 1))
    curve = torch.sin(pace * torch.arange(times) + 6.3 * torch.rand(examples, 1))
    columns = torch.randn(examples, 6)
    columns[:, 1] = (2 * ill - 1) * columns[:, 0].sign() * columns[:, 1].abs()
    curve = curve + 0.3 * torch.randn(curve.shape)
    return halves(curve, columns, 2 * fast + ill)
