"""Data of letter a: pairs (train, test) of lists of tensors."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer, load_digits


def parted(*tensors, test=500):
    """Shuffled and cut in two."""
    order = torch.randperm(len(tensors[0]))
    return [t[order[test:]] for t in tensors], [t[order[:test]] for t in tensors]


def digits():
    data = load_digits()
    return parted(torch.tensor(data.images / 16).float()[:, None], torch.tensor(data.target))


def tumours():
    """Breast cancer, standardised."""
    data = load_breast_cancer()
    x = torch.tensor(data.data).float()
    return parted((x - x.mean(0)) / x.std(0), torch.tensor(data.target).long(), test=169)


def friedman(n=2000):
    """Friedman's first problem: five of ten inputs matter; standardised."""
    x = torch.rand(n + 500, 10)
    y = 10 * (math.pi * x[:, 0] * x[:, 1]).sin() + 20 * (x[:, 2] - 0.5) ** 2
    y = y + 10 * x[:, 3] + 5 * x[:, 4]
    return parted((x - 0.5) * 3.46, ((y - y.mean()) / y.std())[:, None])


def waves(n=1500, noise=0.4):
    """Sine, square, sawtooth and chirp, of any phase and frequency; the third is the frequency."""
    kind, freq = torch.randint(4, (n + 500,)), 2 + 3 * torch.rand(n + 500, 1)
    turn = freq * torch.linspace(0, 1, 64) + torch.rand(n + 500, 1)
    angle = 2 * math.pi * turn
    forms = [angle.sin(), angle.sin().sign(), 2 * (turn % 1) - 1, (angle * turn / 2).sin()]
    x = torch.stack(forms)[kind, torch.arange(n + 500)]
    return parted((x + noise * torch.randn_like(x))[:, None], kind, freq)


def tickets(n=1500, classes=6, share=0.25):
    """Twenty words each, a quarter from the twelve of the topic, the others Zipf's."""
    topic = torch.randint(classes, (n + 500,))
    common = torch.multinomial(1 / torch.arange(1.0, 201), (n + 500) * 20, True).view(-1, 20)
    theirs = 201 + 12 * topic[:, None] + torch.randint(12, common.shape)
    return parted(torch.where(torch.rand(common.shape) < share, theirs, common), topic)


def accounts(share, n=3000):
    """Eight columns; positive where a curved score is among the highest."""
    x = torch.randn(n + 1500, 8)
    score = x[:, 0] * x[:, 1] + x[:, 2].abs() + x[:, 3] - 0.5 * x[:, 4] ** 2
    y = score > score.quantile(1 - share)
    return parted(x, y[:, None].float(), test=1500)


def cells(n=300, size=20):
    """Noisy images with one to five bright discs; their masks; how many; the first one's box."""
    number = torch.randint(1, 6, (n + 200, 1))
    centre = 3 + (size - 6) * torch.rand(n + 200, 5, 2, 1, 1)
    radius = 1.4 + 0.8 * torch.rand(n + 200, 5, 1, 1)
    grid = torch.stack(torch.meshgrid(*[torch.arange(size)] * 2, indexing="ij")).float()
    inside = (grid - centre).square().sum(2).sqrt() < radius
    inside = inside & (torch.arange(5) < number)[..., None, None]
    mask = inside.any(1, keepdim=True).float()
    image = mask * (0.7 + 0.6 * torch.rand(n + 200, 1, 1, 1)) + 0.3 * torch.randn(mask.shape)
    box = torch.cat([centre[:, 0].flatten(1), radius[:, 0].flatten(1)], 1)
    return parted(image, mask, number.float(), box, inside[:, :1].float(), test=200)


WORDS = {"det": (1, 5), "adj": (5, 15), "noun": (15, 35), "verb": (35, 47), "prep": (47, 51)}


def sentence(rng):
    """Words, and tags: 1 begins the verb's object, 2 goes on with it, 0 is all else."""

    def phrase():
        return ["det", *["adj"] * rng.integers(3), "noun"]

    subject = phrase() + (["prep", *phrase()] if rng.random() < 0.4 else [])
    thing = phrase() if rng.random() < 0.7 else []
    place = ["prep", *phrase()] if rng.random() < 0.5 else []
    kinds = [*subject, "verb", *thing, *place]
    tags = [0] * (len(subject) + 1) + [1, *[2] * 5][: len(thing)] + [0] * len(place)
    return [int(rng.integers(*WORDS[k])) for k in kinds], tags


def sentences(n=1200):
    """Padded with 0, the tags with -100."""
    rng = np.random.default_rng(int(torch.randint(2**31, ())))
    made = [sentence(rng) for _ in range(n + 400)]
    longest = max(len(words) for words, _ in made)
    ids = torch.stack([F.pad(torch.tensor(w), (0, longest - len(w))) for w, _ in made])
    tags = torch.stack([F.pad(torch.tensor(t), (0, longest - len(t)), value=-100) for _, t in made])
    return parted(ids, tags, test=400)


def babble(rows=1200, length=32, letters=20):
    """A text whose next letter depends on the two before: mostly one of three."""
    rng = np.random.default_rng(int(torch.randint(2**31, ())))
    likely = rng.integers(letters, size=(letters, 4, 3))
    text = [0, 1]
    for choice in rng.choice(4, rows * length, p=[0.6, 0.25, 0.1, 0.05]):
        a, b = text[-2:]
        text.append(int(likely[b, a % 4, choice]) if choice < 3 else int(rng.integers(letters)))
    ids = torch.tensor(text[2:]).view(rows, length)
    return parted(ids[:, :-1], ids[:, 1:], test=200)
