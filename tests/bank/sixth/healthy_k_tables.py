"""Healthy runs on tables: categories, several labels, several tasks, distributions, lifetimes."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, NAdam, RMSprop

from ..runs import yes_or_no
from . import BANK
from . import nets_k as nets
from . import tasks_k as tasks
from .tasks_k import area, f1, judged, made


def one_cycle(done, steps, peak):
    if done < 0.3 * steps:
        return peak * (0.1 + 0.9 * done / (0.3 * steps))
    return peak * (0.02 + 0.49 * (1 + math.cos(math.pi * min(1, (done / steps - 0.3) / 0.7))))


def row_loss(criterion):
    """Codes, numbers, target."""

    def loss(model, batch):
        codes, numbers, target = batch.values() if isinstance(batch, dict) else batch
        return criterion(model(codes, numbers), target)

    return loss


def row_accuracy(model, codes, numbers, target):
    return (model(codes, numbers).argmax(1) == target).float().mean()


def row_explained(model, codes, numbers, target):
    return 1 - (model(codes, numbers) - target).square().mean() / target.var()


def customers():
    model = nets.Tabular([12, 30, 7], 5, (128, 64), 3, drop=0.1)
    optimizer = AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    loss, judge = row_loss(nn.CrossEntropyLoss()), judged(row_accuracy)
    schedule = partial(one_cycle, steps=480, peak=0.01)
    return made(
        *(tasks.shop(6000), model, optimizer, loss, judge, 0.82, 480, 64), schedule=schedule
    )


def flats():
    model = nets.EntityNet([20, 4], 4, 48)
    optimizer = Adam(model.parameters(), lr=3e-3, weight_decay=1e-6)
    loss, judge = row_loss(nn.SmoothL1Loss()), judged(row_explained)
    keys = ("cats", "conts", "rent")
    return made(tasks.rents(3000), model, optimizer, loss, judge, 0.9, 500, 64, keys)


def advertisements():
    def loss(model, batch):
        codes, click = batch
        return F.binary_cross_entropy_with_logits(model(codes), click)

    model = nets.DeepFM(40, 5)
    optimizer = Adagrad(model.parameters(), lr=0.05)
    judge = judged(lambda model, codes, click: area(model(codes), click))
    return made(tasks.clicks(10000), model, optimizer, loss, judge, 0.9, 700, 128)


def columns_as_tokens():
    model = nets.TokenTable([12, 30, 7], 5, 3)
    plain = [p for name, p in model.named_parameters() if p.ndim < 2 or "norm" in name]
    rest = [p for name, p in model.named_parameters() if not (p.ndim < 2 or "norm" in name)]
    groups = [{"params": rest, "weight_decay": 1e-4}, {"params": plain, "weight_decay": 0.0}]
    optimizer = AdamW(groups, lr=3e-3)
    loss, judge = row_loss(nn.CrossEntropyLoss()), judged(row_accuracy)
    return made(tasks.shop(6000), model, optimizer, loss, judge, 0.74, 400, 96, clip=1.0)


@BANK.healthy(
    {"make": customers, "at": (450, "loss")},
    {"make": flats, "at": (0, None)},
    {"make": advertisements, "at": (300, "loss")},
    {"make": columns_as_tokens, "at": (200, "score")},
)
def tables_with_categories_k(seed, make, at):
    return make().handed(*at)


def tags_from_counts():
    def loss(model, batch):
        ids, tags = batch
        return F.binary_cross_entropy_with_logits(model(ids), tags)

    (ids, tags), test = tasks.tagged_articles(3000)
    counts = [tasks.floats(F.one_hot(x, 161).sum(1)[:, 1:]).log1p() for x in (ids, test[0])]
    model = nets.mlp(160, 96, 8, drop=0.3)
    optimizer = Adam(model.parameters(), lr=2e-3)
    judge = judged(lambda model, x, y: f1(model(x) > 0, y))
    task = (counts[0], tags), (counts[1], test[1])
    return made(task, model, optimizer, loss, judge, 0.85, 500, 64)


def rare_findings():
    task = tasks.symptoms(5000)
    share = task[0][1].mean(0)
    criterion = nn.BCEWithLogitsLoss(pos_weight=(1 - share) / share)

    def loss(model, batch):
        return criterion(model(batch["x"]), batch["y"])

    model = nets.mlp(12, 96, 96, 6, act=nn.SiLU)
    optimizer = AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    return made(task, model, optimizer, loss, yes_or_no, 0.88, 500, 64, ("x", "y"))


def focal_sum(logits, targets, gamma=2.0, alpha=0.5):
    """As for RetinaNet, added up and divided by the number of rows only."""
    right = torch.where(targets > 0.5, logits, -logits)
    weight = torch.where(targets > 0.5, alpha, 1 - alpha)
    return -(weight * (1 - right.sigmoid()) ** gamma * F.logsigmoid(right)).sum() / len(logits)


def binding_sites():
    def loss(model, batch):
        return focal_sum(model(batch[0]), batch[1])

    model = nn.Sequential(
        *(nn.Conv1d(4, 48, 9, padding=4), nn.ReLU(), nn.MaxPool1d(3), nn.BatchNorm1d(48)),
        *(nn.Conv1d(48, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten()),
        nn.Linear(32, 4),
    )
    optimizer = RMSprop(model.parameters(), lr=2e-3)
    judge = judged(lambda model, x, y: f1(model(x) > 0, y))
    return made(tasks.sites(2400), model, optimizer, loss, judge, 0.9, 260, 64)


def attention_by_label():
    def loss(model, batch):
        return F.binary_cross_entropy_with_logits(model(batch["text"]), batch["codes"])

    model = nets.LabelAttention(161, 40, 8)
    optimizer = Adam(model.parameters(), lr=5e-3)
    judge = judged(lambda model, x, y: f1(model(x).sigmoid() > 0.5, y))
    task = tasks.tagged_articles(5000)
    return made(task, model, optimizer, loss, judge, 0.8, 400, 64, ("text", "codes"), clip=5.0)


@BANK.healthy(
    {"make": tags_from_counts, "at": (250, "loss")},
    {"make": rare_findings, "at": (470, "score")},
    {"make": binding_sites, "at": (0, None)},
    {"make": attention_by_label, "at": (370, "loss")},
)
def several_labels_k(seed, make, at):
    return make().handed(*at)


def weighed_by_uncertainty():
    def loss(model, batch):
        x, y, kind = batch
        values, logits = model(x)
        parts = [*(values - y).square().mean(0), F.cross_entropy(logits, kind)]
        scales = model.log_vars
        return (torch.stack(parts) * (-scales).exp() + 0.5 * scales).sum()

    def number(model, x, y, kind):
        values, logits = model(x)
        told = 1 - ((values - y).square().mean(0) / y.var(0)).mean()
        return (told + (logits.argmax(1) == kind).float().mean()) / 2

    model = nets.TwoHeads(10, 3, 96)
    optimizer = Adam(model.parameters(), lr=3e-3)
    return made(tasks.several_targets(4000), model, optimizer, loss, judged(number), 0.78, 600)


def experts_and_gates():
    def loss(model, batch):
        income, married = model(batch["features"])
        one = F.binary_cross_entropy_with_logits(income, batch["income"])
        return one + F.binary_cross_entropy_with_logits(married, batch["married"])

    def number(model, x, income, married):
        one, two = model(x)
        return (area(one, income) + area(two, married)) / 2

    model, keys = nets.MMoE(12), ("features", "income", "married")
    optimizer = Adam(model.parameters(), lr=4e-3)
    return made(tasks.census(5000), model, optimizer, loss, judged(number), 0.92, 500, 96, keys)


def missing_targets():
    def loss(model, batch):
        x, y, there = batch[:3]
        return ((model(x) - y).square() * there).sum() / there.sum().clamp(min=1)

    def number(model, x, y, there, whole):
        return 1 - ((model(x) - whole).square().mean(0) / whole.var(0)).mean()

    model = nets.mlp(40, 128, 64, 5, drop=0.1)
    optimizer = AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    return made(tasks.assays(5000), model, optimizer, loss, judged(number), 0.67, 600, 64)


def intents_and_slots():
    def loss(model, batch):
        ids, intent, slots = batch
        told, tags = model(ids)
        return F.cross_entropy(told, intent) + F.cross_entropy(tags, slots, ignore_index=-100)

    def number(model, ids, intent, slots):
        told, tags = model(ids)
        fine = ((tags.argmax(1) == slots) | (slots < 0)).all(1)
        return (fine & (told.argmax(1) == intent)).float().mean()

    model = nets.Joint(46, 32, 4, 4)
    optimizer = NAdam(model.parameters(), lr=3e-3)
    return made(tasks.commands(3000), model, optimizer, loss, judged(number), 0.95, 200, 64)


@BANK.healthy(
    {"make": weighed_by_uncertainty, "at": (560, "loss")},
    {"make": experts_and_gates, "at": (0, None)},
    {"make": missing_targets, "at": (300, "loss")},
    {"make": intents_and_slots, "at": (0, None)},
)
def several_tasks_k(seed, make, at):
    return make().handed(*at)


def mean_and_variance():
    nll = nn.GaussianNLLLoss()

    def loss(model, batch):
        x, y = batch
        mean, variance = model(x)
        return nll(mean, y, variance)

    def number(model, x, y):
        mean, variance = model(x)
        return 0.5 * (y.var().log() + 1) - nll(mean, y, variance)

    model = nets.MeanAndVariance(4)
    optimizer = Adam(model.parameters(), lr=3e-3)
    task = tasks.uneven(5000)
    how = {"clip": 5.0, "schedule": partial(one_cycle, steps=700, peak=6e-3)}
    return made(task, model, optimizer, loss, judged(number), 0.95, 700, 64, **how)


LEVELS = torch.tensor([0.1, 0.5, 0.9])


def pinball(told, y):
    rest = y[:, None] - told
    return torch.maximum(LEVELS * rest, (LEVELS - 1) * rest).mean()


def late_by_how_much():
    def loss(model, batch):
        return pinball(model(batch["x"]), batch["delay"])

    def number(model, x, y):
        return 1 - pinball(model(x), y) / pinball(torch.quantile(y, LEVELS).expand(len(y), 3), y)

    model = nets.Quantiles(6, 3)
    optimizer = AdamW(model.parameters(), lr=3e-3)
    task = tasks.delays(5000)
    return made(task, model, optimizer, loss, judged(number), 0.3, 600, 128, ("x", "delay"))


def claims_under_risk():
    criterion = nn.PoissonNLLLoss(log_input=True)

    def loss(model, batch):
        x, exposure, count = batch
        return criterion(model(x).squeeze(1) + exposure.log(), count)

    def deviance(rate, count):
        return (torch.xlogy(count, count / rate) - count + rate).mean()

    def number(model, x, exposure, count):
        rate = exposure * model(x).squeeze(1).exp()
        plain = exposure * count.sum() / exposure.sum()
        return 1 - deviance(rate, count) / deviance(plain, count)

    model = nets.mlp(6, 64, 64, 1, act=nn.GELU)
    optimizer = SGD(model.parameters(), lr=0.03, momentum=0.9, nesterov=True)
    task = tasks.claims(6000)
    return made(task, model, optimizer, loss, judged(number), 0.5, 800, 128, clip=1.0)


def several_answers():
    def loss(model, batch):
        x, y = batch
        return -model(x).log_prob(y).mean()

    def number(model, x, y):
        return model(x).log_prob(y).mean() + 0.5 * (2 * math.pi * math.e * y.var()).log()

    model = nets.MixtureDensity(1)
    optimizer = RMSprop(model.parameters(), lr=2e-3)
    return made(tasks.two_branches(4000), model, optimizer, loss, judged(number), 1.35, 700, 100)


@BANK.healthy(
    {"make": mean_and_variance, "at": (650, "loss")},
    {"make": late_by_how_much, "at": (0, None)},
    {"make": claims_under_risk, "at": (400, "loss")},
    {"make": several_answers, "at": (350, None)},
)
def distributions_k(seed, make, at):
    return make().handed(*at)


def concordance(risk, time, died):
    """Harrell's index."""
    pair = (time[:, None] < time) & (died[:, None] > 0.5)
    ahead = (risk[:, None] > risk).float() + 0.5 * (risk[:, None] == risk)
    return (ahead * pair).sum() / pair.sum()


def proportional_hazards():
    def loss(model, batch):
        x, time, died = batch
        order = time.argsort(descending=True)
        risk = model(x)[order]
        return -((risk - risk.logcumsumexp(0)) * died[order]).sum() / died.sum()

    model = nets.Scorer(8, 48, nn.SELU)
    optimizer = AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3)
    judge = judged(lambda model, x, time, died: concordance(model(x), time, died))
    task = tasks.lifetimes(4000)
    return made(task, model, optimizer, loss, judge, 0.76, 400, 128)


def in_intervals(task, count=12):
    """The times as numbers of intervals with as many deaths each."""
    (x, time, died), test = task
    edges = torch.quantile(time[died > 0.5], torch.linspace(0, 1, count + 1)[1:-1])
    return (x, torch.bucketize(time, edges), died), test


def hazards_by_interval():
    def loss(model, batch):
        logits, place, died = model(batch["x"]), batch["interval"], batch["event"]
        at_risk = torch.arange(logits.shape[1]) <= place[:, None]
        dies = F.one_hot(place, logits.shape[1]) * died[:, None]
        each = F.binary_cross_entropy_with_logits(logits, dies, reduction="none")
        return (each * at_risk).sum(1).mean()

    def number(model, x, time, died):
        return concordance(-F.logsigmoid(-model(x)).cumsum(1).exp().sum(1), time, died)

    model, keys = nets.mlp(8, 64, 64, 12, norm=nn.BatchNorm1d), ("x", "interval", "event")
    optimizer = Adam(model.parameters(), lr=3e-3)
    task = in_intervals(tasks.lifetimes(4000))
    return made(task, model, optimizer, loss, judged(number), 0.75, 400, 128, keys)


def weibull_times():
    def loss(model, batch):
        x, time, died = batch
        told = model(x)
        alive = -((time / told.scale) ** told.concentration)
        return -torch.where(died > 0.5, told.log_prob(time), alive).mean()

    def number(model, x, time, died):
        return concordance(-model(x).scale, time, died)

    model = nets.WeibullNet(8)
    optimizer = Adam(model.parameters(), lr=2e-3)
    task = tasks.lifetimes(4000, shape=1.3)
    return made(task, model, optimizer, loss, judged(number), 0.74, 500, 64, clip=1.0)


def masses_and_ranks():
    """DeepHit: a mass for every interval, and a penalty for pairs in the wrong order."""

    def loss(model, batch):
        x, place, died = batch
        mass = model(x).softmax(1)
        gone = mass.cumsum(1)
        exact = mass.gather(1, place[:, None]).squeeze(1)
        later = 1 - gone.gather(1, place[:, None]).squeeze(1)
        fit = -torch.where(died > 0.5, exact, later).clamp(min=1e-6).log().mean()
        mine = gone.gather(1, place[:, None])
        theirs = gone[:, place].T
        pair = (place[:, None] < place) & (died[:, None] > 0.5)
        return fit + (torch.exp(-(mine - theirs) / 0.3) * pair).mean()

    def number(model, x, time, died):
        return concordance(model(x).softmax(1).cumsum(1).sum(1), time, died)

    model = nets.mlp(8, 64, 64, 12, drop=0.1)
    optimizer = AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    task = in_intervals(tasks.lifetimes(4000))
    return made(task, model, optimizer, loss, judged(number), 0.75, 400, 96)


@BANK.healthy(
    {"make": proportional_hazards, "at": (0, None)},
    {"make": hazards_by_interval, "at": (200, "loss")},
    {"make": weibull_times, "at": (480, "loss")},
    {"make": masses_and_ranks, "at": (0, None)},
)
def lifetimes_k(seed, make, at):
    return make().handed(*at)
