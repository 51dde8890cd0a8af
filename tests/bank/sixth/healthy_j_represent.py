"""Healthy runs on sounds; and metrics, self-supervision, transfer."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW, NAdam, RMSprop

from ..runs import Run, accuracy, batched, examiner, stepping, supervised
from . import BANK
from . import tasks_j as tasks
from .nets_j import (
    Bootstrapped,
    Distilled,
    Embedder,
    FrozenBody,
    Listener,
    LoRA,
    Margin,
    Projected,
    Spectral,
    Transcriber,
    TwoTowers,
    ViT,
    WaveNet5,
    mlp,
    small_cnn,
)


def cosine(peak, steps, warm=0):
    def rate(done):
        if done < warm:
            return peak * (done + 1) / warm
        return peak * 0.5 * (1 + math.cos(math.pi * (done - warm) / (steps - warm)))

    return rate


def raw_waves():
    train, test = tasks.tones(2000, noise=0.5)
    model = WaveNet5(6)
    loss = supervised(F.nll_loss)
    optimizer = Adam(model.parameters(), lr=5e-3, weight_decay=1e-4)
    step = stepping(loss, schedule=lambda done: 5e-3 * 0.3 ** (done // 80))
    return Run(model, loss, batched(train, 32), optimizer, accuracy(test), 0.88, 240, step=step)


def spectrograms():
    train, test = tasks.tones(1600, noise=0.4)
    model = Spectral(6)
    optimizer = SGD(model.parameters(), 0.05, momentum=0.9, nesterov=True)
    loss = supervised(nn.CrossEntropyLoss())
    step = stepping(loss, schedule=cosine(0.05, 400))
    batches = batched(train, 24, ("audio", "label"))
    return Run(model, loss, batches, optimizer, accuracy(test), 0.8, 400, step=step)


def melodies():
    train, test = tasks.contours(1800)
    model = Listener(12, 40, 5)

    def loss(model, batch):
        return F.cross_entropy(model(batch["frames"], batch["lengths"]), batch["label"])

    def number(model):
        return (model(test[0], test[1]).argmax(1) == test[2]).float().mean()

    optimizer = AdamW(model.parameters(), lr=5e-3)
    batches = batched(train, 32, ("frames", "lengths", "label"))
    step = stepping(loss, clip=1.0)
    return Run(model, loss, batches, optimizer, examiner(number), 0.85, 350, step=step)


def collapsed(path):
    """The string of a path: repeats joined, blanks away."""
    path = torch.unique_consecutive(path)
    return path[path != 0].tolist()


def transcripts():
    train, test = tasks.spoken(900)
    model = Transcriber(8, 32, 7)

    def loss(model, batch):
        frames, targets, counts = batch
        said = model(frames)
        lengths = torch.full((len(frames),), len(said))
        return F.ctc_loss(said, targets, lengths, counts, zero_infinity=True)

    def number(model):
        paths = model(test[0]).argmax(2).T
        right = [
            collapsed(path) == target[: int(count)].tolist()
            for path, target, count in zip(paths, *test[1:], strict=True)
        ]
        return torch.tensor(right).float().mean()

    optimizer = RMSprop(model.parameters(), lr=3e-3)
    step = stepping(loss, clip=5.0, schedule=lambda done: 3e-3 if done < 250 else 1e-3)
    return Run(model, loss, batched(train, 24), optimizer, examiner(number), 0.75, 380, step=step)


@BANK.healthy(
    {"make": raw_waves, "at": (110, "loss")},
    {"make": spectrograms, "at": (0, None)},
    {"make": melodies, "at": (340, "score")},
    {"make": transcripts, "at": (0, None)},
)
def sounds_j(seed, make, at):
    return make().handed(*at)


def prototypes(embed, known, test):
    """The share of test examples that lie nearest to their own class's mean."""

    def number(model):
        a, b = embed(model, test[0]), embed(model, known[0])
        means = torch.stack([b[known[1] == k].mean(0) for k in range(int(known[1].max()) + 1)])
        return (torch.cdist(a, means).argmin(1) == test[1]).float().mean()

    return examiner(number)


def probe(embed, known, test):
    """Accuracy of a ridge regression on the features."""

    def number(model):
        a, b = (F.pad(embed(model, x), (0, 1), value=1.0) for x in (test[0], known[0]))
        goal = F.one_hot(known[1]).float()
        weights = torch.linalg.solve(b.T @ b + 1e-2 * torch.eye(b.shape[1]), b.T @ goal)
        return ((a @ weights).argmax(1) == test[1]).float().mean()

    return examiner(number)


def forward(model, x):
    return model(x)


def triplet_loss(model, batch, margin=0.3):
    """All triplets of the batch; the mean of those that are not yet right by the margin."""
    x, y = batch
    z = model(x)
    away = torch.cdist(z, z)
    same = y[:, None] == y
    gaps = (away[:, :, None] - away[:, None, :] + margin).clamp(min=0)
    counts = (same & ~torch.eye(len(y), dtype=torch.bool))[:, :, None] & ~same[:, None, :]
    gaps = gaps[counts]
    return gaps.sum() / (gaps > 0).sum().clamp(min=1)


def triplets():
    train, test = tasks.wandering(10, 0.05, share=0.8)
    model = Embedder(24)
    optimizer = AdamW(model.parameters(), lr=4e-3, weight_decay=0.05)
    step = stepping(triplet_loss, schedule=cosine(4e-3, 500))
    batches = batched(train, 48)
    judge = prototypes(forward, train, test)
    return Run(model, triplet_loss, batches, optimizer, judge, 0.82, 500, step=step)


def margins():
    train, test = tasks.wandering(11, 0.1)
    model = Margin(10)

    def loss(model, batch):
        x, y = batch
        return F.cross_entropy(model(x, y), y)

    optimizer = SGD(
        [
            {"params": model.embed.parameters(), "weight_decay": 5e-4},
            {"params": [model.centres], "weight_decay": 0.0},
        ],
        lr=0.05,
        momentum=0.9,
    )
    judge = prototypes(lambda model, x: model.embed(x), train, test)
    step = stepping(loss, schedule=cosine(0.05, 400))
    return Run(model, loss, batched(train, 48), optimizer, judge, 0.85, 400, step=step)


def siamese_loss(model, batch):
    """Hadsell's: the same are drawn together, others pushed beyond a margin."""
    a, b = model(torch.cat([batch["left"], batch["right"]])).chunk(2)
    away = F.pairwise_distance(a, b)
    same = batch["same"]
    return (same * away**2 + (1 - same) * (1.0 - away).clamp(min=0) ** 2).mean()


def siamese():
    train, test = tasks.gratings(2000, 16, 5, 0.8)
    x, y = train
    other = torch.randperm(len(x))
    alike = torch.stack([(y == k).nonzero()[torch.randint((y == k).sum(), (1,))][0, 0] for k in y])
    other = torch.where(torch.rand(len(x)) < 0.5, other, alike)
    batches = batched((x, x[other], (y == y[other]).float()), 48, ("left", "right", "same"))
    model = Embedder(16, 16, stride=2)
    optimizer = RMSprop(model.parameters(), lr=1e-3)
    return Run(model, siamese_loss, batches, optimizer, prototypes(forward, train, test), 0.9, 250)


def described(n):
    """Pictures, and the words that tell kind and half."""
    x, kind, _, box = tasks.one_figure(n)
    place = (box[:, 0] > 0.5).long() + 2 * (box[:, 1] > 0.5).long()
    return tasks.split(x, torch.stack([kind, 4 + place], 1))


def towers_loss(model, batch):
    """Both ways; whoever has the same words is right as well."""
    x, words = batch
    logits = model(x, words)
    same = (words[:, None] == words).all(2).float()
    goal = same / same.sum(1, keepdim=True)
    return (F.cross_entropy(logits, goal) + F.cross_entropy(logits.T, goal)) / 2


def pictures_and_words():
    train, test = described(2600)
    model = TwoTowers(8)
    every = torch.cartesian_prod(torch.arange(4), torch.arange(4, 8))

    def number(model):
        best = every[model(test[0], every).argmax(1)]
        return (best == test[1]).all(1).float().mean()

    optimizer = AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    step = stepping(towers_loss, schedule=cosine(3e-3, 600, 20))
    batches = batched(train, 48)
    return Run(model, towers_loss, batches, optimizer, examiner(number), 0.7, 600, step=step)


@BANK.healthy(
    {"make": triplets, "at": (0, None)},
    {"make": margins, "at": (170, "loss")},
    {"make": siamese, "at": (238, "loss")},
    {"make": pictures_and_words, "at": (0, None)},
)
def metrics_j(seed, make, at):
    return make().handed(*at)


def altered(x):
    """Each picture shifted round by its own amount, with another contrast and noise."""
    n, _, h, w = x.shape
    rows = (torch.arange(h) + torch.randint(h, (n, 1))) % h
    columns = (torch.arange(w) + torch.randint(w, (n, 1))) % w
    x = x[torch.arange(n)[:, None, None], 0, rows[:, :, None], columns[:, None]][:, None]
    return tasks.between(0.7, 1.3, n, 1, 1, 1) * x + 0.1 * torch.randn(x.shape)


def body(model, x):
    return F.normalize(model.body(x), dim=1)


def nt_xent(model, batch):
    """SimCLR's: of all other views in the batch, which is the same picture's?"""
    x = batch[0]
    z = F.normalize(model(torch.cat([altered(x), altered(x)])), dim=1)
    n = len(x)
    logits = (z @ z.T / 0.3).masked_fill(torch.eye(2 * n, dtype=torch.bool), -torch.inf)
    return F.cross_entropy(logits, torch.arange(2 * n).roll(n))


def two_views():
    train, test = tasks.gratings(2000, 16, 6, 0.6)
    model = Projected(16, stride=2)
    optimizer = Adam(model.parameters(), lr=2e-3)
    judge = probe(body, train, test)
    return Run(model, nt_xent, batched(train[:1], 64), optimizer, judge, 0.9, 300)


def bootstrap_loss(model, batch):
    a, b = altered(batch[0]), altered(batch[0])
    return (model(a, b) + model(b, a)) / 2


def following(loss, **more):
    """A step, after which the slow copy of the model follows."""
    plain = stepping(loss, **more)

    def step(model, optimizer, batch):
        value = plain(model, optimizer, batch)
        model.follow()
        return value

    return step


def bootstrap():
    train, test = tasks.gratings(2000, 14, 5, 0.5)
    model = Bootstrapped(16, stride=2)
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = AdamW(learnt, lr=2e-3, weight_decay=1e-4)
    step = following(bootstrap_loss)
    judge = probe(body, train, test)
    return Run(model, bootstrap_loss, batched(train[:1], 64), optimizer, judge, 0.9, 220, step=step)


def decorrelated(model, batch):
    """Barlow Twins': the two views' cross-correlation shall be the identity."""
    views = model(torch.cat([altered(batch["x"]), altered(batch["x"])])).chunk(2)
    a, b = ((z - z.mean(0)) / (z.std(0) + 1e-5) for z in views)
    c = a.T @ b / len(a)
    on = (c.diagonal() - 1).square().sum()
    off = c.square().sum() - c.diagonal().square().sum()
    return on + 0.02 * off


def twins():
    train, test = tasks.gratings(1600, 18, 8, 0.4)
    model = Projected(16, out=48, stride=2)
    optimizer = NAdam(model.parameters(), lr=2e-3)
    judge = probe(body, train, test)
    batches = batched(train[:1], 64, ("x",))
    return Run(model, decorrelated, batches, optimizer, judge, 0.85, 300)


def turned(x):
    """All four quarter turns, and how many there were."""
    return torch.cat([x.rot90(k, (2, 3)) for k in range(4)]), torch.arange(4).repeat_interleave(
        len(x)
    )


def turn_loss(model, batch):
    x, y = turned(batch[0])
    return F.cross_entropy(model(x), y)


def quarter_turns():
    train, test = tasks.digits(noise=0.05)
    model = small_cnn(4, 16)
    optimizer = SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    step = stepping(turn_loss, schedule=cosine(0.05, 350))
    judge = accuracy(turned(test[0]))
    return Run(model, turn_loss, batched(train[:1], 24), optimizer, judge, 0.85, 350, step=step)


@BANK.healthy(
    {"make": two_views, "at": (0, None)},
    {"make": bootstrap, "at": (110, "loss")},
    {"make": twins, "at": (285, "loss")},
    {"make": quarter_turns, "at": (200, None)},
)
def own_labels_j(seed, make, at):
    return make().handed(*at)


def pretrained(model, train, steps, lr=4e-3):
    """The model after some steps on another task."""
    loss, batches = supervised(nn.CrossEntropyLoss()), batched(train, 48)
    Run(model, loss, batches, Adam(model.parameters(), lr=lr), lambda model: 0.0, 0.0, steps).train(
        steps
    )
    return model


def halves(side, noise):
    """Two tasks: the digits 0 to 4, and the digits 5 to 9."""
    task = tasks.wandering(side, noise)
    return (tasks.of_classes(task, torch.arange(k, k + 5)) for k in (0, 5))


def rotated_stripes():
    """Two tasks: stripes of few directions, and stripes of others."""
    task = tasks.gratings(3000, 16, 9, 0.5)
    old, new = torch.tensor([0, 3, 6]), torch.tensor([1, 2, 4, 5, 7, 8])
    return (tasks.of_classes(task, classes) for classes in (old, new))


def new_head():
    (old, _), (train, test) = rotated_stripes()
    body = pretrained(small_cnn(3, 24, stride=2), old, 120)
    body[-1] = nn.Identity()
    model = FrozenBody(body, 96, 6)
    optimizer = Adam(model.head.parameters(), lr=1e-2)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 32)
    return Run(model, loss, batches, optimizer, accuracy(test), 0.9, 300)


def unfrozen():
    (old, _), (train, test) = halves(12, 0.1)
    model = pretrained(small_cnn(5, 16, drop=0.1), old, 120)
    model[-1] = nn.Linear(64, 5)
    groups = [
        {"params": model[:-1].parameters(), "lr": 5e-4},
        {"params": model[-1].parameters(), "lr": 5e-3},
    ]
    optimizer = AdamW(groups, weight_decay=0.01)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 32, ("pixel_values", "labels"))
    return Run(model, loss, batches, optimizer, accuracy(test), 0.82, 320)


def distilling(model, batch, heat=3.0, share=0.7):
    """Hinton's: the teacher's softened answers, and the labels."""
    x, y = batch
    out = model(x)
    with torch.no_grad():
        soft = (model.teacher(x) / heat).softmax(1)
    near = F.kl_div((out / heat).log_softmax(1), soft, reduction="batchmean") * heat**2
    return share * near + (1 - share) * F.cross_entropy(out, y)


def student():
    train, test = tasks.wandering(11, 0.1)
    teacher = pretrained(small_cnn(10, 20), train, 200)
    model = Distilled(mlp_on_pixels(11), teacher)
    optimizer = Adam(model.student.parameters(), lr=1e-3)
    return Run(model, distilling, batched(train, 32), optimizer, accuracy(test), 0.7, 1500)


def mlp_on_pixels(side):
    return nn.Sequential(nn.Flatten(), mlp(side * side, 192, 192, 10))


def with_adapters():
    task = tasks.gratings(3000, 16, 6, 0.3)
    old, (train, test) = [(x, (y + 1) % 6 // 3) for x, y in task], task
    model = pretrained(ViT(16, 4, 32, 4, 2, 2), old[0], 250, lr=1e-3).requires_grad_(False)
    for layer in model.body.layers:
        layer.linear1, layer.linear2 = LoRA(layer.linear1), LoRA(layer.linear2)
    model.head = nn.Linear(32, 6)
    optimizer = AdamW([p for p in model.parameters() if p.requires_grad], lr=4e-3)
    loss = supervised(nn.CrossEntropyLoss())
    return Run(model, loss, batched(train, 48), optimizer, accuracy(test), 0.9, 400)


@BANK.healthy(
    {"make": new_head, "at": (0, None)},
    {"make": unfrozen, "at": (120, "loss")},
    {"make": student, "at": (700, "loss")},
    {"make": with_adapters, "at": (385, "score")},
)
def transfers_j(seed, make, at):
    return make().handed(*at)
