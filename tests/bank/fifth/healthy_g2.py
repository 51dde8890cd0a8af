"""Healthy runs on sequences, and U-Nets."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW, NAdam, RMSprop

from ..runs import (
    Run,
    accuracy,
    batched,
    examiner,
    explained,
    overlap,
    stepping,
    supervised_run,
)
from . import BANK
from . import tasks_g as tasks
from .nets_g import (
    Attentive,
    Forecaster,
    Patches,
    Reader,
    Tagger,
    Translator,
    UNet,
    several,
    share_right,
)

ENTROPY = nn.CrossEntropyLoss()
bce = F.binary_cross_entropy_with_logits


def mood_of_reviews():
    """Packed sentences, with their lengths."""
    train, test = tasks.reviews(6000, 18)
    model, loss = Reader(60, 32, 2, nn.LSTM), several(ENTROPY)
    optimizer = Adam(model.parameters(), lr=5e-3)
    batches = batched(train, 64, ("ids", "lengths", "label"))
    step = stepping(loss, clip=1.0)
    return Run(model, loss, batches, optimizer, share_right(test), 0.88, 250, step=step)


def tags_of_commands():
    (ids, _, tags), (held, _, truth) = tasks.commands(1800)
    model = Tagger(30, 32, 4, nn.GRU, both=True)
    optimizer = NAdam(model.parameters(), lr=4e-3)
    judge = partial(accuracy, ignore=-100)
    more = {"goal": 0.9, "steps": 250, "size": 48, "keys": ("words", "tags")}
    return supervised_run(([ids, tags], [held, truth]), model, optimizer, ENTROPY, judge, **more)


def hours_to_come():
    model = Forecaster(24, nn.LSTM)
    optimizer = RMSprop(model.parameters(), lr=3e-3)
    more = {"goal": 0.85, "steps": 250, "size": 64}
    return supervised_run(tasks.load(), model, optimizer, nn.MSELoss(), explained, **more)


def letters_to_come():
    """Two layers and dropout, as in the example of word_language_model; SGD and clipping."""
    tokens, letters = tasks.story(30000)
    model = Tagger(letters, 48, letters, nn.GRU, layers=2, drop=0.1)
    optimizer = SGD(model.parameters(), lr=4.0)
    step = partial(stepping, clip=0.25, schedule=lambda i: 4.0 if i < 200 else 1.0)
    more = {"goal": 0.72, "steps": 250, "size": 20, "step": step}
    task = tasks.windows(tokens, 35)
    return supervised_run(task, model, optimizer, ENTROPY, accuracy, **more)


@BANK.healthy(
    {"make": mood_of_reviews, "at": (120, "score")},
    {"make": tags_of_commands, "at": (0, None)},
    {"make": hours_to_come, "at": (245, "loss")},
    {"make": letters_to_come, "at": (0, None)},
)
def lstm_or_gru_g(seed, make, at):
    return make().handed(*at)


def patches_of_digits():
    model = Patches(10, 32, layers=2)
    optimizer = AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    step = partial(stepping, clip=1.0, schedule=lambda i: 3e-3 * (1 + math.cos(i / 600 * 3.1)) / 2)
    more = {"goal": 0.88, "steps": 600, "size": 32, "step": step}
    return supervised_run(tasks.digits(0.75), model, optimizer, ENTROPY, accuracy, **more)


def next_token():
    """The targets are made within the loss."""
    model = Attentive(12, 48, 12, 15, causal=True)
    optimizer = AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.1)
    rows = tasks.chains(4000, states=12)

    def loss(model, batch):
        ids = batch["input_ids"]
        return F.cross_entropy(model(ids[:, :-1]), ids[:, 1:])

    held = rows[3400:]

    def number(model):
        said = model(held[:, :-1]).argmax(1)
        return (said == held[:, 1:])[:, 1:].float().mean()

    batches = batched([rows[:3400]], 64, ("input_ids",))
    step = stepping(loss, clip=1.0)
    return Run(model, loss, batches, optimizer, examiner(number), 0.78, 300, step=step)


def filled_gaps():
    """A seventh and more of the letters are masked by the last code, and to be guessed."""
    tokens, letters = tasks.story(30000)
    train, test = tasks.windows(tokens, 24)
    model = Attentive(letters + 1, 32, letters, 24, layers=1)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim < 2]
    optimizer = AdamW([{"params": decayed}, {"params": rest, "weight_decay": 0.0}], lr=5e-3)

    def masked(ids):
        hidden = torch.rand(ids.shape) < 0.2
        return ids.masked_fill(hidden, letters), ids.masked_fill(~hidden, -100)

    def loss(model, batch):
        ids, labels = masked(batch[0])
        return F.cross_entropy(model(ids), labels, ignore_index=-100)

    examine = accuracy(masked(test[0]), ignore=-100)
    return Run(model, loss, batched(train[:1], 64), optimizer, examine, 0.6, 350)


def turned_round():
    """Encoder and decoder, the right answer so far fed in."""
    ids = torch.randint(1, 10, (4000, 6))
    train, test = tasks.split(ids, ids.flip(1), share=0.9)
    model = Translator(10, 32, 6)
    optimizer = Adam(model.parameters(), lr=2e-3)

    def loss(model, batch):
        source, target = batch["source"], batch["target"]
        return F.cross_entropy(model(source, target), target, label_smoothing=0.05)

    def number(model):
        said = torch.zeros_like(test[1])
        for i in range(6):
            said[:, i] = model(test[0], said).argmax(1)[:, i]
        return (said == test[1]).float().mean()

    batches = batched(train, 64, ("source", "target"))
    return Run(model, loss, batches, optimizer, examiner(number), 0.9, 350)


@BANK.healthy(
    {"make": patches_of_digits, "at": (0, None)},
    {"make": next_token, "at": (290, "loss")},
    {"make": filled_gaps, "at": (150, "loss")},
    {"make": turned_round, "at": (350, None)},
)
def attention_g(seed, make, at):
    return make().handed(*at)


def bce_and_dice(out, mask):
    p = out.sigmoid()
    both = (p * mask).sum((1, 2, 3))
    dice = (2 * both + 1) / (p.sum((1, 2, 3)) + mask.sum((1, 2, 3)) + 1)
    return bce(out, mask) + 1 - dice.mean()


def unet_cells():
    model = UNet(1, 8)
    optimizer = Adam(model.parameters(), lr=3e-3)
    more = {"goal": 0.68, "steps": 160, "size": 16, "keys": ("image", "mask")}
    return supervised_run(tasks.cells(500), model, optimizer, bce_and_dice, overlap, **more)


def unet_tissue():
    """Ground, border and core; the mean of the three overlaps is the score."""
    train, (held, truth) = tasks.tissue(600)
    model = UNet(3, 8, "group")
    optimizer = AdamW(model.parameters(), lr=4e-3)

    def number(model):
        said = model(held).argmax(1)
        pairs = [(said == c, truth == c) for c in range(3)]
        return torch.stack([(a & b).sum() / (a | b).sum() for a, b in pairs]).mean()

    def loss(model, batch):
        return F.cross_entropy(model(batch["x"]), batch["y"])

    batches = batched(train, 12, ("x", "y"))
    return Run(model, loss, batches, optimizer, examiner(number), 0.55, 250)


def unet_heartbeats():
    model = UNet(1, 8, dims=1)
    optimizer = RMSprop(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-8)
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0))
    more = {"goal": 0.65, "steps": 250, "size": 32, "step": partial(stepping, clip=1.0)}
    return supervised_run(tasks.heartbeats(1200), model, optimizer, loss, overlap, **more)


class Cleaner(nn.Module):
    """Guesses the noise, and takes it away."""

    def __init__(self):
        super().__init__()
        self.body = UNet(1, 12, "none")

    def forward(self, x):
        return x - self.body(x)


def unet_textures():
    model = Cleaner()
    optimizer = Adam(model.parameters(), lr=2e-3)
    more = {"goal": 0.78, "steps": 300, "size": 24, "keys": ("noisy", "clean")}
    return supervised_run(tasks.textures(1500), model, optimizer, F.l1_loss, explained, **more)


@BANK.healthy(
    {"make": unet_cells, "at": (0, None)},
    {"make": unet_tissue, "at": (240, "loss")},
    {"make": unet_heartbeats, "at": (100, "loss")},
    {"make": unet_textures, "at": (0, None)},
)
def unets_g(seed, make, at):
    return make().handed(*at)
