"""Healthy runs on relations: ratings and clicks, ranked lists, graphs."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop

from ..runs import Run, batched, examiner
from . import BANK
from . import nets_k as nets
from . import tasks_k as tasks
from .tasks_k import area, judged, made


def stars():
    def loss(model, batch):
        user, item, rating = batch
        return F.mse_loss(model(user, item), rating)

    def number(model, user, item, rating):
        return 1 - F.mse_loss(model(user, item), rating) / rating.var()

    task = tasks.ratings(16000)
    model = nets.BiasedMF(250, 150, 4, task[0][2].mean())
    optimizer = AdamW(model.parameters(), lr=0.01, weight_decay=0.5)
    return made(task, model, optimizer, loss, judged(number), 0.68, 600, 256)


def outside(seen, hidden):
    """The area under the curve of hidden items against those never taken, user by user."""
    rows = [(hidden[u] > 0, (seen[u] + hidden[u]) == 0) for u in range(len(seen))]

    def number(model):
        scores = model.everything()
        parts = []
        for row, (yes, no) in zip(scores, rows, strict=True):
            if yes.any():
                parts.append((row[yes][:, None] > row[no]).float().mean())
        return torch.stack(parts).mean()

    return examiner(number)


def pairs_of_items():
    def loss(model, batch):
        user, item, other = batch
        rest = model(user, item) - model(user, other)
        size = model.user(user).square().sum() + model.item(item).square().sum()
        size = size + model.item(other).square().sum()
        return -F.logsigmoid(rest).sum() + 0.01 * size

    seen, hidden = tasks.carts()
    model = nets.Factors(300, 100, 8)
    optimizer = Adam(model.parameters(), lr=0.01)
    batches = batched(tasks.triples(seen, 30000), 256)
    return Run(model, loss, batches, optimizer, outside(seen, hidden), 0.73, 500)


def recall(scores, seen, hidden, top=15):
    best = scores.masked_fill(seen > 0, -1e9).topk(top, 1).indices
    found = hidden.gather(1, best).sum(1)
    rows = hidden.sum(1) > 0
    return (found[rows] / hidden.sum(1).clamp(max=top)[rows]).mean()


def whole_rows():
    def loss(model, batch):
        (x,) = batch
        return -(model(x).log_softmax(1) * x).sum(1).mean()

    seen, hidden = tasks.carts(users=500)
    model = nets.MultDAE(100, 40)
    optimizer = Adam(model.parameters(), lr=3e-3)
    judge = examiner(lambda model: recall(model(seen), seen, hidden))
    return Run(model, loss, batched((seen,), 50), optimizer, judge, 0.5, 400)


def next_click():
    def loss(model, batch):
        return F.cross_entropy(model(batch["seq"]), batch["next"], ignore_index=0)

    def number(model, x, y):
        best = model(x)[:, :, -1].topk(3, 1).indices
        return (best == y[:, -1:]).any(1).float().mean()

    model = nets.GRU4Rec(40, 64)
    optimizer = RMSprop(model.parameters(), lr=3e-3)
    task = tasks.sessions(6000)
    return made(task, model, optimizer, loss, judged(number), 0.77, 500, 64, ("seq", "next"))


@BANK.healthy(
    {"make": stars, "at": (300, "loss")},
    {"make": pairs_of_items, "at": (0, None)},
    {"make": whole_rows, "at": (370, "loss")},
    {"make": next_click, "at": (0, None)},
)
def recommenders_k(seed, make, at):
    return make().handed(*at)


def gains(grade):
    return 2 ** grade.clamp(min=0) - 1


def discounts(n):
    return 1 / torch.log2(torch.arange(n) + 2.0)


def ndcg(scores, grade, there, top=5):
    order = scores.masked_fill(there == 0, -1e9).argsort(1, descending=True)
    weight = discounts(grade.shape[1]) * (torch.arange(grade.shape[1]) < top)
    best = (gains(grade).sort(1, descending=True).values * weight).sum(1)
    return ((gains(grade).gather(1, order) * weight).sum(1)[best > 0] / best[best > 0]).mean()


def list_score(model, x, grade, there):
    return ndcg(model(x), grade, there)


def ranked_pairs(lists):
    """Pairs of documents of the same list, the better one first."""
    x, grade, there = lists
    pair = (grade[:, :, None] > grade[:, None]) & (there[:, None] > 0)
    row, better, worse = pair.nonzero(as_tuple=True)
    chosen = torch.randperm(len(row))[:20000]
    return x[row, better][chosen], x[row, worse][chosen]


def rank_net():
    def loss(model, batch):
        better, worse = batch
        return F.softplus(-(model(better) - model(worse))).mean()

    train, test = tasks.queries(900)
    model = nets.Scorer(10, 64)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    how = {"schedule": lambda done: 0.05 if done < 500 else 0.005}
    task = ranked_pairs(train), test
    return made(task, model, optimizer, loss, judged(list_score), 0.93, 600, 128, **how)


def list_net():
    def loss(model, batch):
        told = model(batch["docs"]).masked_fill(batch["mask"] == 0, -1e9)
        target = batch["grade"].masked_fill(batch["mask"] == 0, -1e9).softmax(1)
        return -(target * told.log_softmax(1)).sum(1).mean()

    model, keys = nets.Scorer(10, 64), ("docs", "grade", "mask")
    optimizer = Adam(model.parameters(), lr=3e-3)
    task = tasks.queries(1500)
    return made(task, model, optimizer, loss, judged(list_score), 0.93, 400, 32, keys)


def lambda_rank():
    """Pairs weigh as much as the NDCG that their exchange is worth; added up over a list."""

    def loss(model, batch):
        x, grade, there = batch
        scores = model(x)
        told = scores.detach().masked_fill(there == 0, -1e9)
        place = told.argsort(1, descending=True).argsort(1)
        worth = discounts(grade.shape[1])[place]
        best = (gains(grade).sort(1, descending=True).values * discounts(grade.shape[1])).sum(1)
        change = (gains(grade)[:, :, None] - gains(grade)[:, None]) * (
            worth[:, :, None] - worth[:, None]
        )
        pair = (grade[:, :, None] > grade[:, None]) & (there[:, None] > 0)
        each = F.softplus(-(scores[:, :, None] - scores[:, None])) * change.abs() * pair
        return (each.sum((1, 2)) / best.clamp(min=1)).mean()

    model = nets.Scorer(10, 64, nn.ELU)
    optimizer = Adagrad(model.parameters(), lr=0.03)
    return made(tasks.queries(1500), model, optimizer, loss, judged(list_score), 0.93, 400, 24)


def others_in_the_batch():
    def loss(model, batch):
        scores, right = model(*batch), torch.arange(len(batch[0]))
        return (F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)) / 2

    def number(model, left, right):
        hits = [
            (model(a, b).argmax(1) == torch.arange(len(a))).float().mean()
            for a, b in zip(left.split(50), right.split(50), strict=True)
        ]
        return torch.stack(hits).mean()

    model = nets.TwoTowers(60, 24)
    optimizer = AdamW(model.parameters(), lr=2e-3, weight_decay=0.1)
    task = tasks.matches(3200)
    return made(task, model, optimizer, loss, judged(number), 0.7, 400, 80, clip=1.0)


@BANK.healthy(
    {"make": rank_net, "at": (570, "loss")},
    {"make": list_net, "at": (0, None)},
    {"make": lambda_rank, "at": (200, "loss")},
    {"make": others_in_the_batch, "at": (200, "score")},
)
def ranked_lists_k(seed, make, at):
    return make().handed(*at)


def papers():
    """One graph, one batch: Kipf and Welling's settings."""

    def loss(model, batch):
        x, adjacency, y, known = batch
        return F.cross_entropy(model(x, adjacency)[known > 0], y[known > 0])

    x, adjacency, y, known = batch = tasks.citations()
    right = examiner(lambda model: (model(x, adjacency).argmax(1) == y)[known == 0].float().mean())
    model = nets.GCN(16, 16, 4)
    optimizer = Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    return Run(model, loss, [batch], optimizer, right, 0.8, 200)


def families():
    def loss(model, batch):
        return F.cross_entropy(model(batch["adj"], batch["mask"]), batch["label"])

    def number(model, adjacency, there, label):
        return (model(adjacency, there).argmax(1) == label).float().mean()

    model, keys = nets.GIN(32, 4), ("adj", "mask", "label")
    optimizer = Adam(model.parameters(), lr=3e-3)
    task = tasks.shapes_of_graphs(2400)
    return made(task, model, optimizer, loss, judged(number), 0.85, 400, 48, keys)


def bonds():
    def loss(model, batch):
        atoms, bonds, y = batch
        return F.l1_loss(model(atoms, bonds), y)

    def number(model, atoms, bonds, y):
        return 1 - F.mse_loss(model(atoms, bonds), y) / y.var()

    model = nets.MPNN(6, 4, 24)
    optimizer = AdamW(model.parameters(), lr=4e-3)
    task = tasks.molecules(2400)
    how = {"clip": 5.0, "schedule": lambda done: 4e-3 * max(0.02, 1 - done / 350)}
    return made(task, model, optimizer, loss, judged(number), 0.9, 350, 32, **how)


def links():
    def loss(model, batch):
        pairs, there = batch
        return F.binary_cross_entropy_with_logits(model(pairs), there)

    adjacency, known, new, none = tasks.friends()
    guess = torch.randint(len(adjacency), (len(known) * 6, 2))
    guess = guess[(adjacency[guess[:, 0], guess[:, 1]] == 0) & (guess[:, 0] != guess[:, 1])]
    rows = torch.cat([known.repeat(4, 1), guess])
    there = (torch.arange(len(rows)) < 4 * len(known)).float()
    model = nets.GAE(len(adjacency), 32, 16, adjacency)
    optimizer = Adam(model.parameters(), lr=5e-3)
    pairs, right = torch.cat([new, none]), (torch.arange(len(new) * 2) < len(new)).float()
    judge = examiner(lambda model: area(model(pairs), right))
    return Run(model, loss, batched((rows, there), 256), optimizer, judge, 0.85, 200)


@BANK.healthy(
    {"make": papers, "at": (0, None)},
    {"make": families, "at": (200, "score")},
    {"make": bonds, "at": (320, "loss")},
    {"make": links, "at": (100, "loss")},
)
def graphs_k(seed, make, at):
    return make().handed(*at)
