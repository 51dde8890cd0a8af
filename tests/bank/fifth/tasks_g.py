"""Data of author g: scikit-learn's bundled sets, and what is generated here."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from sklearn import datasets


def numpy_generator():
    return np.random.default_rng(int(torch.randint(2**31, (1,))))


def split(*tensors, share=0.7):
    """A random part to learn from, and the rest."""
    order = torch.randperm(len(tensors[0]))
    cut = int(share * len(order))
    return [t[order[:cut]] for t in tensors], [t[order[cut:]] for t in tensors]


def scaled(task):
    """Inputs standardised by the training part's mean and deviation."""
    (x, *rest), (held, *held_rest) = task
    mean, std = x.mean(0), x.std(0) + 1e-6
    return [(x - mean) / std, *rest], [(held - mean) / std, *held_rest]


def bundled(name, share=0.7):
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return scaled(split(torch.tensor(x).float(), torch.tensor(y), share=share))


def digits(share=0.7):
    """Images of 8 by 8 between 0 and 1, as (N, 1, 8, 8)."""
    x, y = datasets.load_digits(return_X_y=True)
    return split(torch.tensor(x).float().view(-1, 1, 8, 8) / 16, torch.tensor(y), share=share)


def grid(side):
    line = torch.arange(side).float()
    return torch.meshgrid(line, line, indexing="ij")


def inside(kind, dy, dx, r):
    """Which pixels at the distances `dy`, `dx` a figure of the radius `r` covers."""
    disc = dy.square() + dx.square() <= r.square()
    square = (dy.abs() <= 0.85 * r) & (dx.abs() <= 0.85 * r)
    triangle = (dy <= 0.8 * r) & (dy >= -r) & (dx.abs() <= 0.55 * (dy + r))
    cross = ((dy.abs() <= 0.35 * r) & (dx.abs() <= r)) | ((dx.abs() <= 0.35 * r) & (dy.abs() <= r))
    return torch.where(kind == 0, disc, torch.where(kind == 1, square, kind.eq(2) & triangle)) | (
        kind.eq(3) & cross
    )


def figures(n, side=20, kinds=4, noise=0.3):
    """One figure an image: image, kind, mask, and box (centre and size, as shares)."""
    yy, xx = grid(side)
    kind = torch.randint(kinds, (n,))
    r = side * (0.16 + 0.12 * torch.rand(n))
    cy, cx = (r + (side - 1 - 2 * r) * torch.rand(n) for _ in range(2))
    wide = [t.view(n, 1, 1) for t in (kind, cy, cx, r)]
    mask = inside(wide[0], yy - wide[1], xx - wide[2], wide[3])
    light = 0.6 + 0.6 * torch.rand(n, 1, 1)
    image = mask * light + noise * torch.randn(n, side, side)
    box = torch.stack([cy, cx, r], 1) / side
    return split(image[:, None], kind, mask.long(), box)


def scenes(n, side=24, count=3, noise=0.35):
    """Several figures an image: image, which kinds there are (N, 4), class of each pixel."""
    yy, xx = grid(side)
    shape = (n, count, 1, 1)
    kind = torch.randint(4, shape)
    r = side * (0.12 + 0.08 * torch.rand(shape))
    cy, cx = (r + (side - 1 - 2 * r) * torch.rand(shape) for _ in range(2))
    masks = inside(kind, yy - cy, xx - cx, r) & (torch.rand(shape) < 0.8)
    label = torch.zeros(n, side, side, dtype=torch.long)
    for i in range(count):
        label = torch.where(masks[:, i], kind[:, i] + 1, label)
    image = (label > 0).float() + noise * torch.randn(n, side, side)
    present = F.one_hot(label.flatten(1), 5).amax(1)[:, 1:].float()
    return split(image[:, None], present, label)


def cells(n, side=32):
    """Bright, blurred spots on an uneven ground, and their mask."""
    yy, xx = grid(side)
    shape = (n, 6, 1, 1)
    cy, cx = (side * torch.rand(shape) for _ in range(2))
    a, b = (2 + 2.5 * torch.rand(shape) for _ in range(2))
    far = ((yy - cy) / a).square() + ((xx - cx) / b).square()
    mask = (far < 1).any(1)
    soft = (-0.7 * far).exp().sum(1).clamp(max=1.2)
    slope = torch.randn(n, 1, 1) * yy / side + torch.randn(n, 1, 1) * xx / side
    image = soft + slope + 0.25 * torch.randn(n, side, side)
    return split(image[:, None], mask.float()[:, None])


def tissue(n, side=24):
    """Round cells with a darker core: the image, and 0, 1 or 2 for ground, border and core."""
    yy, xx = grid(side)
    shape = (n, 4, 1, 1)
    cy, cx = (side * torch.rand(shape) for _ in range(2))
    far = (((yy - cy).square() + (xx - cx).square()).sqrt() / (3.5 + 2 * torch.rand(shape))).amin(1)
    label = (far < 1).long() + (far < 0.55).long()
    light = torch.tensor([0.0, 1.0, 0.5])[label] + 0.4 * torch.randn(n, 1, 1)
    return split((light + 0.2 * torch.randn(n, side, side))[:, None], label)


def textures(n, side=16):
    """Smooth images of a few waves, and the same with noise: (noisy, clean)."""
    yy, xx = grid(side)
    wave = torch.randn(n, 3, 2, 1, 1) * 0.5
    phase = 2 * math.pi * torch.rand(n, 3, 1, 1)
    clean = torch.sin(wave[:, :, 0] * yy + wave[:, :, 1] * xx + phase).mean(1, keepdim=True)
    return split(clean + 0.4 * torch.randn_like(clean), clean)


def heartbeats(n, length=128):
    """A wandering line with sharp beats and blunt bumps; the mask says where beats are."""
    t = torch.arange(length).float()
    centre = length * torch.rand(n, 6, 1)
    width, sharp = 1.2 + 0.6 * torch.rand(n, 6, 1), torch.rand(n, 6, 1) < 0.5
    far = (t - centre) / torch.where(sharp, width, 3 * width)
    signal = (torch.exp(-0.5 * far.square())).sum(1)
    mask = ((far.abs() < 2) & sharp).any(1).float()
    drift = torch.sin(t / 25 + 6 * torch.rand(n, 1)) + 0.12 * torch.randn(n, length)
    return split((signal + 0.5 * drift)[:, None], mask[:, None])


def chirps(n, length=96, noise=0.6):
    """Tones that rise, fall, stay, swing or come in two bursts: five classes."""
    t = torch.linspace(0, 1, length)
    y = torch.randint(5, (n,))
    base = 6 + 8 * torch.rand(n, 1)
    bend = torch.stack(
        [base * t, base * t + 9 * t**2, (base + 14) * t - 8 * t**2, base * t, base * t], 1
    )
    bend[:, 3] += 0.6 * torch.sin(2 * math.pi * 2.5 * t)
    wave = torch.sin(2 * math.pi * (bend[torch.arange(n), y] + torch.rand(n, 1)))
    gap = ((t - 0.5).abs() > 0.17).float()
    wave = torch.where(y[:, None] == 4, wave * gap, wave)
    return split((wave + noise * torch.randn(n, length))[:, None], y)


def reviews(n, length=24, words=60):
    """Words with a mood, turned round by a preceding "not" (1); padding is 0.

    Ids, lengths, and whether the whole is friendly.
    """
    mood = torch.zeros(words)
    mood[2:12], mood[12:22] = 1.0, -1.0
    ids = torch.randint(22, words, (n, length))
    loaded, which = torch.rand(n, length) < 0.35, torch.randint(2, 22, (n, length))
    ids = torch.where(loaded, which, ids)
    negated = torch.rand(n, length) < 0.25
    ids = torch.where(negated, torch.ones_like(ids), ids)
    lengths = torch.randint(10, length + 1, (n,))
    ids = ids * (torch.arange(length) < lengths[:, None])
    turned = torch.ones(n, length)
    turned[:, 1:] -= 2 * (ids[:, :-1] == 1).float()
    total = (mood[ids] * turned).sum(1)
    keep = total != 0
    return split(ids[keep], lengths[keep], (total[keep] > 0).long())


def commands(n, length=16, words=30):
    """Each word's tag depends on the last opening word (1 to 4) and itself; -100 is padding."""
    ids = torch.randint(5, words, (n, length))
    ids = torch.where(torch.rand(n, length) < 0.2, torch.randint(1, 5, (n, length)), ids)
    ids[:, 0] = torch.randint(1, 5, (n,))
    place = torch.where(ids < 5, torch.arange(length), 0).cummax(1).values
    mode = ids.gather(1, place) - 1
    tags = torch.where(ids < 5, 0, 1 + (ids % 2 + mode) % 3)
    lengths = torch.randint(8, length + 1, (n,))
    real = torch.arange(length) < lengths[:, None]
    return split(ids * real, lengths, torch.where(real, tags, -100))


def story(n):
    """Sentences of a small grammar as one string of characters' codes."""
    draw, ends = numpy_generator(), [".", " now.", " and then sleeps."]
    nouns, verbs = ["cat", "dog", "bird", "child"], ["sees", "hears", "likes"]

    def noun():
        size = draw.choice(["small ", "big ", ""])
        return draw.choice(["the ", "a "]) + size + draw.choice(nouns)

    text = ""
    while len(text) < n:
        text += f"{noun()} {draw.choice(verbs)} {noun()}{draw.choice(ends)} "
    letters = sorted(set(" .abcdeghiklmnoprstw"))
    return torch.tensor([letters.index(c) for c in text[:n]]), len(letters)


def windows(tokens, length, share=0.8):
    """A long row of tokens as windows, each with the same row one later."""
    count = (len(tokens) - 1) // length
    x = tokens[: count * length].view(count, length)
    return split(x, tokens[1 : count * length + 1].view(count, length), share=share)


def unsorted(n, length=8, values=12):
    """Numbers, and the same in order."""
    ids = torch.randint(values, (n, length))
    return split(ids, ids.sort(1).values)


def chains(n, length=16, states=12):
    """Each token follows from the two before it by a table, nine times of ten."""
    table = torch.randint(states, (states, states))
    rows = torch.randint(states, (n, length))
    for i in range(2, length):
        ruled = torch.rand(n) < 0.92
        rows[:, i] = torch.where(ruled, table[rows[:, i - 1], rows[:, i - 2]], rows[:, i])
    return rows


def load(hours=2400, back=48):
    """A week's and a day's rhythm and slow weather: the last hours, and the one to come."""
    t = torch.arange(hours).float()
    weather = torch.zeros(hours)
    for i in range(1, hours):
        weather[i] = 0.97 * weather[i - 1] + 0.1 * torch.randn(())
    day = torch.sin(2 * math.pi * t / 24) + 0.5 * torch.sin(4 * math.pi * t / 24 + 1)
    series = day * (1 - 0.5 * ((t // 24) % 7 > 4).float()) + weather + 0.1 * torch.randn(hours)
    past = series[: 3 * hours // 4]
    series = (series - past.mean()) / past.std()
    x = series.unfold(0, back + 1, 1)
    cut = int(0.75 * len(x))
    return [x[:cut, :back, None], x[:cut, back]], [x[cut:, :back, None], x[cut:, back]]


def friedman(n, extra=3, noise=0.1):
    """Friedman's first function, standardised, with inputs that do not matter."""
    x = torch.rand(n, 5 + extra)
    y = 10 * torch.sin(math.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    y = y + 10 * x[:, 3] + 5 * x[:, 4]
    y = (y - y.mean()) / y.std() + noise * torch.randn(n)
    return split((x - 0.5) * 12**0.5, y)


def houses(n):
    """Numbers (N, 4), district and kind, and the logarithm of the price, standardised."""
    numbers = torch.randn(n, 4)
    district, kind = torch.randint(25, (n,)), torch.randint(4, (n,))
    worth, slope = torch.randn(25), torch.tensor([0.3, 0.8, 1.2, -0.4])
    price = worth[district] + slope[kind] * numbers[:, 0] + 0.5 * numbers[:, 1].square()
    price = price - 0.6 * (numbers[:, 2] > 0.5) * numbers[:, 3] + 0.2 * torch.randn(n)
    price = (price - price.mean()) / price.std()
    return split(numbers, torch.stack([district, kind], 1), price)


def forest(n, classes=5):
    """A table whose classes are cells round several centres each, no plane between them."""
    draw = numpy_generator()
    x, y = datasets.make_classification(
        n,
        12,
        n_informative=6,
        n_redundant=2,
        n_classes=classes,
        n_clusters_per_class=2,
        class_sep=2.0,
        random_state=int(draw.integers(2**31)),
    )
    return scaled(split(torch.tensor(x).float(), torch.tensor(y)))


def ratings(n, users=120, items=80, rank=3):
    """User, item and stars about 3: tastes, and what everyone likes."""
    u, i = torch.randint(users, (n,)), torch.randint(items, (n,))
    taste, trait = torch.randn(users, rank), torch.randn(items, rank)
    stars = 3.2 + 0.3 * torch.randn(users)[u] + 0.5 * torch.randn(items)[i]
    stars = stars + 0.5 * (taste[u] * trait[i]).sum(1) + 0.2 * torch.randn(n)
    return split(u, i, stars)


def visits(n, users=100, items=80, groups=5):
    """Pairs of a user and an item seen (of the user's groups mostly), and one not seen."""
    likes = torch.randn(users, groups).topk(2).indices
    group = torch.arange(items) % groups
    match = (group == likes[:, :1]) | (group == likes[:, 1:])
    weights = torch.where(match, 1.0, 0.04) * torch.rand(items).add(0.3)
    user = torch.randint(users, (n,))
    seen = torch.multinomial(weights[user], 1)[:, 0]
    other = torch.multinomial(torch.where(match, 0.04, 1.0)[user], 1)[:, 0]
    return split(user, seen, other)


def adverts(n, fields=6, values=12):
    """Fields of categories; a click depends on pairs of them."""
    ids = torch.randint(values, (n, fields))
    code = torch.randn(fields, values, 3) * 0.8
    vectors = code[torch.arange(fields), ids]
    total = vectors.sum(1).square().sum(1) - vectors.square().sum((1, 2))
    chance = torch.sigmoid(1.2 * (total - total.median()))
    return split(ids + values * torch.arange(fields), torch.bernoulli(chance))


def uneven(n):
    """A curve in five inputs, whose spread depends on one of them."""
    x = torch.rand(n, 5) * 2 - 1
    mean = torch.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2]
    spread = 0.05 + 0.45 * (x[:, 3] > 0) * (0.4 + x[:, 4].abs())
    return split(x, mean + spread * torch.randn(n))


def forked(n):
    """Two branches: y is a or b of x, by a coin."""
    x = torch.rand(n, 2) * 2 - 1
    branch = torch.where(torch.rand(n) < 0.5, 1.0, -1.0)
    return split(x, branch * (0.7 + 0.5 * torch.sin(3 * x[:, 0])) + 0.1 * torch.randn(n) + x[:, 1])


def rides(n):
    """Hour, weather and hours of exposure; counts of rides."""
    hour, rest = 2 * math.pi * torch.rand(n), torch.randn(n, 3)
    exposure = 0.5 + 1.5 * torch.rand(n)
    rate = 1.2 + 0.9 * torch.sin(hour) + 0.6 * torch.cos(2 * hour) * (rest[:, 0] > 0)
    counts = torch.poisson(exposure * (rate + 0.4 * rest[:, 1].tanh()).exp())
    x = torch.cat([hour.sin()[:, None], hour.cos()[:, None], rest], 1)
    return split(x, exposure, counts)


def swirls(n):
    """Points on two arms of a spiral in the plane."""
    t = 1 + 3 * torch.rand(n)
    side = torch.where(torch.rand(n) < 0.5, 0.0, math.pi)
    x = torch.stack([t * torch.cos(1.5 * t + side), t * torch.sin(1.5 * t + side)], 1) / 2
    return split(x + 0.06 * torch.randn(n, 2))


def molecules(n, most=9):
    """Padded graphs: kinds of nodes, adjacency, real nodes, and a sum over bonds and angles."""
    size = torch.randint(4, most + 1, (n,))
    real = torch.arange(most) < size[:, None]
    kind = torch.randint(4, (n, most)) * real
    parent = (torch.rand(n, most) * torch.arange(most)).long()
    edges = F.one_hot(parent, most).float() * real[:, :, None]
    edges[:, 0] = 0
    adjacency = ((edges + edges.transpose(1, 2)) > 0).float()
    bond = torch.randn(4, 4)
    bond = bond + bond.T
    energy = (bond[kind[:, :, None], kind[:, None]] * adjacency).sum((1, 2)) / 2
    energy = energy + 0.5 * (adjacency.sum(2) - 2).clamp(min=0).square().sum(1)
    energy = (energy - energy.mean()) / energy.std()
    return split(kind, adjacency, real.float(), energy)


def springs(n):
    """Places of three particles in the plane, their energy and the forces on them."""
    x = torch.randn(n, 3, 2).requires_grad_()
    far = torch.stack([(x[:, i] - x[:, j]).norm(dim=1) for i, j in ((0, 1), (0, 2), (1, 2))], 1)
    energy = ((far - 1.5).square() * torch.tensor([0.5, 0.3, 0.2])).sum(1)
    energy = energy + 0.3 * torch.exp(-far.square()).sum(1)
    force = -torch.autograd.grad(energy.sum(), x)[0]
    return split(x.detach().flatten(1), energy.detach(), force.flatten(1))


def orbits(n, steps=12, dt=0.15):
    """Paths of a damped pendulum, from places at random: the start, and the path."""
    state = torch.stack([4 * torch.rand(n) - 2, 3 * torch.rand(n) - 1.5], 1)
    path = [state]
    for _ in range(steps * 10):
        angle, speed = path[-1].unbind(1)
        push = torch.stack([speed, -2 * torch.sin(angle) - 0.3 * speed], 1)
        path.append(path[-1] + dt / 10 * push)
    path = torch.stack(path, 1)[:, ::10]
    return split(path[:, 0], path[:, 1:])
