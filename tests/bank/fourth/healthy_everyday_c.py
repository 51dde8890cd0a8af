"""Healthy runs of the ordinary sort: tables, small images, series, words, autoencoders."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from ..runs import accuracy, examiner, explained, stepping, supervised_run, yes_or_no
from . import BANK
from . import nets_c as nets
from . import tasks_c as tasks
from .nets_c import AutoEncoder, Encoder, LeNet, Recurrent, Tagger, TextCNN, mlp

momentum = partial(SGD, momentum=0.9)


def exercise(seed, data, net, opt, fit, judge, *, before=0, shown=None, **more):
    """A run as handed over: what everything below has in common."""
    model = net()
    task = data(np.random.default_rng(seed))
    run = supervised_run(task, model, opt(model.parameters()), fit, judge, **more)
    return run.handed(before, shown)


def answers(judge, pick=lambda out: out, inputs=2):
    """The judge for models with two inputs, or with a dict as their answer."""

    def made(test):
        arguments, target = test[:inputs], test[-1]

        class Called(nn.Module):
            def __init__(self, model):
                super().__init__()
                self.model = model

            def forward(self, _):
                return pick(self.model(*arguments))

        return lambda model: judge((arguments[0], target))(Called(model).train(model.training))

    return made


@BANK.healthy(
    {"data": tasks.wine, "net": lambda: mlp(13, 32, 3), "opt": partial(momentum, lr=0.05),
     "goal": 0.9, "steps": 200, "size": 16},
    {"data": tasks.clusters, "net": lambda: mlp(16, 128, 64, 4, norm=nn.BatchNorm1d, drop=0.2),
     "opt": partial(Adam, lr=3e-3), "goal": 0.88, "steps": 400, "before": 200, "shown": "loss"},
    {"data": tasks.clusters, "net": lambda: mlp(16, 96, 96, 4, act=nn.GELU), "size": 64,
     "opt": partial(AdamW, lr=2e-3, weight_decay=0.01), "goal": 0.88, "steps": 300, "before": 300,
     "shown": "score", "keys": ("features", "label")},
    {"data": partial(tasks.digits, flat=True), "net": lambda: mlp(64, 128, 10, drop=0.2),
     "opt": partial(RMSprop, lr=2e-3), "goal": 0.94, "steps": 400, "size": 50, "before": 25,
     "shown": "loss"},
)  # fmt: skip
def columns_into_classes(seed, **more):
    return exercise(seed, fit=nn.CrossEntropyLoss(), judge=accuracy, **more)


def rmse(pred, target):
    return torch.sqrt(F.mse_loss(pred, target))


@BANK.healthy(
    {"data": tasks.friedman, "net": lambda: mlp(8, 64, 64, 1), "opt": partial(Adam, lr=3e-3),
     "fit": nn.MSELoss(), "goal": 0.92, "steps": 400, "before": 200, "shown": "loss"},
    {"data": tasks.houses, "net": lambda: mlp(5, 64, 32, 1, drop=0.05), "fit": rmse,
     "opt": partial(AdamW, lr=4e-3), "goal": 0.87, "steps": 500, "before": 500, "shown": "score"},
    {"data": tasks.buildings, "net": lambda: mlp(6, 64, 64, 3, act=nn.Tanh), "fit": nn.MSELoss(),
     "opt": partial(momentum, lr=0.05), "goal": 0.9, "steps": 600, "keys": ("x", "y")},
    {"data": tasks.bikes, "net": lambda: mlp(6, 64, 64, 1, last=[nn.Flatten(0)]), "size": 64,
     "fit": nn.SmoothL1Loss(), "opt": partial(RMSprop, lr=2e-3), "goal": 0.95, "steps": 400,
     "before": 60, "shown": "loss"},
)  # fmt: skip
def amounts_from_columns(seed, **more):
    """Number targets, one or three, standardised."""
    return exercise(seed, judge=explained, **more)


@BANK.healthy(
    {"data": tasks.digits, "net": lambda: LeNet(8, 10, width=12), "opt": partial(momentum, lr=0.05),
     "goal": 0.94, "steps": 450, "before": 30, "shown": "loss"},
    {"data": tasks.displays, "net": lambda: nets.blocks(1, 16, 32, 32, classes=10),
     "opt": partial(Adam, lr=5e-3), "goal": 0.95, "steps": 300, "before": 150, "shown": "score",
     "keys": ("image", "digit")},
    {"data": tasks.shapes, "net": lambda: nets.blocks(3, 16, 32, classes=4, act=nn.SiLU),
     "opt": partial(AdamW, lr=5e-3, weight_decay=0.05), "goal": 0.95, "steps": 250},
    {"data": partial(tasks.digits, size=28), "fit": F.nll_loss, "size": 32,
     "net": lambda: LeNet(28, 10, width=6, drop=0.3, log=True), "opt": partial(Adam, lr=3e-3),
     "goal": 0.95, "steps": 300, "before": 300, "shown": "loss"},
)  # fmt: skip
def pictures_into_classes(seed, fit=F.cross_entropy, **more):
    return exercise(seed, fit=fit, judge=accuracy, **more)


@BANK.healthy(
    {"data": tasks.waves, "net": lambda: Recurrent(nn.RNN, 1, 32, 1), "fit": nn.MSELoss(),
     "judge": explained, "opt": partial(Adam, lr=3e-3), "goal": 0.96, "steps": 300},
    {"data": tasks.motion, "net": lambda: Recurrent(nn.GRU, 3, 32, 4), "fit": F.cross_entropy,
     "judge": accuracy, "opt": partial(Adam, lr=5e-3), "goal": 0.96, "steps": 250, "before": 250,
     "shown": "score"},
    {"data": tasks.names, "fit": F.cross_entropy, "judge": accuracy, "goal": 0.88, "steps": 350,
     "net": lambda: Recurrent(nn.GRU, 16, 24, 4, words=25, bidirectional=True),
     "opt": partial(AdamW, lr=4e-3), "before": 40, "shown": "loss", "keys": ("chars", "lang")},
    {"data": tasks.driven, "net": lambda: Recurrent(nn.LSTM, 1, 24, 1, every=True),
     "fit": nn.MSELoss(), "judge": explained, "opt": partial(RMSprop, lr=5e-3), "goal": 0.96,
     "steps": 300, "before": 150, "shown": "loss"},
)  # fmt: skip
def one_after_the_other(seed, **more):
    """Recurrent nets over numbers and letters: the next, a class, an answer to each."""
    return exercise(seed, **more)


@BANK.healthy(
    {"data": tasks.topics, "opt": partial(Adam, lr=0.01), "goal": 0.9, "steps": 250,
     "net": lambda: nn.Sequential(nn.EmbeddingBag(90, 32), nn.Linear(32, 6)),
     "before": 125, "shown": "loss"},
    {"data": tasks.reviews, "opt": partial(Adam, lr=2e-3), "goal": 0.96, "steps": 400,
     "net": lambda: TextCNN(60, 24, 24, 2), "keys": ("text", "sentiment")},
    {"data": tasks.reviews, "opt": partial(Adam, lr=5e-3), "goal": 0.96, "steps": 400,
     "net": lambda: Recurrent(nn.LSTM, 24, 32, 2, words=60), "before": 400, "shown": "score"},
    {"data": tasks.topics, "opt": partial(AdamW, lr=2e-3), "goal": 0.87, "steps": 300,
     "net": lambda: Encoder(90, 32, 6, 16), "before": 40, "shown": "loss"},
)  # fmt: skip
def texts_into_classes(seed, **more):
    return exercise(seed, fit=nn.CrossEntropyLoss(), judge=accuracy, **more)


def again(test):
    """The share of the variance, about each column's mean, that is reconstructed."""
    truth = test[0] if test[-1].shape != test[0].shape else test[-1]
    spread = (truth - truth.mean(0)).square().sum()
    return examiner(lambda model: 1 - (model(test[0]) - truth).square().sum() / spread)


def to_itself(fit):
    return lambda model, batch: fit(model(batch[0]), batch[0])


@BANK.healthy(
    {"data": partial(tasks.digits, flat=True), "opt": partial(Adam, lr=3e-3), "goal": 0.82,
     "steps": 600, "loss": to_itself(nn.MSELoss()), "before": 300, "shown": "loss", "net": lambda:
     AutoEncoder(mlp(64, 128, 16), mlp(16, 128, 64, last=[nn.Sigmoid()]))},
    {"data": partial(tasks.digits, flat=True), "opt": partial(AdamW, lr=3e-3), "goal": 0.84,
     "steps": 600, "loss": to_itself(nn.BCELoss()), "net": lambda:
     AutoEncoder(mlp(64, 96, 20, act=nn.ELU), mlp(20, 96, 64, act=nn.ELU, last=[nn.Sigmoid()]))},
    {"data": partial(tasks.digits, size=16), "opt": partial(Adam, lr=3e-3), "goal": 0.87,
     "steps": 500, "loss": to_itself(F.mse_loss), "net": lambda: nets.conv_autoencoder(1, 12, 24),
     "before": 500, "shown": "loss"},
    {"data": tasks.sensors, "opt": partial(RMSprop, lr=1e-3), "goal": 0.95, "steps": 500,
     "fit": nn.MSELoss(), "keys": ("noisy", "clean"), "before": 50, "shown": "score", "net": lambda:
     AutoEncoder(mlp(20, 48, 4, act=nn.Tanh), mlp(4, 48, 20, act=nn.Tanh))},
)  # fmt: skip
def through_a_bottleneck(seed, fit=None, **more):
    """Autoencoders: dense, convolutional, denoising."""
    return exercise(seed, fit=fit, judge=again, **more)


def squeezed(criterion):
    def bce(model, batch):
        x, y = batch["x"], batch["y"]
        return criterion(model(x).squeeze(-1), y)

    return bce


@BANK.healthy(
    {"data": tasks.moons, "net": lambda: mlp(2, 32, 32, 1), "opt": partial(momentum, lr=0.1),
     "loss": squeezed(nn.BCEWithLogitsLoss()), "keys": ("x", "y"), "goal": 0.95, "steps": 500,
     "before": 50, "shown": "loss"},
    {"data": tasks.cancer, "net": lambda: mlp(30, 16, 8, 1, last=[nn.Sigmoid()]), "size": 16,
     "opt": partial(Adam, lr=2e-3), "loss": squeezed(nn.BCELoss()), "keys": ("x", "y"),
     "judge": partial(yes_or_no, threshold=0.5), "goal": 0.92, "steps": 250},
    {"data": tasks.spam, "net": lambda: mlp(40, 64, 1, drop=0.3, last=[nn.Flatten(0)]),
     "opt": partial(AdamW, lr=2e-3), "fit": F.binary_cross_entropy_with_logits, "goal": 0.88,
     "steps": 300, "before": 150, "shown": "score"},
    {"data": tasks.passengers, "net": lambda: nets.WithCategories(2, (2, 3, 3), 4, 64),
     "opt": partial(Adam, lr=4e-3), "judge": answers(yes_or_no), "goal": 0.93, "steps": 400,
     "loss": lambda model, b: F.binary_cross_entropy_with_logits(model(b[0], b[1]), b[2]),
     "before": 400, "shown": "loss"},
)  # fmt: skip
def yes_or_no_by_one_number(seed, fit=None, judge=yes_or_no, **more):
    return exercise(seed, fit=fit, judge=judge, **more)


@BANK.healthy(
    {"data": tasks.iris, "net": lambda: mlp(4, 3), "opt": partial(SGD, lr=0.3), "goal": 0.88,
     "steps": 300, "size": 15, "before": 150, "shown": "loss"},
    {"data": tasks.cancer, "net": lambda: mlp(30, 4, 2), "opt": partial(Adam, lr=5e-3),
     "goal": 0.92, "steps": 300, "size": 10,
     "loss": lambda model, b: F.cross_entropy(model(b[0]), b[1].long())},
    {"data": partial(tasks.digits, flat=True), "net": lambda: mlp(64, 1024, 10), "size": 64,
     "opt": partial(momentum, lr=0.1), "goal": 0.94, "steps": 500, "before": 500, "shown": "loss"},
    {"data": tasks.wine, "net": lambda: mlp(13, 512, 512, 3), "opt": partial(Adam, lr=5e-4),
     "goal": 0.92, "steps": 120, "size": 12, "before": 100, "shown": "score"},
)  # fmt: skip
def little_that_suffices_or_much_that_fits_all(seed, **more):
    """A linear model, four units; a thousand units until the training loss is next to nothing."""
    return exercise(seed, fit=nn.CrossEntropyLoss(), judge=accuracy, **more)


def rated(model, batch):
    off = model(batch["user"], batch["item"]) - batch["stars"]
    return off.pow(2).mean() + 1e-4 * sum(p.pow(2).sum() for p in model.parameters())


def two_tasks(model, batch):
    x, y = batch[0], batch[1].squeeze(1)
    out = model(x)
    return F.cross_entropy(out["kind"], (y > 0).long()) + 0.5 * F.mse_loss(out["amount"], y)


def train_step(loss):
    """As a thesis has it: train mode, clipped at a norm of 1."""

    def step(model, optimizer, batch):
        model.train()
        value = loss(model, batch)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        return value.detach().item()

    return step


def falling(rate, steps):
    """A step with the rate on a cosine from `rate` down to a hundredth of it."""
    return lambda loss: stepping(
        loss, schedule=lambda i: rate * (0.505 + 0.495 * np.cos(np.pi * min(i / steps, 1)))
    )


@BANK.healthy(
    {"data": tasks.ratings, "net": lambda: nets.Factors(60, 50, 4), "opt": partial(Adam, lr=0.01),
     "keys": ("user", "item", "stars"), "size": 64, "loss": rated, "judge": answers(explained),
     "goal": 0.84, "steps": 600, "before": 300, "shown": "loss"},
    {"data": tasks.priced, "net": lambda: nets.PictureAndNumbers(2), "opt": partial(Adam, lr=2e-3),
     "loss": lambda model, b: F.mse_loss(model(b[0], b[1]), b[2]), "judge": answers(explained),
     "step": train_step, "goal": 0.86, "steps": 450},
    {"data": tasks.tagged, "net": lambda: Tagger(nn.LSTM, 24, 32, 5, words=31, every=True),
     "opt": partial(AdamW, lr=0.01), "fit": F.cross_entropy, "judge": accuracy, "size": 16,
     "step": falling(0.01, 350), "goal": 0.97, "steps": 350, "before": 350, "shown": "score"},
    {"data": tasks.friedman, "net": lambda: nets.TwoHeads(8, 64, 2), "opt": partial(Adam, lr=3e-3),
     "loss": two_tasks, "step": train_step, "goal": 0.89, "steps": 500, "before": 40,
     "judge": answers(explained, lambda out: out["amount"], inputs=1), "shown": "loss"},
)  # fmt: skip
def loops_and_losses_of_ones_own(seed, fit=None, **more):
    return exercise(seed, fit=fit, **more)
