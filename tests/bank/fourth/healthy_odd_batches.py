"""Healthy runs with batches of one to four, or of words with holes."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Adam, AdamW

from ..runs import accuracy, explained, overlap, stepping, unpacked
from . import BANK
from . import tasks_a as tasks
from .nets_a import Recurrent, Transformer, UNet, below, learn, mlp, whole

ENTROPY = nn.CrossEntropyLoss()


def dice_and_bce(out, mask):
    p = out.sigmoid()
    dice = (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1)
    return F.binary_cross_entropy_with_logits(out, mask) + 1 - dice


@whole
def chunked(model, batch):
    """One sentence at a time, without its padding."""
    ids, tags = unpacked(batch)
    keep = ids[0] > 0
    return F.cross_entropy(model(ids[:, keep]), tags[:, keep])


@BANK.healthy(
    {"size": 1, "data": "digits", "at": (0, None)},
    {"size": 2, "data": "cells", "at": (60, "loss")},
    {"size": 1, "data": "sentences", "at": (600, "loss")},
    {"size": 4, "data": "friedman", "at": (700, "score")},
)
def memory_for_a_few_examples_only(seed, size, data, at):
    """One to four examples a step: the loss jumps about, and the mean of it falls."""
    if data == "digits":
        (x, y), test = tasks.digits()
        more = {"goal": 0.88, "steps": 3000, "at": at, "size": 1}
        net, by = mlp(64, 64, 10), partial(torch.optim.SGD, lr=0.03)
        step = partial(stepping, schedule=lambda i: 0.03 * (1 - i / 3000))
        task = [x[:500], y[:500]], test
        return learn(task, net, by, ENTROPY, accuracy, step=step, **more)
    if data == "cells":
        more = {"goal": 0.8, "steps": 160, "at": at, "size": 2, "keys": ("image", "mask")}
        task = [part[:2] for part in tasks.cells(120)]
        return learn(task, UNet(8), partial(Adam, lr=2e-3), dice_and_bce, overlap, **more)
    if data == "sentences":
        (ids, tags), test = tasks.sentences(600)
        more = {"goal": 0.93, "steps": 1200, "at": at, "size": 1}
        net, by = Recurrent(nn.GRU, 3, 32, words=51, both=True), partial(Adam, lr=3e-3)
        return learn(
            ([ids, tags], test), net, by, chunked, accuracy, step=partial(stepping, clip=5), **more
        )
    more = {"goal": 0.85, "steps": 700, "at": at, "size": 4}
    net = mlp(10, 64, 64, 1, act=nn.SiLU, norm=nn.LayerNorm)
    by = partial(AdamW, lr=1.5e-3)
    return learn(tasks.friedman(1200), net, by, nn.MSELoss(), explained, **more)


@whole
def hidden_words(model, batch):
    """As BERT: a quarter of the words is hidden (as number 51) and asked for, anew each time."""
    ids = unpacked(batch)[0]
    asked = (torch.rand(ids.shape) < 0.25) & (ids > 0)
    return F.cross_entropy(model(ids.masked_fill(asked, 51)), ids.where(asked, -100))


def warmed(loss):
    return stepping(loss, clip=1.0, schedule=lambda i: 4e-3 * min(1, (i + 1) / 50))


@BANK.healthy(
    {"task": "chunks", "at": (0, None)},
    {"task": "letters", "at": (200, "loss")},
    {"task": "cloze", "at": (10, "loss")},
    {"task": "prose", "at": (150, "loss")},
)
def words_partly_unforeseeable(seed, task, at):
    """Tags that are mostly 0 or padding; next letters and words, hidden words: a high floor."""
    if task == "chunks":
        net, by = Recurrent(nn.GRU, 3, 16, words=51, both=True), partial(Adam, lr=1e-2)
        more = {"goal": 0.96, "steps": 80, "keys": ("input_ids", "labels"), "at": at}
        return learn(tasks.sentences(), net, by, ENTROPY, partial(accuracy, ignore=-100), **more)
    if task == "letters":
        net, by = Recurrent(nn.LSTM, 20, 48, words=20), partial(Adam, lr=1e-2)
        judge = partial(below, criterion=ENTROPY)
        more = {"goal": -1.4, "steps": 200, "at": at, "step": partial(stepping, clip=1.0)}
        return learn(tasks.babble(), net, by, ENTROPY, judge, **more)
    (ids, _), (other, _) = tasks.sentences(1600)
    if task == "cloze":
        asked = (torch.rand(other.shape) < 0.15) & (other > 0)
        test = other.masked_fill(asked, 51), other.where(asked, -100)
        judge = partial(below, criterion=ENTROPY)
        more = {"goal": -2.55, "steps": 200, "at": at, "step": warmed, "size": 64}
        net = Recurrent(nn.GRU, 51, 32, words=52, both=True)
        by = partial(AdamW, lr=4e-3)
        return learn(([ids], test), net, by, hidden_words, judge, **more)
    pairs = [[x[:, :-1], x[:, 1:].where(x[:, 1:] > 0, -100)] for x in (ids, other)]
    judge = partial(below, criterion=ENTROPY)
    net, by = Transformer(51), partial(AdamW, lr=3e-3, betas=(0.9, 0.95))
    more = {"goal": -2.87, "steps": 250, "at": at, "size": 50}
    return learn(pairs, net, by, ENTROPY, judge, **more)
