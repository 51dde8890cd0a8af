"""Healthy runs: batches of one to four, masks, padded words, batches sorted by length."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.optim import AdamW, RMSprop

from ..runs import Run, accuracy, examiner, explained, overlap, supervised, unpacked
from . import BANK
from . import tasks_a as tasks
from .nets_a import KITS, Attention, Causal, Gru, Reader, adam, dense, learn, sgd


@BANK.healthy(
    {"kit": "clusters", "size": 1, "by": sgd(0.02, 0.0), "goal": 0.85, "steps": 1500},
    {"kit": "echo", "size": 2, "by": adam(1e-3), "goal": 0.95, "steps": 1000, "at": (500, "loss")},
    {"kit": "glyphs", "size": 3, "by": adam(2e-3), "goal": 0.9, "steps": 900, "at": (900, "loss")},
    {"kit": "walks", "size": 4, "by": adam(3e-3), "goal": 0.9, "steps": 600, "at": (60, None)},
)
def one_to_four_a_batch(seed, kit, size, **how):
    """No statistics of the batch within; small steps, many of them."""
    model = {
        "clusters": lambda: dense(10, 48, 4),
        "glyphs": lambda: nn.Sequential(
            *(nn.Conv2d(1, 12, 5), nn.GroupNorm(3, 12), nn.ReLU()),
            *(nn.Conv2d(12, 24, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten()),
            nn.Linear(24, 6),
        ),
    }.get(kit, lambda: KITS[kit].model(1))()
    number = kit in ("echo", "walks")
    more = {"criterion": F.mse_loss, "judge": explained} if number else {}
    return learn(kit, model=model, size=size, task=KITS[kit].task(360 * size), **more, **how)


def dice(out, mask):
    p = out.sigmoid().flatten(1)
    mask = mask.flatten(1)
    return (1 - (2 * (p * mask).sum(1) + 1) / (p.sum(1) + mask.sum(1) + 1)).mean()


def tversky(out, mask, misses=0.7, gamma=0.75):
    """The focal Tversky loss: misses cost more than false alarms."""
    p = out.sigmoid()
    hits, missed, false = (p * mask).sum(), ((1 - p) * mask).sum(), (p * (1 - mask)).sum()
    return (1 - (hits + 1) / (hits + misses * missed + (1 - misses) * false + 1)) ** gamma


def jaccard_and_bce(out, mask):
    p = out.sigmoid()
    both = (p * mask).sum()
    iou = both / (p.sum() + mask.sum() - both)
    return F.binary_cross_entropy_with_logits(out, mask) - iou.log()


class SkipNet(nn.Module):
    """Down, up, and past."""

    def __init__(self, width=8):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU())
        self.deep = nn.Sequential(
            *(nn.MaxPool2d(2), nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU()),
            nn.ConvTranspose2d(2 * width, width, 2, 2),
        )
        self.out = nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, x):
        x = self.down(x)
        return self.out(torch.cat([x, self.deep(x)], 1))


def fully_conv(width=10, norm=True, act=nn.ReLU):
    parts = []
    for a, gap in ((1, 1), (width, 2), (width, 4)):
        parts += [nn.Conv2d(a, width, 3, padding=gap, dilation=gap)]
        parts += [*[nn.BatchNorm2d(width)] * norm, act()]
    return nn.Sequential(*parts, nn.Conv2d(width, 1, 1))


@BANK.healthy(
    {"way": "dice", "by": adam(3e-3), "goal": 0.73},
    {"way": "tversky", "by": adam(5e-3), "goal": 0.72, "at": (240, "loss")},
    {"way": "iou", "by": sgd(0.1), "goal": 0.83, "at": (20, "score")},
    {"way": "smaller", "by": adam(3e-3, AdamW), "goal": 0.8, "at": (120, "loss")},
)
def few_pixels_marked(seed, way, **how):
    """Two to six pixels of a hundred are the cell's."""
    net, radius, criterion = {
        "dice": (SkipNet, 2.0, dice),
        "tversky": (fully_conv, 1.5, tversky),
        "iou": (SkipNet, 2.5, jaccard_and_bce),
        "smaller": (fully_conv, 1.8, dice),
    }[way]
    more = {"task": tasks.cells(radius=radius, noise=0.35), "criterion": criterion, "size": 16}
    return learn("cells", model=net(), judge=overlap, steps=240, **more, **how)


def ahead(task, ignored):
    """Next words as labels; `ignored` where there are none."""
    return tuple((ids[:, :-1], ids[:, 1:].where(ids[:, 1:] > 0, ignored)) for (ids,) in task)


def tagged(task):
    """A word's tag depends on the word before it, too; padding is -100."""
    return tuple(
        (ids, ((ids % 3 + ids.roll(1, 1) % 3) % 3).where(ids > 0, -100)) for (ids,) in task
    )


def cloze(task):
    """A quarter of the words is hidden (word 1) and asked for."""
    made = []
    for (ids,) in task:
        hidden = (torch.rand(ids.shape) < 0.25) & (ids > 0)
        made.append((ids.masked_fill(hidden, 1), ids.where(hidden, -100)))
    return tuple(made)


def masked_mean(model, batch):
    ids, labels, mask = unpacked(batch)
    return (F.cross_entropy(model(ids), labels, reduction="none") * mask).sum() / mask.sum()


@BANK.healthy(
    {"form": "tags", "by": adam(5e-3), "goal": 0.93, "at": (200, "loss")},
    {"form": "next", "by": adam(8e-3, RMSprop), "goal": 0.77, "at": (400, "loss")},
    {"form": "cloze", "by": adam(4e-3, AdamW), "goal": 0.7, "steps": 600},
    {"form": "mask", "by": adam(5e-3), "goal": 0.77, "at": (100, "score")},
)
def padded_words(seed, form, **how):
    """Tags, the next word (by a GRU, by convolutions), hidden words; no loss for the padding."""
    task = tasks.chains()
    if form == "tags":
        body = Gru(16, 16, batch_first=True, bidirectional=True)
        model, task = Reader(20, 3, 16, body, 32, each=True), tagged(task)
    elif form == "next":
        model = Reader(20, 20, 16, Gru(16, 32, batch_first=True), 32, each=True)
        task = ahead(task, 0)
        how["criterion"] = nn.CrossEntropyLoss(ignore_index=0)
    elif form == "cloze":
        model, task = Reader(20, 20, 32, Attention(32), each=True), cloze(task)
    else:
        model, task = Reader(20, 20, 24, Causal(24, 32, 2), 32, each=True), ahead(task, 0)
        task = tuple((*part, (part[1] > 0).float()) for part in task)
        how["loss"] = masked_mean
    keys = {"tags": ("tokens", "tags"), "cloze": ("input_ids", "labels")}.get(form, ())
    judge = partial(accuracy, ignore=-100 if form in ("tags", "cloze") else 0)
    return learn(form, task=task, model=model, keys=keys, judge=judge, **how)


class Packed(nn.Module):
    """An LSTM's last state of texts that are sorted, the longest first."""

    def __init__(self, words=30, width=24):
        super().__init__()
        self.embed = nn.Embedding(words, 16)
        self.lstm, self.out = nn.LSTM(16, width, batch_first=True), nn.Linear(width, 2)

    def forward(self, ids, lengths):
        packed = pack_padded_sequence(self.embed(ids), lengths, True, enforce_sorted=False)
        return self.out(self.lstm(packed)[1][0][-1])


def ctc(model, batch):
    frames, n_frames, said, n_said = unpacked(batch)
    return F.ctc_loss(model(frames).log_softmax(2).transpose(0, 1), said, n_frames, n_said)


def collate(made):
    frames, said = zip(*made, strict=True)
    counts = (torch.tensor([len(part) for part in parts]) for parts in (frames, said))
    n_frames, n_said = counts
    return pad_sequence(frames, True), n_frames, pad_sequence(said, True), n_said


def said_right(test):
    """The share of sequences that are read without a mistake."""
    frames, n_frames, said, n_said = collate(test)

    def number(model):
        best, right = model(frames).argmax(2), 0
        for path, n, truth, m in zip(best, n_frames, said, n_said, strict=True):
            path = path[:n].unique_consecutive()
            right += path[path > 0].tolist() == truth[:m].tolist()
        return torch.tensor(right / len(best))

    return examiner(number)


@BANK.healthy(
    {"form": "packed", "by": adam(5e-3), "goal": 0.94, "at": (100, "loss")},
    {"form": "ctc", "by": adam(5e-3), "goal": 0.9, "size": 16, "at": (400, "loss")},
    {"form": "pooled", "by": sgd(0.1), "goal": 0.94, "size": 64},
    {"form": "gru", "by": adam(5e-3), "goal": 0.94, "at": (200, "score")},
)
def sorted_by_length(seed, form, by, goal, at=(0, None), steps=400, size=32):
    """Each batch is cut at its longest example; an epoch goes from the short to the long."""
    loss = supervised(F.cross_entropy)
    if form == "ctc":
        train, test = tasks.strips()
        train = sorted(train, key=lambda pair: len(pair[0]))
        batches = [collate(train[k : k + size]) for k in range(0, len(train), size)]
        model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), Gru(32, 32, batch_first=True))
        model, loss, judge = model.append(nn.Linear(32, 6)), ctc, said_right(test)
    else:
        (ids, y, lengths), test = tasks.reviews()
        order = lengths.argsort()
        pieces = [order[k : k + size] for k in range(0, len(order), size)]
        batches = [(ids[p, : int(lengths[p].max())], y[p], lengths[p]) for p in pieces]
        judge, model = accuracy(test), KITS["reviews"].model(2)
        if form == "packed":
            model, loss = Packed(), lambda m, b: F.cross_entropy(m(b[0], b[2]), b[1])
            judge = examiner(lambda m: (m(test[0], test[2]).argmax(1) == test[1]).float().mean())
        elif form == "gru":
            model = Reader(30, 2, 16, Gru(16, 24, batch_first=True), 24)
        else:
            keys = ("input_ids", "labels", "length")
            batches = [dict(zip(keys, batch, strict=True)) for batch in batches]
    return Run(model, loss, batches, by(model.parameters()), judge, goal, steps).handed(*at)
