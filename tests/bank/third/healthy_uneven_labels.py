"""Healthy runs: labels that are wrong, rare, uneven, many, or different by nature."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Adagrad, AdamW, NAdam, RMSprop

from ..runs import examiner, explained, yes_or_no
from . import BANK
from . import tasks_a as tasks
from .nets_a import KITS, adam, dense, judging, learn, sgd

bce = F.binary_cross_entropy_with_logits


@BANK.healthy(
    {"kit": "spirals", "share": 0.2, "by": sgd(0.05), "goal": 0.94, "steps": 600},
    {"kit": "glyphs", "share": 0.3, "by": adam(2e-3), "goal": 0.92, "at": (200, "score")},
    {"kit": "tones", "share": 0.25, "by": adam(3e-3, AdamW), "goal": 0.95, "at": (400, "loss")},
    {"kit": "clusters", "share": 0.3, "by": adam(2e-3, RMSprop), "goal": 0.9, "at": (40, "loss")},
)
def flipped_labels(seed, kit, share, **how):
    """That share of the training labels is another class; the test's are right."""
    (inputs, labels, *_), test = KITS[kit].task()
    other = (labels + torch.randint(1, int(labels.max()) + 1, labels.shape)) % (labels.max() + 1)
    labels = torch.where(torch.rand(labels.shape) < share, other, labels)
    return learn(kit, task=((inputs, labels), test), **how)


def thinned(task, keep):
    """A training part that has kept only the share keep[c] of class c; the test is even."""
    train, test = task
    rows = torch.rand(len(train[1])) < torch.tensor(keep, dtype=torch.float)[train[1]]
    return tuple(part[rows] for part in train), test


def columns(task):
    return tuple((inputs, labels[:, None].float()) for inputs, labels, *_ in task)


def focal(out, target, alpha=0.75, gamma=2.0):
    p = out.sigmoid()
    right = p * target + (1 - p) * (1 - target)
    weight = alpha * target + (1 - alpha) * (1 - target)
    return (weight * (1 - right) ** gamma * bce(out, target, reduction="none")).mean()


def oversampled(task, examples=1920):
    """As `WeightedRandomSampler` draws: every class as often, the rare examples many times."""
    train, test = task
    weights = 1 / train[1].bincount()[train[1]]
    rows = torch.multinomial(weights, examples, replacement=True)
    return tuple(part[rows] for part in train), test


@BANK.healthy(
    {"kit": "clusters", "way": "pos_weight", "by": adam(3e-3), "goal": 0.94, "at": (200, "score")},
    {"kit": "tones", "way": "focal", "by": adam(4e-3, AdamW), "goal": 0.94, "at": (200, "loss")},
    {"kit": "glyphs", "way": "oversample", "by": sgd(0.02), "goal": 0.95, "at": (400, "loss")},
    {"kit": "reviews", "way": "weight", "by": adam(5e-3), "goal": 0.92, "steps": 500},
)
def rare_class_made_to_count(seed, kit, way, **how):
    """Four per cent of positives (three classes for the pictures), and something done for it."""
    classes = 3 if kit == "glyphs" else 2
    more = {} if kit == "reviews" else {"classes": classes}
    task = thinned(
        KITS[kit].task(examples=3600, **more),
        [1.0] + [0.08 if kit == "reviews" else 0.04] * (classes - 1),
    )
    if way == "oversample":
        return learn(kit, task=oversampled(task), **how)
    if way == "weight":
        counts = task[0][1].bincount()
        weight = len(task[0][1]) / (2 * counts)
        return learn(kit, task=task, criterion=nn.CrossEntropyLoss(weight), **how)
    criterion = focal if way == "focal" else partial(bce, pos_weight=torch.tensor([24.0]))
    return learn(kit, task=columns(task), criterion=criterion, judge=yes_or_no, **how)


UNEVEN = {"spirals": [1, 0.2, 0.1], "reviews": [1, 0.08], "tones": [0.08, 1, 1, 1]}
UNEVEN["glyphs"] = [1, 0.4, 0.3, 0.2, 0.15, 0.1]


@BANK.healthy(
    {"kit": "spirals", "by": adam(5e-3), "goal": 0.95, "steps": 600},
    {"kit": "reviews", "by": adam(4e-3), "goal": 0.93, "at": (300, "loss")},
    {"kit": "glyphs", "by": adam(4e-3), "goal": 0.9, "at": (400, "score")},
    {"kit": "tones", "by": adam(4e-3, NAdam), "goal": 0.95, "at": (40, None)},
)
def uneven_and_left_alone(seed, kit, **how):
    """Plain cross-entropy: the classes are far enough apart. The test's are equally frequent."""
    return learn(kit, task=thinned(KITS[kit].task(2600), UNEVEN[kit]), **how)


def worded(labels, longest=14):
    """Texts of random words (1-60), where each label puts one of its two words (61-...)."""
    scores = labels * (1 + torch.rand(labels.shape))
    chosen = scores.topk(6, 1)
    theirs = 61 + 2 * chosen.indices + torch.randint(2, chosen.indices.shape)
    ids = torch.randint(1, 61, (len(labels), longest))
    ids[:, :6] = torch.where(chosen.values > 0, theirs, ids[:, :6])
    return ids


def f1(test):
    """Over all labels together; without a hit, 0."""
    inputs, labels = test[:2]

    def number(model):
        said = model(inputs) > 0
        return 2 * (said & (labels > 0)).sum() / (said.sum() + labels.sum())

    return examiner(number)


@BANK.healthy(
    {"form": "table", "labels": 24, "by": adam(3e-3), "goal": 0.9, "at": (30, "loss")},
    {"form": "signal", "labels": 12, "by": adam(3e-3, AdamW), "goal": 0.94},
    {"form": "text", "labels": 30, "by": adam(2e-2), "goal": 0.9, "at": (400, "loss")},
    {"form": "picture", "labels": 16, "by": sgd(0.5), "goal": 0.94, "at": (200, "score")},
)
def many_rare_tags(seed, form, labels, **how):
    """All zeros would be right in most places; plain BCE learns it none the less."""
    time = torch.linspace(0, 6.28, 64)
    bumps = 2 * torch.randn(labels, 1, 12, 12)
    patterns = {"signal": (torch.arange(2, labels + 2)[:, None] * time).sin()[:, None]}
    patterns |= {"picture": bumps * (torch.rand(bumps.shape) < 0.15)}
    task = tasks.atoms(1920, patterns.get(form, 2 * torch.randn(labels, 40)), 1.2 / labels, 0.5)
    if form == "text":
        task = tuple((worded(y), y) for _, y in task)
    model = {
        "table": lambda: dense(40, 64, labels),
        "text": lambda: nn.Sequential(nn.EmbeddingBag(61 + 2 * labels, 48), nn.Linear(48, labels)),
        "signal": lambda: nn.Sequential(
            *(nn.Conv1d(1, 16, 15, 3), nn.ReLU(), nn.Flatten(), nn.Linear(272, labels))
        ),
        "picture": lambda: nn.Sequential(nn.Flatten(), *dense(144, 64, labels)),
    }[form]()
    return learn(form, task=task, model=model, criterion=bce, judge=f1, **how)


def cartesian(*levels):
    return torch.cartesian_prod(*map(torch.arange, levels))


def cells_of(*levels):
    """All combinations of categories, one-hot."""
    columns = zip(cartesian(*levels).T, levels, strict=True)
    return torch.cat([F.one_hot(column, n) for column, n in columns], 1).float()


class Clicks(nn.Module):
    """A user's and an advertisement's number: their vectors' product and two biases."""

    def __init__(self, users, items, width=4):
        super().__init__()
        self.user, self.item = nn.Embedding(users, width), nn.Embedding(items, width)
        self.of_user, self.of_item = nn.Embedding(users, 1), nn.Embedding(items, 1)
        for part in (self.user, self.item, self.of_user, self.of_item):
            nn.init.normal_(part.weight, std=0.1)

    def forward(self, ids):
        u, i = ids.unbind(1)
        product = (self.user(u) * self.item(i)).sum(1, keepdim=True)
        return product + self.of_user(u) + self.of_item(i)


def drawn_again(cells, chance, examples):
    """Cells over and over, each time with a label of its own draw; judged by the true chances."""
    rows = torch.randint(len(cells), (examples,))
    if chance.shape[1] > 1:
        labels = torch.multinomial(chance[rows], 1)[:, 0]
    else:
        labels = torch.bernoulli(chance[rows])
    return (cells[rows], labels), (cells, chance)


@BANK.healthy(
    {"form": "survey", "by": adam(1e-2), "goal": 0.78, "at": (200, "score"), "size": 64},
    {"form": "clicks", "by": adam(1e-2), "goal": 0.85, "at": (400, "loss"), "size": 64},
    {"form": "next_word", "by": adam(0.5, Adagrad), "goal": 0.85},
    {"form": "doses", "by": sgd(0.02), "goal": 0.85, "at": (100, "loss"), "size": 24},
)
def same_input_other_answer(seed, form, **how):
    """Equal inputs have different labels by nature; what can be learnt is how often."""
    if form == "doses":
        dose = torch.linspace(-2, 2, 12)[:, None]
        truth = torch.tanh(2 * dose) + 0.5 * torch.cos(2 * dose)
        rows = torch.randint(12, (1440,))
        train = dose[rows], truth[rows] + 0.8 * torch.randn(1440, 1)
        more = {"model": dense(1, 24, 24, 1, act=nn.Tanh), "criterion": F.mse_loss}
        return learn(form, task=(train, (dose, truth)), judge=explained, **more, **how)
    if form == "next_word":
        cells, model, said = torch.arange(12), nn.Embedding(12, 12), partial(torch.softmax, dim=1)
        chance = (1.5 * torch.randn(12, 12)).softmax(1)
    elif form == "clicks":
        cells, model, said = cartesian(20, 12), Clicks(20, 12), torch.sigmoid
        chance = (torch.randn(20, 1) + torch.randn(12) - 0.5).sigmoid().reshape(-1, 1)
    else:
        cells, model, said = cells_of(4, 3, 3), dense(10, 24, 1), torch.sigmoid
        chance = (1.3 * torch.randn(36, 1)).sigmoid()
    task = drawn_again(cells, chance, 1920 if form == "next_word" else 3840)
    criterion = F.cross_entropy if form == "next_word" else bce
    more = {"model": model, "criterion": criterion, "judge": judging(explained, said)}
    return learn(form, task=task, **more, **how)
