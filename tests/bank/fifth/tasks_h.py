"""Tasks: small images, signals, token sequences and graphs, each a training and a test part."""

import torch
from sklearn.datasets import load_digits
from torch.nn.functional import one_hot

PAD, UNK = 0, 1


def parted(*tensors, share=0.7):
    """Shuffle the rows of all `tensors` alike and cut them in two."""
    order = torch.randperm(len(tensors[0]))
    cut = int(share * len(order))
    return tuple(t[order[:cut]] for t in tensors), tuple(t[order[cut:]] for t in tensors)


def scans():
    """Handwritten digits, (1, 8, 8) in [0, 1]."""
    bunch = load_digits()
    images = torch.tensor(bunch.images, dtype=torch.float32).unsqueeze(1) / 16
    return images, torch.tensor(bunch.target)


def grid(size):
    axis = torch.arange(size, dtype=torch.float32)
    return torch.meshgrid(axis, axis, indexing="ij")


def outlines(n=1200, size=16, noise=0.25):
    """Disks, squares, diamonds and crosses of any place, size and brightness."""
    rows, columns = grid(size)
    radius = 3 + 2 * torch.rand(n, 1, 1)
    y = (rows - 4.5 - (size - 9) * torch.rand(n, 1, 1)).abs() / radius
    x = (columns - 4.5 - (size - 9) * torch.rand(n, 1, 1)).abs() / radius
    big, small = torch.maximum(x, y), torch.minimum(x, y)
    forms = torch.stack([x.hypot(y) < 1, big < 0.9, x + y < 1.2, (small < 0.35) & (big < 1)], 1)
    kinds = torch.randint(4, (n,))
    images = forms[torch.arange(n), kinds].float() * (0.6 + 0.4 * torch.rand(n, 1, 1))
    return (images + noise * torch.randn(n, size, size)).unsqueeze(1), kinds


def lesions(n=320, size=20, noise=0.6):
    """Bright ellipses on a noisy ground, and their masks."""
    rows, columns = grid(size)
    axes = 2.5 + 3 * torch.rand(2, n, 1, 1)
    centre = 4 + (size - 8) * torch.rand(2, n, 1, 1)
    inside = ((rows - centre[0]) / axes[0]) ** 2 + ((columns - centre[1]) / axes[1]) ** 2 < 1
    mask = inside.float().unsqueeze(1)
    return mask + noise * torch.randn(n, 1, size, size), mask


def beacons(n=1200, size=14):
    """A soft spot of light each, and how far right it is, standardised."""
    rows, columns = grid(size)
    y, x = 2 + (size - 4) * torch.rand(2, n, 1, 1)
    images = torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 4)
    images = images + 0.15 * torch.randn(n, size, size)
    return images.unsqueeze(1), (x.flatten() - size / 2) / (size - 4) * 12**0.5


def reviews(n=1600, length=18, turning=0.4):
    """Words of praise and of blame, some turned round by a word before them; padded."""
    tokens = torch.randint(32, 72, (n, length))
    slots = torch.rand(n, length // 3) < 0.7
    praise = torch.rand(n, length // 3) < torch.where(torch.rand(n, 1) < 0.5, 0.25, 0.75)
    turned = torch.rand(n, length // 3) < turning
    words = torch.where(praise, 2, 12) + torch.randint(10, praise.shape)
    tokens[:, 1::3] = torch.where(slots, words, tokens[:, 1::3])
    turners = torch.randint(22, 24, turned.shape)
    tokens[:, 0::3] = torch.where(slots & turned, turners, tokens[:, 0::3])
    lengths = 3 * torch.randint(3, length // 3 + 1, (n,))
    there = torch.arange(length) < lengths[:, None]
    worth = torch.where(slots, torch.where(praise ^ turned, 1, -1), 0) * there[:, 1::3]
    total = worth.sum(1)
    kept = total != 0
    tokens = torch.where(there, tokens, PAD)
    return tokens[kept], lengths[kept], (total[kept] > 0).long()


def dialects(n=1500, length=24, letters=20, shares=(1.0, 1.0, 1.0, 1.0)):
    """Texts of four languages, which differ in what letter follows what."""
    tables = torch.softmax(1.6 * torch.randn(4, letters, letters), -1)
    language = torch.multinomial(torch.tensor(shares), n, replacement=True)
    text = [torch.randint(letters, (n,))]
    for _ in range(length - 1):
        text.append(torch.multinomial(tables[language, text[-1]], 1).squeeze(1))
    return torch.stack(text, 1), language


def padded(tokens, width, least=12):
    """Texts of unequal lengths, filled up with PAD; other tokens move up by one."""
    lengths = torch.randint(least, tokens.shape[1] + 1, (len(tokens),))
    filled = torch.zeros(len(tokens), width, dtype=torch.long)
    there = torch.arange(tokens.shape[1]) < lengths[:, None]
    filled[:, : tokens.shape[1]] = torch.where(there, tokens + 1, PAD)
    return filled


def topics(n=1400, length=24, subjects=6):
    """Documents of several subjects at once (a few words of each), and these as 0 or 1."""
    tokens = torch.randint(2 + 8 * subjects, 120, (n, length))
    about = torch.rand(n, subjects) < 0.35
    for subject in range(subjects):
        words = 2 + 8 * subject + torch.randint(8, (n, 3))
        places = torch.arange(3) * subjects + subject
        tokens[:, places] = torch.where(about[:, subject : subject + 1], words, tokens[:, places])
    shuffled = torch.rand(n, length).argsort(1)
    return tokens.gather(1, shuffled), about.float()


def sightings(n=700, length=16):
    """Sentences with a tag a word: names after a title or a preposition, all else is 0."""
    tokens = torch.randint(40, 100, (n, length))
    alone = torch.rand(n, length) < 0.12
    tokens = torch.where(alone, torch.randint(10, 40, (n, length)), tokens)
    tags = torch.zeros(n, length, dtype=torch.long)
    kind = torch.randint(1, 4, (n,))
    place = torch.randint(0, length - 1, (n,))
    rows = torch.arange(n)[torch.rand(n) < 0.5]
    tokens[rows, place[rows]] = 2 * kind[rows] + torch.randint(2, rows.shape)
    tokens[rows, place[rows] + 1] = torch.randint(10, 40, rows.shape)
    tags[rows, place[rows] + 1] = kind[rows]
    return tokens, tags


def keepsakes(n=1600, length=10, kinds=4, anywhere=False):
    """The second token (or one `anywhere`) says the class, and the others are unlike it."""
    kept = torch.randint(kinds, (n,))
    tokens = torch.randint(kinds, 24, (n, length))
    tokens[torch.arange(n), torch.randint(1, length if anywhere else 2, (n,))] = kept
    return tokens, kept


def chirps(n=1000, length=64, noise=0.5, silent=0.0):
    """Tones that rise, fall, or stay; of a share `silent` the end is cut off (all 0)."""
    time = torch.linspace(0, 1, length)
    kind = torch.randint(3, (n,))
    bend = torch.tensor([1.0, -1.0, 0.0])[kind][:, None] * (5 + 3 * torch.rand(n, 1))
    turns = (12 + 3 * torch.rand(n, 1)) * time + bend * (time**2 - time) + torch.rand(n, 1)
    waves = torch.sin(2 * torch.pi * turns) + noise * torch.randn(n, length)
    cut = torch.rand(n, 1) < silent
    return torch.where(cut & (time > 0.7), 0.0, waves).unsqueeze(1), kind


def blips(n=2200, length=40, share=0.05, height=1.6):
    """Noise in which few have a short bump, as 0 or 1."""
    time = torch.arange(length, dtype=torch.float32)
    rare = torch.rand(n) < share
    centre = 5 + (length - 10) * torch.rand(n, 1)
    bump = height * torch.exp(-((time - centre) ** 2) / 5)
    return (torch.randn(n, length) * 0.6 + rare[:, None] * bump).unsqueeze(1), rare.float()


def tides(n=900, past=24, ahead=4):
    """Windows of two waves and a walk, and how each goes on; standardised."""
    time = torch.arange(past + ahead, dtype=torch.float32)
    fast = torch.sin(2 * torch.pi * (time / 8 + torch.rand(n, 1)))
    slow = torch.sin(2 * torch.pi * (time / 30 + torch.rand(n, 1)))
    series = fast * (0.5 + torch.rand(n, 1)) + slow + 0.1 * torch.randn(n, past + ahead)
    return series[:, :past, None], series[:, past:]


def demand(n=1200, hours=24):
    """A day's load in megawatt with its temperatures in kelvin, and the next hour's load."""
    time = torch.arange(hours + 1, dtype=torch.float32)
    warm = 283 + 8 * torch.randn(n, 1)
    heat = warm + 4 * torch.sin(2 * torch.pi * (time + 24 * torch.rand(n, 1)) / 24)
    daily = torch.sin(2 * torch.pi * (time / 24 + torch.rand(n, 1)))
    load = 4200 + 700 * daily - 45 * (heat - 283) + 60 * torch.randn(n, hours + 1)
    return torch.stack([load, heat], 2)[:, :hours], load[:, hours:]


def molecules(n=900, most=12):
    """Padded graphs: a path, a ring, or a star with some tail; features, edges, mask."""
    kind, sizes = torch.randint(3, (n,)), torch.randint(7, most + 1, (n,))
    edges = torch.zeros(n, most, most)
    for row, (form, size) in enumerate(zip(kind.tolist(), sizes.tolist(), strict=True)):
        start = size // 2 if form == 2 else 0
        edges[row, 0, 1 : start + 1] = 1
        nodes = torch.arange(start, size - 1)
        edges[row, nodes, nodes + 1] = 1
        if form == 1:
            edges[row, 0, size - 1] = 1
    edges = edges + edges.transpose(1, 2)
    mask = (torch.arange(most) < sizes[:, None]).float()
    atoms = one_hot(torch.randint(3, (n, most)), 3).float()
    degree = edges.sum(2, keepdim=True)
    atoms = torch.cat([atoms, degree + 0.5 * torch.randn(n, most, 1)], 2) * mask[..., None]
    return atoms, edges, mask, kind


def twins(n=1400):
    """Two handwritten digits, and whether they are the same."""
    images, digits = scans()
    first = torch.randint(len(images), (n,))
    any_other = torch.randint(len(images), (n,))
    same = torch.tensor([(digits == digits[i]).nonzero()[any_other[k] % 150, 0]
                         for k, i in enumerate(first.tolist())])  # fmt: skip
    second = torch.where(torch.rand(n) < 0.5, same, any_other)
    return images[first], images[second], (digits[first] == digits[second]).float()


def addends(n=1500, length=12):
    """Numbers of which two are marked; the target is the two's sum."""
    numbers = torch.rand(n, length)
    marked = torch.rand(n, length).argsort(1)[:, :2]
    marks = torch.zeros(n, length).scatter_(1, marked, 1.0)
    return torch.stack([numbers, marks], 2), ((numbers * marks).sum(1) - 1) * 2.4
