"""Healthy runs as many people have them: dropout, transformers, tables, pictures, sequences."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adadelta, Adagrad, Adam, AdamW, NAdam, RMSprop

from ..runs import Run, accuracy, batched, examiner, explained, stepping, yes_or_no
from . import BANK
from . import tasks_f as tasks
from .nets_f import (
    Appraiser,
    Causal,
    Forecaster,
    Generator,
    LeNet,
    Packed,
    Patches,
    Reader,
    Sentiment,
    Tagger,
    Translator,
    TwoHeads,
    cosine,
    dense,
    ear,
    gathered,
    learn,
    picture_net,
    residual,
    stairs,
)

ENTROPY = nn.CrossEntropyLoss()
bce = F.binary_cross_entropy_with_logits


@BANK.healthy(
    {"data": "digits", "at": (590, "loss")},
    {"data": "shapes", "at": (0,)},
    {"data": "reviews", "at": (150, "score")},
    {"data": "tones", "at": (90, "loss")},
)
def much_dropout_f(seed, data, at):
    if data == "digits":
        net = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), dense(64, 256, 256, 10, drop=0.6))
        more = {"goal": 0.91, "steps": 600, "at": at, "size": 50}
        by = partial(SGD, lr=0.02, momentum=0.9)
        return learn(tasks.written_digits(), net, by, ENTROPY, accuracy, **more)
    if data == "shapes":
        net = picture_net(5, 16, drop2d=0.1, drop=0.6)
        more = {"goal": 0.85, "steps": 400, "at": at, "keys": ("pixel_values", "labels")}
        return learn(tasks.shapes(1600), net, partial(Adam, lr=2e-3), ENTROPY, accuracy, **more)
    if data == "reviews":
        (words, _, y), (test, _, truth) = tasks.reviews(2600)
        net = Reader(width=32, drop=0.5, word_drop=0.1)
        more = {"goal": 0.85, "steps": 260, "at": at, "step": partial(stepping, clip=1.0)}
        by, task = partial(AdamW, lr=5e-3), ([words, y], [test, truth])
        return learn(task, net, by, ENTROPY, accuracy, **more)
    net = ear(4, 24, drop=0.8)
    more = {"goal": 0.85, "steps": 200, "at": at}
    return learn(tasks.tones(1400), net, partial(RMSprop, lr=1e-3), ENTROPY, accuracy, **more)


def next_token(model, batch):
    out = model(batch[0][:, :-1])
    return F.cross_entropy(out.flatten(0, 1), batch[0][:, 1:].flatten())


def continued(test):
    """Right next tokens once the motif is known."""
    (x,) = test

    def number(model):
        return (model(x[:, :-1]).argmax(2)[:, 3:] == x[:, 4:]).float().mean()

    return examiner(number)


def taught(model, batch):
    """The decoder is given the right answer, one place later."""
    given, y = batch["src"], batch["tgt"]
    return F.cross_entropy(model(given, F.pad(y[:, :-1], (1, 0))), y)


def spelled(test):
    """Right tokens when each is the model's own."""
    given, y = test

    def number(model):
        said = torch.zeros(len(y), 1, dtype=torch.long)
        for _ in range(y.shape[1]):
            said = torch.cat([said, model(given, said)[:, :, -1:].argmax(1)], 1)
        return (said[:, 1:] == y).float().mean()

    return examiner(number)


@BANK.healthy(
    {"task": "sentiment", "at": (0,)},
    {"task": "continue", "at": (190, "loss")},
    {"task": "patches", "at": (385, "loss")},
    {"task": "sort", "at": (5, "loss")},
)
def attention_f(seed, task, at):
    if task == "sentiment":
        (words, _, y), (test, _, truth) = tasks.reviews(4000, turns=0.0)
        more = {"goal": 0.85, "steps": 400, "at": at, "keys": ("input_ids", "labels")}
        more["step"] = partial(stepping, clip=1.0, schedule=cosine(3e-3, 400, 40))
        by, data = partial(AdamW, lr=3e-3, weight_decay=0.01), ([words, y], [test, truth])
        return learn(data, Sentiment(), by, ENTROPY, accuracy, **more)
    if task == "continue":
        more = {"goal": 0.85, "steps": 350, "at": at, "loss": next_token}
        more["step"] = partial(stepping, clip=1.0, schedule=cosine(3e-3, 350, 20, 3e-4))
        by = partial(AdamW, lr=3e-3, betas=(0.9, 0.95))
        return learn(tasks.refrains(), Generator(), by, None, continued, **more)
    if task == "patches":
        more = {"goal": 0.9, "steps": 400, "at": at}
        more["step"] = partial(stepping, schedule=cosine(3e-3, 400, 20))
        by = partial(AdamW, lr=3e-3, weight_decay=0.05)
        return learn(tasks.written_digits(), Patches(), by, ENTROPY, accuracy, **more)

    def rate(i):
        return 32**-0.5 * min((i + 1) ** -0.5, (i + 1) * 60**-1.5) * 0.4

    more = {"goal": 0.85, "steps": 450, "at": at, "keys": ("src", "tgt"), "loss": taught}
    by = partial(Adam, lr=1e-3, betas=(0.9, 0.98), eps=1e-9)
    more |= {"size": 64, "step": partial(stepping, schedule=rate)}
    return learn(tasks.unsorted(), Translator(), by, None, spelled, **more)


def appraised(model, batch):
    return F.huber_loss(model(batch["numbers"], batch["kinds"]), batch["price"])


def priced(test):
    numbers, kinds, price = test
    fit = explained([(numbers, kinds), price])

    class Both(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, both):
            return self.model(*both)

    return lambda model: fit(Both(model))


def weighed(model, batch):
    """Two tasks, each weighed by a learnt uncertainty."""
    x, wear, breaks = batch
    number, yes = model(x)
    a, b = model.log_var
    first, second = F.mse_loss(number, wear), bce(yes, breaks)
    return 0.5 * ((-a).exp() * first + a) + (-b).exp() * second + 0.5 * b


def both_heads(test):
    """The mean of the explained variance and the balanced accuracy."""
    x, wear, breaks = test

    def number(model):
        said, yes = model(x)
        fit = 1 - F.mse_loss(said, wear) / wear.var(correction=0)
        right = (yes > 0) == (breaks > 0.5)
        return (
            fit + (right[breaks > 0.5].float().mean() + right[breaks < 0.5].float().mean()) / 2
        ) / 2

    return examiner(number)


@BANK.healthy(
    {"data": "homes", "at": (0,)},
    {"data": "friedman", "at": (290, "loss")},
    {"data": "biopsies", "at": (20, "loss")},
    {"data": "machines", "at": (150, "score")},
)
def tables_f(seed, data, at):
    if data == "homes":
        net = Appraiser()
        groups = [
            {"params": net.embeds.parameters(), "weight_decay": 1e-2},
            {"params": [*net.norm.parameters(), *net.body.parameters()]},
        ]
        train, test = tasks.homes(4000)
        batches = batched(train, 32, ("numbers", "kinds", "price"))
        by = AdamW(groups, lr=5e-3, weight_decay=1e-4)
        return Run(net, appraised, batches, by, priced(test), 0.8, 500).handed(*at)
    if data == "friedman":
        net = dense(8, 64, 64, 1)
        more = {"goal": 0.8, "steps": 300, "at": at}
        more["step"] = partial(stepping, schedule=stairs(0.02, 100, 0.3))
        by = partial(SGD, lr=0.02, momentum=0.9)
        return learn(tasks.friedman(), net, by, nn.MSELoss(), explained, **more)
    if data == "biopsies":
        net = dense(30, 24, 24, 1, norm=nn.LayerNorm)
        more = {"goal": 0.88, "steps": 60, "at": at, "size": 64, "step": partial(gathered, parts=4)}

        def loss(model, batch):
            return bce(model(batch[0]).squeeze(1), batch[1])

        by = partial(Adam, lr=3e-3)
        return learn(tasks.biopsies(), net, by, None, yes_or_no, loss=loss, **more)
    more = {"goal": 0.8, "steps": 300, "at": at, "loss": weighed}
    return learn(tasks.machines(), TwoHeads(), partial(NAdam, lr=3e-3), None, both_heads, **more)


def distilled(model, batch, warm=4.0):
    """The teacher's softened answers, and the labels."""
    x, y, teacher = batch
    out = model(x)
    soft = F.kl_div((out / warm).log_softmax(1), (teacher / warm).softmax(1), reduction="batchmean")
    return 0.7 * warm**2 * soft + 0.3 * F.cross_entropy(out, y)


def pretrained(net, task, steps):
    by = Adam(net.parameters(), lr=3e-3)
    return learn(task, net, lambda _: by, ENTROPY, accuracy, goal=0, steps=steps, at=(steps,)).model


class Tuned(nn.Module):
    """A trunk that is left alone, in eval mode always, and a new head."""

    def __init__(self, trunk, width, classes):
        super().__init__()
        self.trunk = trunk.requires_grad_(False).eval()
        self.head = dense(width, 32, classes)

    def train(self, mode=True):
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, x):
        return self.head(self.trunk(x))


@BANK.healthy(
    {"way": "lenet", "at": (0,)},
    {"way": "residual", "at": (120, "score")},
    {"way": "distilled", "at": (310, "loss")},
    {"way": "tuned", "at": (0,)},
)
def small_pictures_f(seed, way, at):
    if way == "lenet":
        more = {"goal": 0.92, "steps": 150, "at": at, "keys": ("data", "target")}
        more["step"] = partial(stepping, schedule=stairs(1.0, 37, 0.7))
        by = partial(Adadelta, lr=1.0)
        return learn(tasks.written_digits(), LeNet(), by, F.nll_loss, accuracy, **more)
    if way == "residual":
        more = {"goal": 0.88, "steps": 240, "at": at}
        more["step"] = partial(stepping, schedule=cosine(0.08, 240, 60))
        by = partial(SGD, lr=0.08, momentum=0.9, weight_decay=5e-4)
        task = tasks.shapes(1600, 14, 0.25)

        def augmented(model, batch):
            x = batch[0]
            x = x.flip(3) if torch.rand(()) < 0.5 else x
            return F.cross_entropy(model(x), batch[1])

        return learn(task, residual(5), by, None, accuracy, loss=augmented, **more)
    if way == "distilled":
        (x, y), test = tasks.written_digits()
        teacher = pretrained(picture_net(10, 24), ([x, y], test), 150).eval()
        with torch.no_grad():
            told = teacher(x)
        more = {"goal": 0.88, "steps": 320, "at": at, "loss": distilled}
        more["step"] = partial(stepping, schedule=cosine(4e-3, 320))
        net, by = picture_net(10, 10), partial(Adam, lr=4e-3)
        return learn(([x, y, told], test), net, by, None, accuracy, **more)
    (x, y), (test, truth) = tasks.written_digits()
    low, high, there = y < 5, y > 4, truth > 4
    base = picture_net(5, 16)
    pretrained(base, ([x[low], y[low]], [test, truth]), 60)
    net = Tuned(nn.Sequential(*list(base)[:7], nn.Flatten()), 512, 5)
    by = AdamW(net.head.parameters(), lr=3e-3)
    task = ([x[high], y[high] - 5], [test[there], truth[there] - 5])
    return learn(task, net, lambda _: by, ENTROPY, accuracy, goal=0.9, steps=240, at=at)


def packed(model, batch):
    return F.cross_entropy(model(batch["x"], batch["lengths"]), batch["label"])


def last_states(test):
    x, lengths, y = test
    return examiner(lambda model: (model(x, lengths).argmax(1) == y).float().mean())


@BANK.healthy(
    {"data": "chaos", "at": (0,)},
    {"data": "visits", "at": (200, "loss")},
    {"data": "tones", "at": (240, "score")},
    {"data": "journeys", "at": (60, "loss")},
)
def sequences_f(seed, data, at):
    if data == "chaos":
        task = tasks.chaos(1500, ahead=10)
        more = {"goal": 0.8, "steps": 300, "at": at, "step": partial(stepping, clip=1.0)}
        return learn(task, Forecaster(), partial(Adam, lr=5e-3), nn.MSELoss(), explained, **more)
    if data == "visits":
        train, test = tasks.visits(2800)
        batches = batched(train, 50, ("x", "lengths", "label"))
        net = Packed()
        by = RMSprop(net.parameters(), lr=3e-3)
        step = stepping(packed, clip=5.0)
        run = Run(net, packed, batches, by, last_states(test), 0.8, 400, step=step)
        return run.handed(*at)
    if data == "tones":
        more = {"goal": 0.85, "steps": 250, "at": at}
        task = tasks.tones(1400, 80, 0.3)
        return learn(task, Causal(4), partial(Adam, lr=4e-3), ENTROPY, accuracy, **more)
    more = {"goal": 0.9, "steps": 180, "at": at, "step": partial(stepping, clip=0.5)}
    judge, net = partial(accuracy, ignore=-100), Tagger(kind=nn.GRU)
    return learn(tasks.journeys(), net, partial(Adagrad, lr=0.05), ENTROPY, judge, **more)
