"""Data of the runs ending in _n: each function gives the training and the held-out tensors."""

import math

import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer, load_digits
from torch import Tensor


def parted(train: int, *tensors: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The rows in a random order: the first `train` for training, the others held out."""
    order = torch.randperm(len(tensors[0]))
    return [t[order[:train]] for t in tensors], [t[order[train:]] for t in tensors]


def standard(values: Tensor) -> Tensor:
    return (values - values.mean(0)) / values.std(0)


def numerals(train: int = 1200):
    """Scanned digits of 8 x 8, from 0 to 1."""
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    return parted(train, images, torch.tensor(data.target))


def tumours(train: int = 400):
    """The breast cancer table, standardised."""
    data = load_breast_cancer()
    return parted(
        train, standard(torch.tensor(data.data, dtype=torch.float32)), torch.tensor(data.target)
    )


def customers(rows: int = 2400, scaled: bool = True):
    """Who cancels a contract: columns in years, euros, shares and seconds."""
    z = torch.randn(rows, 6)
    score = 1.6 * z[:, 0] * z[:, 3] + 1.2 * z[:, 1] * z[:, 2] + 0.6 * (z[:, 4].abs() - 0.8)
    left = (score + 0.2 * torch.randn(rows) > 0).long()
    if not scaled:
        means = torch.tensor([44.0, 52_000.0, 0.12, 3.1, 8200.0, 0.5])
        z = means + z * torch.tensor([13.0, 17_000.0, 0.04, 0.9, 2600.0, 0.2])
    return parted(rows // 2, z, left)


def profits(rows: int = 2000, scaled: bool = True):
    """What a shop earns or loses in a day, in euros."""
    x = torch.randn(rows, 7)
    y = x[:, 0] + torch.sin(2 * x[:, 1]) + 0.7 * x[:, 2] * x[:, 3] + 0.1 * torch.randn(rows)
    return parted(rows // 2, x, y[:, None] * (1.0 if scaled else 640.0))


def mixtures(rows: int = 1600):
    """The strength of a material by its recipe; targets of shape (N,)."""
    x = torch.rand(rows, 5) * 2 - 1
    y = 1.5 * x[:, 0] - x[:, 1] + 1.2 * x[:, 2] ** 2 + x[:, 3] * x[:, 4]
    return parted(rows // 2, x, standard(y + 0.1 * torch.randn(rows)))


def beats(rows: int = 1600, length: int = 64, noise: float = 0.4):
    """Signals of one channel with one of five shapes somewhere in them."""
    time = torch.arange(length)[None]
    place = torch.randint(16, length - 16, (rows, 1))
    kind = torch.randint(5, (rows,))
    away = (time - place) / 5.0
    bell = torch.exp(-(away**2))
    shapes = [
        bell,
        -2.3 * away * bell,
        (1 - 2 * away**2) * bell * 1.3,
        (away.abs() < 1).float(),
        torch.sin(6 * away) * torch.exp(-(away**2) / 2),
    ]
    signal = torch.stack(shapes)[kind, torch.arange(rows)] * 1.5
    return parted(rows // 2, (signal + noise * torch.randn(rows, length))[:, None], kind)


def gestures(rows: int = 1600, length: int = 14, noise: float = 0.8):
    """Accelerations in three directions; four movements differ by the order of their parts."""
    phase = torch.linspace(0, 2 * math.pi, length)
    kind = torch.randint(4, (rows,))
    turn = torch.where(kind % 2 == 0, 1.0, -1.0)[:, None]
    speed = torch.where(kind < 2, 1.0, 2.0)[:, None]
    start = 2 * math.pi * torch.rand(rows, 1)
    angle = start + turn * speed * phase
    path = torch.stack([angle.cos(), angle.sin(), 0.5 * torch.randn(rows, length)], 2)
    return parted(rows // 2, path + noise * torch.randn_like(path), kind)


def cells(rows: int = 400, side: int = 24, noise: float = 0.5):
    """Microscope pictures with round cells, and which pixels are in one."""
    grid = torch.arange(side).float()
    mask = torch.zeros(rows, side, side)
    for _ in range(3):
        cx, cy = (torch.rand(2, rows, 1, 1) * (side - 8) + 4).unbind()
        radius = torch.rand(rows, 1, 1) * 2 + 2
        inside = (grid[None, :, None] - cx) ** 2 + (grid[None, None] - cy) ** 2 < radius**2
        mask = torch.maximum(mask, inside.float())
    light = torch.rand(rows, 1, 1) * 0.6
    image = light + mask + noise * torch.randn(rows, side, side)
    return parted(rows // 2, image[:, None], mask[:, None])


def ratings(rows: int = 9000, users: int = 80, items: int = 60, rank: int = 4):
    """How users rate items: (user, item, rating)."""
    taste, trait = torch.randn(users, rank), torch.randn(items, rank)
    user, item = torch.randint(users, (rows,)), torch.randint(items, (rows,))
    score = (taste[user] * trait[item]).sum(1) / rank**0.5 + 0.2 * torch.randn(rows)
    return parted(rows - 1500, user, item, standard(score))


def posts(rows: int = 1600, length: int = 30, topics: int = 4, telling: int = 4, words: int = 200):
    """Posts of padded word numbers (0 is padding), and their topics; frequent words tell nothing.

    Words 1 to 19 are the frequent ones, each topic has its own share of the others.
    """
    topic = torch.randint(topics, (rows,))
    text = torch.randint(1, 20, (rows, length))
    share = (words - 20) // topics
    for _ in range(telling):
        own = 20 + topic * share + torch.randint(share, (rows,))
        text[torch.arange(rows), torch.randint(length // 3, (rows,))] = own
    sizes = torch.randint(length // 2, length + 1, (rows,))
    text[torch.arange(length)[None] >= sizes[:, None]] = 0
    return parted(rows // 2, text, sizes, topic)


def opinions(rows: int = 1600, length: int = 120, words: int = 300):
    """Long reviews, and whether they praise: praise and blame differ by how often words occur."""
    praise = torch.rand(rows) < 0.5
    common = torch.rand(words) + 0.1
    tilt = torch.randn(words).mul(0.5).exp()
    frequency = torch.where(praise[:, None], common * tilt, common / tilt)
    return parted(rows // 2, torch.multinomial(frequency, length, True), praise.float())


def first_bell(rows: int = 2000, length: int = 12):
    """Which of the symbols 1 to 3 came first, in a stream of other symbols that come later too."""
    stream = torch.randint(4, 9, (rows, length))
    answer = torch.randint(3, (rows,))
    where = torch.randint(0, 3, (rows,))
    stream[torch.arange(rows), where] = answer + 1
    later = torch.rand(rows, length) < 0.25
    later &= torch.arange(length)[None] > where[:, None]
    stream = torch.where(later, torch.randint(1, 4, (rows, length)), stream)
    return parted(rows // 2, stream, answer)


def payments(rows: int = 6000, share: float = 0.03):
    """Payments, few of which are fraud."""
    fraud = torch.rand(rows) < share
    x = torch.randn(rows, 10)
    x[:, :4] += 1.1 * fraud[:, None]
    x[:, 4] = torch.where(fraud, x[:, 4].abs() * 1.5, x[:, 4])
    return parted(rows // 2, x, fraud.float()[:, None])


def calls(rows: int = 4000, length: int = 16):
    """Words of calls to an office: mostly general questions, seldom one of three matters."""
    matter = torch.multinomial(torch.tensor([0.88, 0.05, 0.04, 0.03]), rows, True)
    words = torch.randint(1, 60, (rows, length))
    hints = 60 + matter[:, None] * 8 + torch.randint(8, (rows, length))
    stray = 60 + torch.randint(32, (rows, length))
    words = torch.where(torch.rand(rows, length) < 0.35, stray, words)
    return parted(rows // 2, torch.where(torch.rand(rows, length) < 0.14, hints, words), matter)


def consumption(rows: int = 1400, window: int = 24):
    """A house's use of power in the hours before, and in the next one."""
    hours = torch.arange(rows + window).float()
    use = torch.sin(hours * 2 * math.pi / 24) + 0.5 * torch.sin(hours * 2 * math.pi / 9.3)
    use = use + 0.15 * torch.randn_like(hours)
    windows = use.unfold(0, window + 1, 1)[:rows]
    return parted(rows // 2, windows[:, :window, None], windows[:, window:])


def antenna(rows: int = 1600):
    """The gain of an antenna by angle and height: several lobes."""
    x = torch.rand(rows, 2) * 2 - 1
    gain = torch.sin(5 * x[:, 0]) + torch.cos(4 * x[:, 1] + 2 * x[:, 0])
    return parted(rows // 2, x, standard(gain[:, None] + 0.1 * torch.randn(rows, 1)))


def spectra(rows: int = 1600, bands: int = 60):
    """Spectra of three minerals: two soft lines each, with noise."""
    band = torch.arange(bands)[None, None]
    centres = torch.tensor([[12.0, 40.0], [18.0, 40.0], [12.0, 46.0]])
    kind = torch.randint(3, (rows,))
    lines = torch.exp(-(((band - centres[kind][..., None]) / 4) ** 2)).sum(1)
    return parted(rows // 2, lines + 0.5 * torch.randn(rows, bands), kind)


def slopes(rows: int = 2000):
    """How far a slope slides, by its shape and soil: the target is an amount."""
    x = torch.randn(rows, 8)
    y = x[:, 0].abs() * 1.5 + x[:, 1] - 0.8 * F.relu(x[:, 2] + x[:, 3]) + 0.5 * x[:, 4] * x[:, 5]
    return parted(rows // 2, x, standard(y + 0.1 * torch.randn(rows))[:, None])


def textures(rows: int = 1200, side: int = 12):
    """Pictures with stripes in one of four directions."""
    kind = torch.randint(4, (rows,))
    angle = kind * math.pi / 4 + 0.2 * torch.randn(rows)
    grid = torch.arange(side).float()
    along = (
        angle.cos()[:, None, None] * grid[None, :, None]
        + angle.sin()[:, None, None] * grid[None, None]
    )
    image = torch.sin(1.6 * along + 6.28 * torch.rand(rows, 1, 1))
    return parted(rows // 2, (image + 0.6 * torch.randn_like(image))[:, None], kind)
