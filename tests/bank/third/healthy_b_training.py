"""Healthy runs whose oddity lies in the optimiser, the schedule or the loop, and is meant.

What a step has to remember lies in the optimiser's groups or state: copies go on from there.
"""

from functools import partial

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import LBFGS, SGD, Adadelta, Adagrad, Adam, AdamW, RAdam, RMSprop
from torch.optim import lr_scheduler as schedulers
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from . import BANK
from .nets_b import Attender, Reader, Seer, Speaker, dense
from .tasks_b import PROBLEMS, posed

MODELS = {
    "spirals": lambda act=nn.ReLU: dense(2, 48, 48, 3, act=act),
    "chessboard": lambda act=nn.ReLU: dense(4, 64, 64, 2, act=act),
    "shells": lambda act=nn.ReLU: dense(6, 48, 2, act=act),
    "loans": lambda act=nn.ReLU: dense(11, 64, 64, 1, act=act),
    "arm": lambda act=nn.Tanh: dense(3, 48, 48, 2, act=act),
    "beats": lambda: Seer((16, 32), 4, dims=1, norm=nn.BatchNorm1d),
    "gratings": lambda: Seer((16, 32), 6),
    "figures": lambda: Seer((16, 32), 4, norm=nn.BatchNorm2d),
    "climbs": lambda: Reader(nn.LSTM, 24, 2, words=3),
    "adding": lambda: Reader(nn.GRU, 24, 1, inputs=2),
    "rhymes": lambda: Speaker(nn.GRU, 12, 32),
    "majority": lambda: Attender(nn.Embedding(4, 16), 16, 3, 15, layers=1),
}


def usual(name, optimizer, model=None, **more):
    """The problem with its ordinary model; ``optimizer(parameters)`` makes the optimiser."""
    model = model or MODELS[name]()
    return posed(name, model, optimizer(model.parameters()), **more)


def gradient(loss, model, optimizer, batch, scale=1.0):
    """The first half of a step: gradients of `scale` times the loss, which is returned."""
    optimizer.zero_grad()
    value = loss(model, batch)
    (scale * value).backward()
    return value.item()


def looping(treat=None, then=None):
    """Steps that `treat` the gradients before, and do something after the optimiser's step."""

    def made(loss):
        def train_one(model, optimizer, batch):
            value = gradient(loss, model, optimizer, batch)
            if treat:
                treat(list(model.parameters()), counted(optimizer))
            optimizer.step()
            if then:
                then(model, optimizer)
            return value

        return train_one

    return made


def counted(optimizer, key="time"):
    """How often this was asked, kept where copies of the optimiser take it along."""
    group = optimizer.param_groups[0]
    group[key] = group.get(key, 0) + 1
    return group[key]


def following(rate, treat=None):
    """Steps whose rates are ``rate(number)``: set after each step, as schedulers do."""

    def advance(model, optimizer):
        value = rate(counted(optimizer, "epoch"))
        for group in optimizer.param_groups:
            group["lr"] = value

    return looping(treat, advance)


WARM = {
    "linear": lambda i: min(1, (i + 1) / 80),
    "noam": lambda i: min(((i + 1) / 60) ** -0.5, (i + 1) / 60),
    "exponential": lambda i: 1000 ** min(0, i / 60 - 1),
    "square": lambda i: min(1, ((i + 1) / 100) ** 2),
}


@BANK.healthy(
    {"name": "gratings", "form": "linear", "top": 0.05, "optimizer": SGD, "before": 2},
    {"name": "rhymes", "form": "noam", "top": 8e-3, "before": 5, "shown": "loss"},
    {"name": "arm", "form": "exponential", "top": 8e-3, "before": 0},
    {
        "name": "loans",
        "form": "square",
        "top": 1e-2,
        "optimizer": RAdam,
        "before": 8,
        "shown": "score",
    },
)
def rate_still_climbing(seed, name, form, top, before, shown=None, optimizer=AdamW):
    """The warm-up has hardly begun."""

    def rate(i):
        return top * WARM[form](i)

    more = {"momentum": 0.9} if optimizer is SGD else {}
    made = partial(optimizer, lr=rate(0), **more)
    clip = partial(cut, 1.0) if name == "rhymes" else None
    return usual(name, made, step=following(rate, clip)).handed(before, shown)


def tabulated(scheduler, top, steps):
    """The rates that one of torch's schedulers would set."""
    optimizer = SGD([nn.Parameter(torch.zeros(1))], top)
    schedule, rates = scheduler(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return lambda i: rates[min(i, steps - 1)]


ENDS = {
    "cycle": lambda o: schedulers.OneCycleLR(o, 1e-2, total_steps=401, cycle_momentum=False),
    "cosine": partial(schedulers.CosineAnnealingLR, T_max=400),
    "staircase": partial(schedulers.MultiStepLR, milestones=[200, 300, 360], gamma=0.1),
    "line": partial(schedulers.PolynomialLR, total_iters=400, power=1.0),
}


@BANK.healthy(
    {"name": "beats", "form": "cycle", "left": 0, "shown": "loss"},
    {"name": "climbs", "form": "cosine", "left": 3, "shown": "score"},
    {"name": "spirals", "form": "staircase", "left": 30, "shown": "loss"},
    {"name": "rhymes", "form": "line", "left": 1},
)
def rate_run_down_as_planned(seed, name, form, left, shown=None, top=8e-3):
    """OneCycle, cosine, staircase, line: the rate is next to 0, the goal is reached."""
    rate = tabulated(ENDS[form], top, 400)
    run = usual(name, partial(AdamW, lr=rate(0), weight_decay=0.01), step=following(rate))
    return run.handed(400 - left, shown)


def autocast_loss(criterion):
    def loss(model, batch):
        x, y = batch
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return criterion(model(x), y)

    return loss


def scaled_step(loss):
    """Gradients of 1024 times the loss; torch's own scaler scales them back."""
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(model, batch)
        scaler.scale(value).backward()
        scaler.unscale_(optimizer)
        clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return value.item()

    return step


def scaled_by_hand(loss, scale=4096.0):
    """Where gradients are infinite the step is left out."""

    def step(model, optimizer, batch):
        value = gradient(loss, model, optimizer, batch, scale)
        grads = [p.grad.div_(scale) for p in model.parameters()]
        if all(g.isfinite().all() for g in grads):
            optimizer.step()
        return value

    return step


@BANK.healthy(
    {"name": "chessboard", "before": 0},
    {"name": "figures", "before": 150, "shown": "loss", "step": looping()},
    {"name": "loans", "before": 390, "shown": "score", "step": scaled_step},
    {"name": "climbs", "before": 40, "shown": "loss", "step": scaled_by_hand},
)
def half_the_bits_or_a_scaler(seed, name, before, shown=None, step=None):
    loss = (
        None if step in (scaled_step, scaled_by_hand) else autocast_loss(PROBLEMS[name].criterion)
    )
    run = usual(name, partial(Adam, lr=4e-3), step=step, loss=loss)
    return run.handed(before, shown)


def in_parts(loss, parts=4):
    """Each batch in parts: one step."""

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        total = 0.0
        for part in zip(*(t.chunk(parts) for t in batch), strict=True):
            value = loss(model, part) / parts
            value.backward()
            total += value.item()
        optimizer.step()
        return total

    return step


def every_fourth(loss, every=4):
    """Batches as they come; only at every fourth call do the weights move."""

    def step(model, optimizer, batch):
        value = loss(model, batch)
        (value / every).backward()
        if counted(optimizer) % every == 0:
            optimizer.step()
            optimizer.zero_grad()
        return value.item()

    return step


@BANK.healthy(
    {"name": "gratings", "form": every_fourth, "size": 8, "steps": 1200, "before": 0},
    {"name": "majority", "form": in_parts, "size": 32, "steps": 250, "before": 100, "rate": 3e-3},
    {"name": "arm", "form": every_fourth, "size": 16, "steps": 1600, "before": 802},
    {"name": "beats", "form": in_parts, "size": 64, "steps": 300, "before": 295},
)
def many_gradients_one_step(seed, name, form, before, rate=8e-3, **more):
    shown = {"majority": "loss", "arm": "loss", "beats": "score"}.get(name)
    return usual(name, partial(Adam, lr=rate), step=form, **more).handed(before, shown)


def cut(norm, parameters, _):
    clip_grad_norm_(parameters, norm)


def shaken(parameters, time):
    """Noise on the gradients that wanes with time (Neelakantan and others, 2015)."""
    for p in parameters:
        p.grad.add_(torch.randn_like(p), alpha=0.1 * (1 + time) ** -0.275)


TREATMENTS = {
    "rhymes": partial(cut, 0.1),
    "shells": lambda ps, _: clip_grad_value_(ps, 0.01),
    "climbs": partial(cut, 0.1),
    "spirals": shaken,
}


@BANK.healthy(
    {"name": "rhymes", "rate": 2.0, "momentum": 0.5, "before": 0},
    {"name": "shells", "rate": 0.2, "momentum": 0.9, "before": 200, "shown": "loss"},
    {"name": "climbs", "rate": 0.5, "momentum": 0.9, "before": 60, "shown": "loss"},
    {"name": "spirals", "rate": 0.05, "momentum": 0.9, "before": 390, "shown": "score"},
)
def gradients_cut_or_shaken(seed, name, rate, momentum, before, shown=None):
    """Clipped often, with a rate to suit; or noise is added to the gradients."""
    optimizer, step = partial(SGD, lr=rate, momentum=momentum), looping(TREATMENTS[name])
    return usual(name, optimizer, step=step).handed(before, shown)


def with_closure(loss):
    def step(model, optimizer, batch):
        return optimizer.step(lambda: gradient(loss, model, optimizer, batch))

    return step


SEARCH = {"lr": 0.5, "max_iter": 4, "history_size": 10, "line_search_fn": "strong_wolfe"}


@BANK.healthy(
    {"name": "loans", "kind": partial(Adagrad, lr=0.05), "before": 200, "shown": "loss"},
    {"name": "figures", "kind": partial(Adadelta, lr=1.0), "before": 0},
    {"name": "adding", "kind": partial(RMSprop, lr=2e-3, centered=True), "before": 490},
    {"name": "arm", "kind": partial(LBFGS, **SEARCH), "before": 4, "shown": "loss"},
)
def optimisers_of_other_days(seed, name, kind, before, shown=None):
    lbfgs = {"step": with_closure, "size": 150, "steps": 60} if name == "arm" else {}
    return usual(name, kind, **lbfgs).handed(before, shown)


class Averaging(nn.Module):
    """In evaluation the average of the weights so far answers."""

    def __init__(self, net, **how):
        super().__init__()
        self.net, self.average = net, AveragedModel(net, use_buffers=True, **how)
        self.average.requires_grad_(False)

    def forward(self, x):
        return self.net(x) if self.training else self.average(x)


def average(model, optimizer):
    model.average.update_parameters(model.net)


def look_ahead(model, optimizer, every=5, share=0.5):
    """Lookahead: every fifth step ends half way between the slow and the fast weights."""
    turn = counted(optimizer) % every == 0
    with torch.no_grad():
        for p in model.parameters():
            slow = optimizer.state[p].setdefault("slow", p.detach().clone())
            if turn:
                p.copy_(slow.lerp_(p, share))


def sharpness_aware(loss, radius=0.05):
    """SAM: the gradient from a little way uphill."""

    def step(model, optimizer, batch):
        value, params = gradient(loss, model, optimizer, batch), list(model.parameters())
        norm = torch.stack([p.grad.norm() for p in params]).norm() + 1e-12
        moves = [radius * p.grad / norm for p in params]
        torch._foreach_add_([p.data for p in params], moves)
        gradient(loss, model, optimizer, batch)
        torch._foreach_sub_([p.data for p in params], moves)
        optimizer.step()
        return value

    return step


AVERAGES = {"ema": {"multi_avg_fn": get_ema_multi_avg_fn(0.98)}, "swa": {}}


@BANK.healthy(
    {"name": "figures", "kind": partial(Adam, lr=5e-3), "way": "ema", "before": 200},
    {"name": "beats", "kind": partial(SGD, lr=0.1, momentum=0.9), "way": "swa", "before": 380},
    {"name": "spirals", "kind": partial(Adam, lr=5e-3), "before": 53, "shown": "loss"},
    {"name": "gratings", "kind": partial(SGD, lr=0.05, momentum=0.9), "way": "sam", "before": 0},
)
def weights_averaged_or_seen_from_uphill(seed, name, kind, before, shown="score", way=None):
    """EMA, an equal average of all, Lookahead, SAM."""
    model, step = MODELS[name](), sharpness_aware
    if way != "sam":
        step = looping(then=average if way else look_ahead)
    if way in AVERAGES:
        model = Averaging(model, **AVERAGES[way])
    return usual(name, kind, model, step=step).handed(before, shown)


HEAVY = partial(SGD, momentum=0.95, weight_decay=1e-4)
DECAYING = partial(AdamW, lr=5e-3, weight_decay=0.1)


@BANK.healthy(
    {
        "name": "shells",
        "act": nn.Sigmoid,
        "kind": partial(HEAVY, lr=0.3),
        "before": 0,
        "steps": 800,
    },
    {"name": "arm", "act": nn.Softplus, "kind": partial(HEAVY, lr=0.05), "before": 200},
    {"name": "loans", "act": nn.GELU, "kind": DECAYING, "before": 390},
    {"name": "spirals", "act": nn.Tanh, "kind": DECAYING, "before": 60, "heat": 8.0},
)
def heavy_momentum_or_decay(seed, name, act, kind, before, heat=1.0, **more):
    """A momentum of 0.95 with smooth activations; decoupled decay; logits divided by `heat`."""
    shown, criterion = "score" if name == "spirals" else "loss", PROBLEMS[name].criterion
    if heat > 1:
        more["criterion"] = lambda out, y: criterion(out / heat, y)
    return usual(name, kind, MODELS[name](act), **more).handed(before, shown)
