"""Data of author j: rendered pictures, sounds, signals, points, small physics."""

import math

import torch
from sklearn.datasets import load_digits

TAU = 2 * math.pi


def between(low, high, *size):
    return low + (high - low) * torch.rand(*size)


def split(*tensors, share=0.75):
    """Training and test part, in random order."""
    order = torch.randperm(len(tensors[0]))
    cut = int(share * len(order))
    return tuple(t[order[:cut]] for t in tensors), tuple(t[order[cut:]] for t in tensors)


def written():
    """The 1797 digits as pictures of 8 x 8 between 0 and 1, and what they are."""
    found = load_digits()
    pictures = torch.tensor(found.images, dtype=torch.float32)[:, None] / 16
    return pictures, torch.tensor(found.target)


def digits(share=0.75, noise=0.0, binary=False):
    x, y = written()
    if binary:
        x = (x > 0.4).float()
    return split(x + noise * torch.randn(x.shape), y, share=share)


def paste(x, side):
    """Each picture somewhere on a larger empty one."""
    n, _, h, w = x.shape
    canvas = torch.zeros(n, 1, side, side)
    tops, lefts = torch.randint(side - h + 1, (n,)), torch.randint(side - w + 1, (n,))
    for i, (top, left) in enumerate(zip(tops.tolist(), lefts.tolist(), strict=True)):
        canvas[i, :, top : top + h, left : left + w] = x[i]
    return canvas


def wandering(side=13, noise=0.1, share=0.75):
    """Digits at random places of a noisy picture."""
    x, y = written()
    x = paste(x, side)
    return split(x + noise * torch.randn(x.shape), y, share=share)


def wandering_clean(side=13, noise=0.3):
    """Noisy pictures and the clean ones."""
    x, _ = written()
    clean = paste(x, side)
    return split(clean + noise * torch.randn(clean.shape), clean)


def of_classes(task, classes):
    """Only these classes, renumbered from 0."""
    number = torch.full((10,), -1)
    number[classes] = torch.arange(len(classes))
    return tuple(
        (x[number[y] >= 0], number[y][number[y] >= 0]) for x, y in (part[:2] for part in task)
    )


def figures(kind, cx, cy, r, side):
    """Masks of circles, squares, triangles and crosses, turned at random."""
    rows, cols = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angle = between(-0.4, 0.4, len(kind)).view(-1, 1, 1)
    r = r.view(-1, 1, 1)
    dx, dy = cols - cx.view(-1, 1, 1), rows - cy.view(-1, 1, 1)
    u, v = angle.cos() * dx + angle.sin() * dy, angle.cos() * dy - angle.sin() * dx
    circle = u**2 + v**2 < r**2
    square = torch.maximum(u.abs(), v.abs()) < 0.85 * r
    triangle = torch.maximum(v, 0.87 * u.abs() - 0.5 * v) < 0.6 * r
    short, long = torch.minimum(u.abs(), v.abs()), torch.maximum(u.abs(), v.abs())
    cross = (short < 0.3 * r) & (long < r)
    masks = torch.stack([circle, square, triangle, cross], 1)
    return masks[torch.arange(len(kind)), kind]


def coloured(masks, noise):
    """Figures of a random colour on a random, darker ground."""
    n = len(masks)
    front, ground = between(0.45, 1.0, n, 3, 1, 1), between(0.0, 0.35, n, 3, 1, 1)
    pictures = torch.where(masks[:, None], front, ground)
    return pictures + noise * torch.randn(pictures.shape)


def one_figure(n, side=20, noise=0.08):
    """Pictures with one figure each; its kind, mask and box (centre and size, as shares)."""
    kind, r = torch.randint(4, (n,)), between(3.5, 0.3 * side, n)
    cx, cy = (r + (side - 1 - 2 * r) * torch.rand(n) for _ in range(2))
    masks = figures(kind, cx, cy, r, side)
    return coloured(masks, noise), kind, masks, boxes(masks)


def boxes(masks):
    side = masks.shape[-1]
    place = torch.arange(side, dtype=torch.float32)
    ends = []
    for line in (masks.any(1), masks.any(2)):
        low = torch.where(line, place, torch.inf).amin(1)
        high = torch.where(line, place, -torch.inf).amax(1) + 1
        ends.append(((low + high) / 2 / side, (high - low) / side))
    (x, w), (y, h) = ends
    return torch.stack([x, y, w, h], 1)


def some_figures(n, side=24, noise=0.06):
    """Up to four figures, one in a quarter: pictures, masks, boxes, presence."""
    half, masks, there, kinds = side / 2, [], [], []
    for quarter in range(4):
        kind, r = torch.randint(4, (n,)), between(3.0, 0.38 * half, n)
        cx = half * (quarter % 2) + half / 2 + between(-1.2, 1.2, n)
        cy = half * (quarter // 2) + half / 2 + between(-1.2, 1.2, n)
        here = torch.rand(n) < 0.5
        masks.append(figures(kind, cx, cy, r, side) & here.view(-1, 1, 1))
        there.append(here)
        kinds.append(kind)
    masks, there, kinds = torch.stack(masks, 1), torch.stack(there, 1), torch.stack(kinds, 1)
    found = torch.stack([boxes(masks[:, q]) for q in range(4)], 1)
    return coloured(masks.any(1), noise), masks, found, there, kinds


def gratings(n, side=16, classes=6, noise=0.4):
    """Stripes of a direction, of any phase and width."""
    y = torch.randint(classes, (n,))
    angle = math.pi * (y + between(-0.2, 0.2, n)) / classes
    rows, cols = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    along = angle.cos().view(-1, 1, 1) * cols + angle.sin().view(-1, 1, 1) * rows
    wave = between(0.8, 1.6, n, 1, 1) * along + between(0, TAU, n, 1, 1)
    x = wave.sin()[:, None]
    return split(x + noise * torch.randn(x.shape), y)


def tones(n, length=512, noise=0.2):
    """Tone, rising, falling, trembling, wavering, chord: any pitch, any phase."""
    y, t = torch.randint(6, (n,)), torch.arange(length) / length
    pitch, phase = between(40, 90, n, 1), between(0, TAU, n, 1)
    sweep = between(15, 35, n, 1)
    bend = torch.zeros(n, length)
    bend = torch.where((y == 1)[:, None], sweep * t, bend)
    bend = torch.where((y == 2)[:, None], -sweep * t, bend)
    bend = torch.where((y == 4)[:, None], 10 * (TAU * 5 * t + phase).sin(), bend)
    x = (TAU * torch.cumsum(pitch + bend, 1) / length + phase).sin()
    x = torch.where((y == 3)[:, None], x * (0.6 + 0.6 * (TAU * 6 * t + phase).sin()), x)
    x = torch.where((y == 5)[:, None], 0.6 * (x + (TAU * 1.5 * pitch * t).sin()), x)
    x = between(0.6, 1.2, n, 1) * x + noise * torch.randn(n, length)
    return split(x[:, None], y)


def bands(pitch, width, noise):
    """Soft one-hot frames of a pitch between 0 and `width`."""
    place = torch.arange(width, dtype=torch.float32)
    x = torch.exp(-((pitch[..., None] - place) ** 2) / 1.5)
    return x + noise * torch.randn(x.shape)


def contours(n, width=12, longest=28):
    """Melodies of differing length that rise, fall, arch, dip or stay; padded with zeros."""
    y, lengths = torch.randint(5, (n,)), torch.randint(12, longest + 1, (n,))
    t = torch.arange(longest) / lengths[:, None]
    arch = 1 - (2 * t - 1) ** 2
    forms = torch.stack([t, 1 - t, arch, 1 - arch, torch.full_like(t, 0.5)], 1)
    form = forms[torch.arange(n), y]
    height = between(3, 6, n, 1)
    pitch = height * form + (width - 1 - height) * torch.rand(n, 1)
    pitch = pitch + 0.6 * torch.randn(n, longest)
    x = bands(pitch, width, 0.25) * (t < 1)[..., None]
    return split(x, lengths, y)


def spoken(n, frames=36, width=8, most=5):
    """Frames with up to five of six syllables, and the string that was said (0 is the blank)."""
    x = torch.full((n, frames), -9.0)
    counts, targets = torch.randint(3, most + 1, (n,)), torch.randint(1, 7, (n, most))
    for i in range(n):
        at = int(torch.randint(0, 4, ()))
        for k in range(int(counts[i])):
            long = int(torch.randint(3, 6, ()))
            x[i, at : at + long] = float(targets[i, k])
            at += long + int(torch.randint(1, 3, ()))
    return split(bands(x, width, 0.25), targets * (torch.arange(most) < counts[:, None]), counts)


def beats(n, length=192):
    """Heart beats on a wandering line, and the wave each sample belongs to (0: none)."""
    t = torch.arange(length, dtype=torch.float32)
    period, start = between(45, 70, n), between(-20, 40, n)
    x, y = torch.zeros(n, length), torch.zeros(n, length, dtype=torch.long)
    for k in range(6):
        at = start + k * period + between(-3, 3, n)
        for label, (gap, wide, high) in enumerate([(-11, 3, 0.3), (0, 1.6, 1.4), (15, 4, 0.45)], 1):
            away = t - (at + gap)[:, None]
            x = x + between(0.8, 1.2, n, 1) * high * torch.exp(-(away**2) / 2 / wide**2)
            y[away.abs() < 1.6 * wide] = label
    wander = 0.3 * (TAU * t / between(90, 200, n, 1) + between(0, TAU, n, 1)).sin()
    x = x + wander + 0.08 * torch.randn(n, length)
    return split(x[:, None], y)


def moons(n, noise=0.08):
    angle, which = math.pi * torch.rand(n), torch.randint(2, (n,))
    x = torch.stack([angle.cos(), angle.sin()], 1)
    x = torch.where(which[:, None] == 1, torch.tensor([1.0, 0.5]) - x, x)
    x = x + noise * torch.randn(n, 2)
    x = (x - torch.tensor([0.5, 0.25])) / torch.tensor([0.87, 0.5])
    return split(x, which)


def ring_of_clouds(n, clouds=8, wide=0.12):
    which = torch.randint(clouds, (n,))
    angle = TAU * which / clouds
    x = 1.4 * torch.stack([angle.cos(), angle.sin()], 1) + wide * torch.randn(n, 2)
    return split(x, which)


def swirl(n, noise=0.06):
    """Two arms of a spiral."""
    t, which = between(0.25, 1, n).sqrt(), torch.randint(2, (n,))
    angle = 2.2 * math.pi * t + math.pi * which
    x = 1.8 * t[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return split(x + noise * torch.randn(n, 2), which)


def pendulum(n, steps=24, dt=0.15):
    """Paths of a damped pendulum from random starts: (n, steps + 1, 2)."""

    def slope(s):
        return torch.stack([s[:, 1], -1.5 * s[:, 0].sin() - 0.1 * s[:, 1]], 1)

    state = torch.stack([between(-2.2, 2.2, n), between(-1, 1, n)], 1)
    path, h = [state], dt / 4
    for _ in range(steps):
        for _ in range(4):
            a = slope(state)
            state = state + h * slope(state + h / 2 * a)
        path.append(state)
    return torch.stack(path, 1)


def fronts(n, points=48):
    """Fisher's equation: from a start to a later state, by small explicit steps."""
    t = torch.arange(points) / points
    waves = sum(
        torch.randn(n, 1) / k * (TAU * k * t + between(0, TAU, n, 1)).cos() for k in range(1, 4)
    )
    start = torch.sigmoid(2 * waves - 1.0)
    state = start
    for _ in range(120):
        bend = state.roll(1, 1) + state.roll(-1, 1) - 2 * state
        state = state + 0.12 * bend + 0.025 * state * (1 - state)
    return split(start[:, None], state[:, None])


def cart_step(s, push):
    """A pole on a cart, one fiftieth of a second later; `push` is -1 or 1."""
    x, v, a, w = s.unbind(-1)
    force = 10 * push
    rest = (force + 0.05 * w**2 * a.sin()) / 1.1
    turn = (9.8 * a.sin() - a.cos() * rest) / (0.5 * (4 / 3 - 0.1 * a.cos() ** 2 / 1.1))
    move = rest - 0.05 * turn * a.cos() / 1.1
    return torch.stack([x + 0.02 * v, v + 0.02 * move, a + 0.02 * w, w + 0.02 * turn], -1)


def upright(s):
    return (s[..., 0].abs() < 2.4) & (s[..., 2].abs() < 0.21)


MOVES = torch.tensor([[0, 1], [0, -1], [1, 0], [-1, 0]])


def maze_step(at, goal, action, side=5):
    """One field further on a board; 1 for reaching the goal."""
    there = (at + MOVES[action]).clamp(0, side - 1)
    wall = (there[:, 0] == 2) & (there[:, 1] != 2)
    there = torch.where(wall[:, None], at, there)
    return there, (there == goal).all(1)


def free_fields(n, side=5):
    """Random fields off the wall."""
    at = torch.randint(side, (n, 2))
    on_wall = (at[:, 0] == 2) & (at[:, 1] != 2)
    at[on_wall, 0] = torch.where(torch.rand(int(on_wall.sum())) < 0.5, 1, 3)
    return at


def seen(at, goal, side=5):
    """Place and goal as one-hot rows and columns."""
    parts = [torch.eye(side)[v] for v in (*at.unbind(1), *goal.unbind(1))]
    return torch.cat(parts, 1)
