"""Tables, texts, series, ratings, lists, graphs and lifetimes: the data of author k."""

import numpy as np
import torch
from sklearn.datasets import load_digits

from ..runs import Run, batched, examiner, stepping


def dice():
    """A numpy generator that follows torch's seed."""
    return np.random.default_rng(int(torch.randint(2**31, ())))


def floats(array):
    return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float32)


def longs(array):
    return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.long)


def split(*tensors, share=0.75):
    cut = int(share * len(tensors[0]))
    return [t[:cut] for t in tensors], [t[cut:] for t in tensors]


def scaled(values, share=0.75):
    known = values[: int(share * len(values))]
    return (values - known.mean(0)) / (known.std(0) + 1e-8)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def made(task, model, optimizer, loss, judge, goal, steps, size=64, keys=(), **how):
    """A run of shuffled batches of the first half of `task`, judged on the second."""
    train, test = task
    step = stepping(loss, **how) if how else None
    return Run(model, loss, batched(train, size, keys), optimizer, judge(test), goal, steps, step)


def area(scores, right):
    """The area under the ROC curve."""
    rank = scores.flatten().argsort().argsort().float() + 1
    right = right.flatten() > 0.5
    ones, n = right.sum(), right.numel()
    return (rank[right].sum() - ones * (ones + 1) / 2) / (ones * (n - ones))


def f1(said, right):
    """Micro-averaged."""
    right = right > 0.5
    return 2 * (said & right).sum() / (said.sum() + right.sum())


def judged(number):
    """An examiner from `number(model, *test)`."""
    return lambda test: examiner(lambda model: number(model, *test))


# tables


def shop(n):
    """Three categorical and five numeric columns; three classes of customers."""
    rng = dice()
    codes = rng.integers(0, [12, 30, 7], (n, 3))
    raw = np.column_stack([rng.normal(size=(n, 4)), rng.lognormal(3, 1, n)])
    numbers = scaled(np.column_stack([raw[:, :4], np.log1p(raw[:, 4])]))
    region, brand, season = rng.normal(size=(12, 2)), rng.normal(size=30), rng.normal(size=7)
    score = (region[codes[:, 0]] * numbers[:, :2]).sum(1) + 1.2 * brand[codes[:, 1]]
    score += season[codes[:, 2]] * numbers[:, 4] + np.abs(numbers[:, 2]) * 1.5
    score += 0.15 * rng.normal(size=n)
    label = np.digitize(score, np.quantile(score, [1 / 3, 2 / 3]))
    return split(longs(codes), floats(numbers), longs(label))


def rents(n):
    """District, kind of flat, size, age, floor, distance: the scaled logarithm of the rent."""
    rng = dice()
    codes = rng.integers(0, [20, 4], (n, 2))
    size, age = rng.gamma(6, 12, n) + 15, rng.uniform(0, 120, n)
    floor, far = rng.integers(0, 9, n), rng.gamma(2, 3, n)
    district, elasticity = rng.normal(0, 0.35, 20), rng.uniform(0.4, 1.0, 4)
    rent = district[codes[:, 0]] + elasticity[codes[:, 1]] * np.log(size / 70)
    rent += 0.3 * ((age - 55) / 60) ** 2 - 0.4 * np.exp(-far / 3) * (floor > 4)
    rent += 0.05 * rng.normal(size=n)
    numbers = scaled(np.column_stack([np.log(size), age, floor, far]))
    return split(longs(codes), floats(numbers), floats(scaled(rent)))


def clicks(n, fields=5, values=8):
    """Categorical fields whose pairs decide on the click."""
    rng = dice()
    codes = rng.integers(0, values, (n, fields))
    hidden = rng.normal(size=(fields, values, 3))
    chosen = hidden[np.arange(fields), codes]
    whole = chosen.sum(1)
    pairs = ((whole**2).sum(1) - (chosen**2).sum((1, 2))) / 2
    click = rng.random(n) < sigmoid(1.2 * pairs)
    return split(longs(codes + values * np.arange(fields)), floats(click))


def several_targets(n, features=10):
    """A table with two smooth targets of different noise and a class."""
    rng = dice()
    x = rng.normal(size=(n, features))
    one = np.sin(1.5 * x[:, 0]) + x[:, 1] * x[:, 2]
    two = np.abs(x[:, 3]) + 0.5 * one + 0.3 * rng.normal(size=n)
    kind = (x[:, 4] * x[:, 1] > 0).astype(int) + (one > 0.3)
    return split(floats(x), floats(scaled(np.column_stack([one, two]))), longs(kind))


def census(n):
    """Two related yes-or-no questions about the same people."""
    rng = dice()
    x = rng.normal(size=(n, 12))
    shared = x[:, 0] * x[:, 1] + np.abs(x[:, 2]) - 0.8
    income = shared + 0.8 * x[:, 3] + 0.2 * rng.normal(size=n) > 0
    married = shared - 0.8 * x[:, 4] * x[:, 5] + 0.2 * rng.normal(size=n) > 0
    return split(floats(x), floats(income), floats(married))


def assays(n, tasks=5):
    """Several measured properties of a compound, most of them missing."""
    rng = dice()
    x = (rng.random((n, 40)) < 0.3).astype(float)
    hidden = np.tanh((x - 0.3) @ rng.normal(0, 0.9, (40, 6)))
    y = scaled(hidden @ rng.normal(size=(6, tasks)) + 0.1 * rng.normal(size=(n, tasks)))
    there = rng.random((n, tasks)) < 0.4
    return split(floats(x), floats(np.where(there, y, 0.0)), floats(there), floats(y))


def symptoms(n, labels=6):
    """Rare findings, each decided by two of the measurements together."""
    rng = dice()
    x = rng.normal(size=(n, 12))
    first, second = np.arange(labels), np.arange(labels) + 6
    signal = x[:, first] + np.abs(x[:, second]) + 0.15 * rng.normal(size=(n, labels))
    return split(floats(x), floats(signal > 1.9))


def uneven(n):
    """A curve in four dimensions with noise that grows and shrinks."""
    rng = dice()
    x = rng.uniform(-2, 2, (n, 4))
    mean = np.sin(2 * x[:, 0]) + 0.5 * x[:, 1] ** 2
    spread = 0.05 + 0.6 * sigmoid(3 * x[:, 2])
    return split(floats(x), floats(mean + spread * rng.normal(size=n)))


def delays(n):
    """Skewed waiting times whose scale depends on load and hour."""
    rng = dice()
    load, hour, other = rng.uniform(0, 1, n), rng.uniform(0, 24, n), rng.normal(size=(n, 3))
    scale = 0.3 + 2.0 * load**2 * (1.2 + np.sin(hour / 24 * 2 * np.pi))
    y = 1.5 * np.abs(other[:, 0]) + scale * rng.gamma(1.5, 1.0, n)
    clock = np.column_stack([np.sin(hour / 12 * np.pi), np.cos(hour / 12 * np.pi)])
    return split(floats(np.column_stack([scaled(load), clock, other])), floats(y))


def claims(n):
    """Numbers of claims in a time under risk."""
    rng = dice()
    x = rng.normal(size=(n, 6))
    log_rate = 0.5 + 0.8 * np.abs(x[:, 0]) - 0.8 * (x[:, 1] * x[:, 2]).clip(-2, 2) + 0.4 * x[:, 3]
    exposure = rng.uniform(0.2, 1.0, n)
    return split(floats(x), floats(exposure), floats(rng.poisson(exposure * np.exp(log_rate))))


def two_branches(n):
    """The inverse of y -> y + 0.3 sin(2 pi y): several answers for one question."""
    rng = dice()
    y = rng.uniform(0, 1, n)
    x = y + 0.3 * np.sin(2 * np.pi * y) + 0.03 * rng.normal(size=n)
    return split(floats(x[:, None] * 4 - 2), floats(y * 4 - 2))


def lifetimes(n, shape=1.8):
    """Covariates, times until death or censoring, and which of the two it was."""
    rng = dice()
    x = rng.normal(size=(n, 8))
    risk = 1.3 * x[:, 0] * x[:, 1] + 1.2 * np.abs(x[:, 2]) - 0.9 * x[:, 3]
    death = np.exp(-risk / shape) * rng.weibull(shape, n)
    leave = rng.exponential(np.quantile(death, 0.8), n)
    return split(floats(x), floats(np.minimum(death, leave)), floats(death <= leave))


def two_hospitals(n):
    """Labelled rows of one place and unlabelled, shifted rows of another."""
    rng = dice()
    x = rng.normal(size=(2 * n, 12))
    label = x[:, 0] * x[:, 1] + 0.8 * x[:, 2] > 0
    place = np.arange(2 * n) % 2
    x[:, 9:] += 1.5 * (place[:, None] - 0.5)
    return split(floats(x), longs(label), longs(place))


def digit_rows():
    rng, data = dice(), load_digits()
    order = rng.permutation(len(data.target))
    return floats(data.data[order] / 8 - 1), longs(data.target[order])


# texts


def topical(n, topics=5, words=120, length=(6, 24)):
    """Texts of a topic as lists of word numbers, with stop words in between."""
    rng = dice()
    weights = rng.dirichlet(np.full(words, 0.08), topics) * 0.45 + 0.55 / words
    label = rng.integers(0, topics, n)
    texts = [rng.choice(words, rng.integers(*length), p=weights[y]) for y in label]
    return [longs(text) for text in texts], longs(label)


def opinions(n, longest=18):
    """Texts with one or three polar words, half of them negated; 0 pads, 1 is "not"."""
    rng = dice()
    ids, length, label = np.zeros((n, longest), int), np.zeros(n, int), np.zeros(n)
    for row in range(n):
        total, text = 0, []
        for _ in range(rng.choice([1, 3])):
            good, turned = rng.random(2) < 0.5
            total += 1 if good != turned else -1
            text += list(rng.integers(42, 80, rng.integers(0, 4)))
            text += [1] * int(turned) + [rng.integers(2, 22) if good else rng.integers(22, 42)]
        text += list(rng.integers(42, 80, rng.integers(0, 3)))
        text = text[:longest]
        ids[row, : len(text)], length[row], label[row] = text, len(text), total > 0
    return split(longs(ids), longs(length), floats(label))


def tagged_articles(n, topics=8, words=160, longest=30):
    """Articles on one to three topics: ids (0 pads) and which topics."""
    rng = dice()
    weights = rng.dirichlet(np.full(words, 0.05), topics)
    ids, tags = np.zeros((n, longest), int), np.zeros((n, topics))
    for row in range(n):
        chosen = rng.choice(topics, rng.integers(1, 4), replace=False)
        tags[row, chosen] = 1
        for place in range(rng.integers(18, longest + 1)):
            stop = rng.random() < 0.35
            word = rng.integers(words) if stop else rng.choice(words, p=weights[rng.choice(chosen)])
            ids[row, place] = 1 + word
    return split(longs(ids), floats(tags))


def sites(n, length=60):
    """DNA with binding sites of four proteins, one of them in two spellings."""
    rng = dice()
    dna = rng.integers(0, 4, (n, length))
    spelt = [rng.integers(0, 4, 7) for _ in range(5)]
    found = rng.random((n, 4)) < 0.35
    for row in range(n):
        slots = rng.permutation(length // 10)
        for protein in np.flatnonzero(found[row]):
            site = spelt[4] if protein == 3 and rng.random() < 0.5 else spelt[protein]
            at = slots[protein] * 10 + rng.integers(0, 3)
            dna[row, at : at + 7] = site
    return split(floats(np.eye(4)[dna].transpose(0, 2, 1)), floats(found))


def grammar(sentences):
    """Sentences of word numbers with agreement in gender and number; 30 words and a full stop."""
    rng = dice()
    stream = []
    for _ in range(sentences):
        gender, many, tense = rng.integers(0, [3, 2, 2])
        stream += [1 + gender * 2 + many]
        if rng.random() < 0.5:
            stream += [7 + rng.integers(3)]
        stream += [10 + gender * 2 + rng.choice(2, p=[0.8, 0.2]), 16 + many * 2 + tense]
        other = rng.integers(0, 3)
        stream += [1 + other * 2, 20 + other * 2 + rng.choice(2, p=[0.85, 0.15])]
        stream += [26 + tense * 2 + many, 0]
    return longs(stream), 32


WORDS = "amber basket candle dragon engine forest garden hammer island jacket".split()


def rhymes(letters):
    """Text in letters: every word calls for one of two others."""
    rng = dice()
    follows = np.stack([rng.choice(10, 2, replace=False) for _ in range(10)])
    word, text = 0, ""
    while len(text) < letters:
        text += WORDS[word] + (". " if rng.random() < 0.15 else " ")
        word = follows[word][int(rng.random() < 0.25)]
    alphabet = sorted(set(text))
    return longs([alphabet.index(letter) for letter in text]), len(alphabet)


def names(n, letters=14):
    """Names from a chain that looks two letters back; 0 begins and ends them."""
    rng = dice()
    common = np.array([0.7, 0.15, 0.1, 0.05] + [0.0] * (letters - 4))
    chain = rng.permuted(np.tile(common, (letters + 1, letters + 1, 1)), axis=2)
    contexts, nexts = [], []
    for _ in range(n):
        context, stop = [0, 0, 0], rng.integers(4, 9)
        for _ in range(stop):
            letter = 1 + rng.choice(letters, p=chain[context[-2], context[-1]])
            contexts.append(context)
            nexts.append(letter)
            context = [*context[1:], letter]
    return split(longs(contexts), longs(nexts))


def windows(stream, length):
    """Pieces of a stream and the same pieces one later."""
    starts = range(0, len(stream) - length - 1, length)
    x = torch.stack([stream[i : i + length] for i in starts])
    y = torch.stack([stream[i + 1 : i + length + 1] for i in starts])
    return split(x, y)


def masked(stream, length, mask, share=0.2):
    """Pieces with hidden words; the targets are -100 where nothing is hidden."""
    x = windows(stream, length)
    out = []
    for pieces, _ in x:
        hide = torch.rand(pieces.shape) < share
        out.append([pieces.masked_fill(hide, mask), pieces.masked_fill(~hide, -100)])
    return out


def commands(n, longest=12):
    """Requests with an intent and a slot for each word (-100 where padded)."""
    rng = dice()
    ids, slots = np.zeros((n, longest), int), np.full((n, longest), -100)
    intent = rng.integers(0, 4, n)
    for row in range(n):
        text, tags = [], []
        for kind in rng.permutation(3)[: rng.integers(1, 4)]:
            noise = rng.integers(0, 2)
            text += list(rng.integers(30, 45, noise)) + [1 + kind, 10 + rng.integers(12)]
            tags += [0] * (noise + 1) + [1 + kind]
        place = rng.integers(0, len(text) + 1)
        text.insert(place, 22 + 2 * intent[row] + rng.integers(2))
        tags.insert(place, 0)
        if rng.random() < 0.15:
            text.append(45), tags.append(0)
        ids[row, : len(text)], slots[row, : len(text)] = text[:longest], tags[:longest]
    return split(longs(ids), longs(intent), longs(slots))


# sequences


def entities(n, longest=14):
    """Sentences with names of one to three parts, tagged B, I, O; -100 pads."""
    rng = dice()
    ids, tags = np.zeros((n, longest), int), np.full((n, longest), -100)
    for row in range(n):
        text, said = [], []
        while len(text) < rng.integers(7, longest - 3):
            if rng.random() < 0.35:
                kind, parts = rng.integers(2), rng.integers(1, 4)
                text += [1 + kind, *rng.integers(5, 25, parts)]
                said += [0, 1 + 2 * kind, *([2 + 2 * kind] * (parts - 1))]
            else:
                text.append(rng.integers(5, 45) if rng.random() < 0.3 else rng.integers(25, 45))
                said.append(0)
        ids[row, : len(text)], tags[row, : len(text)] = text[:longest], said[:longest]
    return split(longs(ids), longs(tags))


def spoken(n, symbols=4, frames=32):
    """Noisy frames in which a few symbols are held for unknown times."""
    rng = dice()
    sound = rng.normal(size=(symbols, 8))
    x, y = 0.3 * rng.normal(size=(n, frames, 8)), np.zeros((n, 5), int)
    lengths = rng.integers(2, 6, n)
    for row in range(n):
        at = rng.integers(0, 3)
        for place in range(lengths[row]):
            symbol, held = rng.integers(symbols), rng.integers(3, 5)
            x[row, at : at + held] += sound[symbol]
            y[row, place], at = 1 + symbol, at + held + rng.integers(1, 3)
    return split(floats(x), longs(y), longs(lengths))


def mirrored(n, symbols=8, longest=6):
    """Strings and the same strings backwards, with end marks; 0 pads, 1 begins, 2 ends."""
    rng = dice()
    x, y = np.zeros((n, longest), int), np.zeros((n, longest + 2), int)
    for row in range(n):
        text = rng.integers(3, 3 + symbols, rng.integers(3, longest + 1))
        x[row, : len(text)] = text
        y[row, : len(text) + 2] = [1, *text[::-1], 2]
    return split(longs(x), longs(y))


def questions(n, length=22):
    """A marker asked for, a text with several, and where its answer begins and ends."""
    rng = dice()
    x, span = rng.integers(8, 40, (n, length)), np.zeros((n, 2), int)
    asked = rng.integers(2, 6, n)
    for row in range(n):
        for marker, slot in zip(range(2, 6), rng.permutation(4), strict=True):
            at, parts = 1 + slot * 5 + rng.integers(2), rng.integers(1, 3)
            x[row, at], x[row, at + 1 + parts] = marker, 6
            if marker == asked[row]:
                span[row] = at + 1, at + parts
    x[:, 0] = asked
    return split(longs(x), longs(span))


def power_load(days, past=48, ahead=12):
    """Hourly load with a day, a week and weather that lingers: windows of past and future."""
    rng, hours = dice(), np.arange(days * 24)
    week = np.where((hours // 24) % 7 >= 5, 0.6, 1.0)
    load = week * (np.sin(hours / 24 * 2 * np.pi) + 0.4 * np.sin(hours / 12 * 2 * np.pi + 1))
    weather = np.zeros(len(hours))
    for i in range(1, len(hours)):
        weather[i] = 0.95 * weather[i - 1] + 0.06 * rng.normal()
    load = floats(scaled(load + weather + 0.03 * rng.normal(size=len(hours))))
    pieces = load.unfold(0, past + ahead, 3)
    return split(pieces[:, :past], pieces[:, past:])


def chaos(n, length=40):
    """Series of the Henon map, seen with the next value as the target at every place."""
    rng = dice()
    x, y = rng.uniform(-0.1, 0.1, (2, n))
    seen = []
    for _ in range(60 + length + 1):
        x, y = 1 - 1.4 * x**2 + y, 0.3 * x
        seen.append(x)
    series = floats(np.stack(seen[60:], 1) + 0.01 * rng.normal(size=(n, length + 1)))
    return split(series[:, None, :-1], series[:, None, 1:])


def sales(n, past=36, ahead=8):
    """Many short series of different level, trend and period."""
    rng, t = dice(), np.arange(past + ahead)
    level, trend = rng.uniform(5, 60, (n, 1)), rng.normal(0, 0.006, (n, 1))
    period, phase = rng.choice([4, 6, 9], (n, 1)), rng.uniform(0, 2 * np.pi, (n, 1))
    shape = 1 + 0.25 * np.sin(2 * np.pi * t / period + phase) + trend * t
    series = floats(level * (shape + 0.03 * rng.normal(size=shape.shape)))
    return split(series[:, :past], series[:, past:])


def sensors(steps, channels=6, past=60, ahead=20):
    """Channels with a day, half days of own size, and a drift that returns: windows."""
    rng, t = dice(), np.arange(steps)[:, None]
    size, phase = rng.uniform(0.4, 0.8, channels), rng.uniform(0, 6, channels)
    drift = np.zeros((steps, channels))
    for i in range(1, steps):
        drift[i] = 0.9 * drift[i - 1] + rng.normal(0, 0.05, channels)
    wave = np.sin(2 * np.pi * t / 24 + phase) + size * np.sin(2 * np.pi * t / 12)
    series = floats(scaled(wave + drift + 0.1 * rng.normal(size=wave.shape)))
    pieces = series.unfold(0, past + ahead, 2).transpose(1, 2)
    return split(pieces[:, :past], pieces[:, past:])


def memory(n, length=50, lag=3):
    """White noise in, a product of earlier values out (as in reservoir computing)."""
    rng = dice()
    u = rng.uniform(-1, 1, (n, length))
    y = np.zeros((n, length))
    y[:, lag:] = u[:, lag:] * 0.5 + u[:, : length - lag] * 1.0
    y[:, 2:] += 1.2 * u[:, 1:-1] * u[:, :-2]
    return split(floats(u[..., None]), floats(scaled(y.ravel()).reshape(n, length)))


# ratings and lists


def ratings(n, users=250, items=150, rank=3):
    """Stars from one to five by user and film."""
    rng = dice()
    p, q = rng.normal(size=(users, rank)), rng.normal(size=(items, rank))
    user, item = rng.integers(0, users, n), rng.integers(0, items, n)
    taste = (p[user] * q[item]).sum(1) * 0.55
    taste += rng.normal(0, 0.35, users)[user] + rng.normal(0, 0.4, items)[item]
    stars = np.clip(np.round(3.3 + taste + 0.25 * rng.normal(size=n)), 1, 5)
    return split(longs(user), longs(item), floats(stars), share=0.85)


def carts(users=300, items=100, each=14, groups=6):
    """Which items each user took: by two tastes out of several; a matrix of 0 and 1."""
    rng = dice()
    lure = np.where(rng.random((groups, items)).argsort(1) < 16, 1.0, 0.02)
    taken = np.zeros((users, items))
    for row in range(users):
        taste = lure[rng.choice(groups, 2, replace=False)].sum(0)
        taken[row, rng.choice(items, each, replace=False, p=taste / taste.sum())] = 1
    hidden = (rng.random(taken.shape) < 0.25) * taken
    return floats(taken - hidden), floats(hidden)


def triples(seen, n):
    """Users, items they took, and items they did not take."""
    rng, known = dice(), seen.numpy()
    user, item = np.nonzero(known)
    row = rng.integers(0, len(user), n)
    other = rng.integers(0, known.shape[1], n)
    fine = known[user[row], other] == 0
    return longs(user[row])[fine], longs(item[row])[fine], longs(other)[fine]


def sessions(n, items=40, length=12):
    """Clicks whose next depends on the last two; 0 pads in front."""
    rng = dice()
    table = rng.integers(1, items, (8, items))
    x = np.zeros((n, length), int)
    for row in range(n):
        first = length - rng.integers(6, length + 1)
        before = rng.integers(1, items)
        for place in range(first, length):
            likely = table[before % 8, x[row, place - 1]]
            usual = rng.random() < 0.85 and place > first
            before = x[row, place - 1]
            x[row, place] = likely if usual else rng.integers(1, items)
    return split(longs(x[:, :-1]), longs(x[:, 1:]))


def queries(n, docs=12, features=10):
    """Lists of documents, padded, with grades from 0 to 4; -1 pads the grades."""
    rng = dice()
    x = rng.normal(size=(n, docs, features))
    worth = x[..., 0] * x[..., 1] + np.abs(x[..., 2]) + 0.7 * x[..., 3]
    worth += 0.15 * rng.normal(size=worth.shape)
    grade = np.digitize(worth, np.quantile(worth, [0.4, 0.65, 0.83, 0.94])).astype(float)
    there = np.arange(docs) < rng.integers(6, docs + 1, (n, 1))
    return split(floats(x * there[..., None]), floats(np.where(there, grade, -1)), floats(there))


def matches(n, words=60):
    """Questions and answers, as word counts, that share a hidden theme."""
    rng = dice()
    theme = rng.normal(size=(n, 6))
    ask, tell = rng.normal(size=(6, words)), rng.normal(size=(6, words))
    left = rng.poisson(np.exp(np.clip(0.6 * theme @ ask - 0.5, -4, 2.5)))
    right = rng.poisson(np.exp(np.clip(0.6 * theme @ tell - 0.5, -4, 2.5)))
    return split(floats(np.log1p(left)), floats(np.log1p(right)))


# graphs


def citations(n=300, classes=4):
    """One graph of papers that cite their own field; weak words, few labels."""
    rng = dice()
    y = rng.integers(0, classes, n)
    near = rng.random((n, n)) < np.where(y[:, None] == y, 0.08, 0.006)
    edges = np.triu(near, 1)
    x = rng.normal(size=(n, 16)) + 1.0 * np.eye(classes, 16)[y]
    known = np.zeros(n)
    for kind in range(classes):
        known[rng.permutation(np.flatnonzero(y == kind))[:16]] = 1
    return floats(x), floats(edges + edges.T), longs(y), floats(known)


def ring(rng, size):
    a = np.zeros((size, size))
    a[np.arange(size), (np.arange(size) + 1) % size] = 1
    return a


def tree(rng, size):
    a = np.zeros((size, size))
    for node in range(1, size):
        a[node, rng.integers(node)] = 1
    return a


def cliques(rng, size):
    a, half = np.zeros((size, size)), size // 2
    a[:half, :half] = a[half:, half:] = 1
    a[0, half] = 1
    return a


def star(rng, size):
    a = np.zeros((size, size))
    a[np.arange(2, size), rng.integers(0, 2, size - 2)] = 1
    a[0, 1] = 1
    return a


def shapes_of_graphs(n, largest=12):
    """Padded graphs of four families with a few random edges more, nodes shuffled."""
    rng = dice()
    adjacency, there = np.zeros((n, largest, largest)), np.zeros((n, largest))
    label = rng.integers(0, 4, n)
    for row in range(n):
        size = rng.integers(7, largest + 1)
        a = (ring, tree, cliques, star)[label[row]](rng, size)
        for i, j in rng.integers(0, size, (rng.integers(0, 3), 2)):
            a[i, j] = 1
        order = rng.permutation(size)
        a = np.clip(a + a.T, 0, 1)[order][:, order]
        np.fill_diagonal(a, 0)
        adjacency[row, :size, :size], there[row, :size] = a, 1
    return split(floats(adjacency), floats(there), longs(label))


def molecules(n, largest=9):
    """Atoms of five kinds, bonds of three, a property that sums over the bonds; padded with 0."""
    rng = dice()
    atoms, bonds = np.zeros((n, largest), int), np.zeros((n, largest, largest), int)
    worth, pull = rng.normal(size=6), rng.normal(size=(6, 6))
    pull, strength, y = pull + pull.T, np.array([0, 0.5, 1.0, 1.8]), np.zeros(n)
    for row in range(n):
        size = rng.integers(5, largest + 1)
        atoms[row, :size] = rng.integers(1, 6, size)
        for i in range(1, size):
            j = rng.integers(max(0, i - 3), i)
            bonds[row, i, j] = bonds[row, j, i] = rng.integers(1, 4)
            y[row] += strength[bonds[row, i, j]] * pull[atoms[row, i], atoms[row, j]]
        y[row] += 0.5 * worth[atoms[row, :size]].sum()
    return split(longs(atoms), longs(bonds), floats(scaled(y + 0.05 * rng.normal(size=n))))


def friends(n=160, groups=5):
    """One graph with hidden circles: known links, and held-out links with as many non-links."""
    rng = dice()
    circle = rng.integers(0, groups, n)
    a = np.triu(rng.random((n, n)) < np.where(circle[:, None] == circle, 0.45, 0.006), 1)
    links = rng.permutation(np.argwhere(a))
    cut = int(0.85 * len(links))
    known = np.zeros((n, n))
    known[links[:cut, 0], links[:cut, 1]] = 1
    pairs = np.triu(np.ones((n, n)), 1) * (1 - a)
    none = rng.permutation(np.argwhere(pairs))[: len(links) - cut]
    return floats(known + known.T), longs(links[:cut]), longs(links[cut:]), longs(none)
