"""Healthy runs on texts and series: short texts, forecasts, language models, structured outputs."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adadelta, Adam, AdamW, NAdam, RMSprop

from ..runs import Run, accuracy, examiner, explained, stepping, supervised
from . import BANK
from . import nets_k as nets
from . import tasks_k as tasks
from .tasks_k import judged, made

ENTROPY = nn.CrossEntropyLoss()


def warm_cosine(done, steps, warm, peak, floor=0.05):
    if done < warm:
        return peak * (done + 1) / warm
    part = min(1.0, (done - warm) / (steps - warm))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * part)))


def halved(done, every, first):
    return first * 0.5 ** (done // every)


def collate(texts, labels):
    """As in torchtext's tutorial: labels, all texts in one row, where each begins."""
    lengths = torch.tensor([0] + [len(text) for text in texts[:-1]])
    return labels, torch.cat(texts), lengths.cumsum(0)


def news():
    def loss(model, batch):
        label, text, offsets = batch
        return F.cross_entropy(model(text, offsets), label)

    texts, labels = tasks.topical(4000)
    starts = range(0, 3008, 32)
    batches = [collate(texts[i : i + 32], labels[i : i + 32]) for i in starts]
    label, text, offsets = collate(texts[3040:], labels[3040:])
    judge = examiner(lambda model: (model(text, offsets).argmax(1) == label).float().mean())
    model = nets.Bag(120, 32, 5)
    optimizer = SGD(model.parameters(), lr=5.0)
    step = stepping(loss, clip=0.1, schedule=partial(halved, every=470, first=5.0))
    return Run(model, loss, batches, optimizer, judge, 0.85, 1100, step)


def kim():
    def loss(model, batch):
        return F.cross_entropy(model(batch["text"]), batch["label"].long())

    def number(model, ids, lengths, label):
        return (model(ids).argmax(1) == label).float().mean()

    model, keys = nets.TextCNN(80, 32, 24, 2), ("text", "lengths", "label")
    optimizer = Adadelta(model.parameters(), lr=1.0, weight_decay=1e-5)
    return made(tasks.opinions(4000), model, optimizer, loss, judged(number), 0.85, 500, 50, keys)


def packed():
    def loss(model, batch):
        ids, lengths, label = batch
        return F.binary_cross_entropy_with_logits(model(ids, lengths), label)

    def number(model, ids, lengths, label):
        return ((model(ids, lengths) > 0) == (label > 0.5)).float().mean()

    model = nets.PackedLSTM(80, 24, 32)
    optimizer = Adam(model.parameters(), lr=5e-3)
    task = tasks.opinions(4000)
    return made(task, model, optimizer, loss, judged(number), 0.9, 220, 64, clip=1.0)


def reader():
    def loss(model, batch):
        ids, _, label = batch
        return F.cross_entropy(model(ids), label.long(), label_smoothing=0.1)

    def number(model, ids, lengths, label):
        return (model(ids).argmax(1) == label).float().mean()

    model = nets.Reader(80, 32, 2, 18, 2)
    optimizer = AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = partial(warm_cosine, steps=450, warm=45, peak=5e-3)
    how = {"clip": 1.0, "schedule": schedule}
    return made(tasks.opinions(5000), model, optimizer, loss, judged(number), 0.78, 450, **how)


@BANK.healthy(
    {"make": news, "at": (500, "loss")},
    {"make": kim, "at": (0, None)},
    {"make": packed, "at": (200, "score")},
    {"make": reader, "at": (6, "loss")},
)
def short_texts_k(seed, make, at):
    return make().handed(*at)


def load_of_tomorrow():
    model = nets.Seq2One(32, 12)
    optimizer = Adam(model.parameters(), lr=5e-3)
    task = tasks.power_load(180)
    return made(task, model, optimizer, supervised(nn.MSELoss()), explained, 0.8, 250, 48)


def henon():
    model = nets.tcn(24)
    optimizer = NAdam(model.parameters(), lr=3e-3)
    loss, keys = supervised(nn.HuberLoss(delta=0.5)), ("series", "shifted")
    return made(tasks.chaos(1000), model, optimizer, loss, explained, 0.93, 400, 32, keys)


def symmetric_error(told, y):
    """Symmetric mean absolute percentage error."""
    return 200 * ((told - y).abs() / (told.abs() + y.abs() + 1e-8)).mean()


def many_shops():
    def number(model, past, future):
        naive = past[:, -1:].expand_as(future)
        return 1 - symmetric_error(model(past), future) / symmetric_error(naive, future)

    model = nets.NBeats(36, 8)
    optimizer = AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
    loss = supervised(symmetric_error)
    task = tasks.sales(3000)
    return made(task, model, optimizer, loss, judged(number), 0.75, 600, 64, clip=5.0)


def two_linear_maps():
    model = nets.DLinear(60, 20)
    optimizer = Adam(model.parameters(), lr=5e-3)
    task = tasks.sensors(1600)
    return made(task, model, optimizer, supervised(nn.MSELoss()), explained, 0.88, 350, 32)


@BANK.healthy(
    {"make": load_of_tomorrow, "at": (125, "loss")},
    {"make": henon, "at": (0, None)},
    {"make": many_shops, "at": (560, "loss")},
    {"make": two_linear_maps, "at": (0, None)},
)
def forecasts_k(seed, make, at):
    return make().handed(*at)


def nano():
    stream, letters = tasks.rhymes(16000)
    model = nets.LM(letters, 48, 2, 32)
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = AdamW(groups, lr=5e-3, betas=(0.9, 0.95))
    how = {"clip": 1.0, "schedule": partial(warm_cosine, steps=350, warm=30, peak=5e-3)}
    task = tasks.windows(stream, 32)
    return made(task, model, optimizer, supervised(ENTROPY), accuracy, 0.85, 350, 24, **how)


def tied():
    stream, words = tasks.grammar(2500)
    model = nets.RNNModel(words, 48)
    optimizer = SGD(model.parameters(), lr=20.0)
    how = {"clip": 0.25, "schedule": partial(halved, every=300, first=20.0)}
    task = tasks.windows(stream, 20)
    return made(task, model, optimizer, supervised(ENTROPY), accuracy, 0.52, 700, 20, **how)


def made_names():
    train, test = tasks.names(3000)
    model = nets.ngram(15)
    optimizer = SGD(model.parameters(), lr=0.1)
    how = {"schedule": lambda done: 0.1 if done < 1000 else 0.01}
    task = train, test
    return made(task, model, optimizer, supervised(ENTROPY), accuracy, 0.56, 1200, 64, **how)


def hidden_words():
    stream, words = tasks.grammar(6000)
    task = tasks.masked(stream, 16, words - 1)
    model = nets.BothSides(words, 48)
    optimizer = AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = partial(warm_cosine, steps=450, warm=30, peak=6e-3)
    how = {"clip": 1.0, "schedule": schedule, "keys": ("input_ids", "labels")}
    return made(task, model, optimizer, supervised(ENTROPY), accuracy, 0.68, 450, 32, **how)


@BANK.healthy(
    {"make": nano, "at": (0, None)},
    {"make": tied, "at": (350, "loss")},
    {"make": made_names, "at": (1100, "loss")},
    {"make": hidden_words, "at": (300, "loss")},
)
def language_models_k(seed, make, at):
    return make().handed(*at)


def names_in_sentences():
    def loss(model, batch):
        return -model.log_likelihood(*batch).mean()

    def number(model, ids, tags):
        there = tags >= 0
        return (model.decode(ids, there) == tags)[there].float().mean()

    model = nets.CRF(45, 16, 5)
    optimizer = Adam(model.parameters(), lr=0.01, weight_decay=1e-5)
    task = tasks.entities(1600)
    return made(task, model, optimizer, loss, judged(number), 0.94, 150, 32)


def collapsed(path):
    """Repeats and blanks taken out of the best path."""
    kept = torch.unique_consecutive(path)
    return kept[kept != 0]


def what_was_said():
    criterion = nn.CTCLoss(blank=0, zero_infinity=True)

    def loss(model, batch):
        sound, symbols, lengths = batch
        told = model(sound).transpose(0, 1)
        frames = torch.full((len(sound),), len(told))
        return criterion(told, symbols, frames, lengths)

    def number(model, sound, symbols, lengths):
        paths = model(sound).argmax(2)
        right = [
            torch.equal(collapsed(path), line[:n])
            for path, line, n in zip(paths, symbols, lengths, strict=True)
        ]
        return torch.tensor(right).float().mean()

    model = nets.Listener(8, 24, 4)
    optimizer = Adam(model.parameters(), lr=5e-3)
    task = tasks.spoken(1600)
    return made(task, model, optimizer, loss, judged(number), 0.9, 250, 32, clip=5.0)


def backwards():
    def loss(model, batch):
        source, target = batch["src"], batch["trg"]
        told = model(source, target[:, :-1])
        return F.cross_entropy(told.flatten(0, 1), target[:, 1:].flatten(), ignore_index=0)

    def number(model, source, target):
        said = model.translate(source, target.shape[1] - 1)
        return ((said == target) | (target == 0)).all(1).float().mean()

    model = nets.Translator(11, 40)
    optimizer = RMSprop(model.parameters(), lr=2e-3)
    task = tasks.mirrored(3000)
    more = {"keys": ("src", "trg"), "clip": 1.0}
    return made(task, model, optimizer, loss, judged(number), 0.85, 450, 48, **more)


def where_it_stands():
    def loss(model, batch):
        ids, span = batch
        start, end = model(ids)
        return (F.cross_entropy(start, span[:, 0] - 1) + F.cross_entropy(end, span[:, 1] - 1)) / 2

    def number(model, ids, span):
        start, end = model(ids)
        said = torch.stack([start.argmax(1), end.argmax(1)], 1) + 1
        return (said == span).all(1).float().mean()

    model = nets.Spans(40, 24)
    optimizer = AdamW(model.parameters(), lr=3e-3)
    task = tasks.questions(3000)
    return made(task, model, optimizer, loss, judged(number), 0.9, 400, 48, clip=1.0)


@BANK.healthy(
    {"make": names_in_sentences, "at": (75, "loss")},
    {"make": what_was_said, "at": (0, None)},
    {"make": backwards, "at": (420, "loss")},
    {"make": where_it_stands, "at": (370, None)},
)
def structured_outputs_k(seed, make, at):
    return make().handed(*at)
