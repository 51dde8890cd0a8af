"""Healthy runs of science and control: equations, policies, gradients of one's own."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical
from torch.optim import SGD, Adam, AdamW, NAdam, RMSprop

from ..runs import Run, accuracy, batched, examiner, stepping, supervised
from . import BANK
from . import tasks_j as tasks
from .nets_j import (
    FNO,
    ActorCritic,
    Binary,
    Choosing,
    Inverse,
    QNet,
    Rates,
    Sides,
    Spiking,
    mlp,
    quantised_cnn,
)


def cosine(peak, steps, warm=0):
    def rate(done):
        if done < warm:
            return peak * (done + 1) / warm
        return peak * 0.5 * (1 + math.cos(math.pi * (done - warm) / (steps - warm)))

    return rate


def slope(u, x):
    return torch.autograd.grad(u.sum(), x, create_graph=True)[0]


def swinging(t):
    return torch.exp(-t) * torch.cos(6 * t)


def inverse_loss(model, batch):
    """Measured points, and the rest of u'' + c u' + k u = 0 at others."""
    t, u, inner = batch["t"], batch["u"], batch["inner"].clone().requires_grad_()
    found = model(inner)
    first = slope(found, inner)
    rest = slope(first, inner) + model.friction * first + model.stiffness * found
    return F.mse_loss(model(t), u) + 1e-3 * rest.square().mean()


def constants():
    t = torch.rand(60, 1)
    u = swinging(t) + 0.03 * torch.randn(60, 1)
    batches = [{"t": t, "u": u, "inner": torch.rand(64, 1)} for _ in range(20)]
    model = Inverse()
    groups = [
        {"params": model.net.parameters(), "lr": 3e-3},
        {"params": [model.friction, model.stiffness], "lr": 0.1},
    ]
    true = torch.linspace(0, 1, 101)[:, None]

    def number(model):
        field = (model(true) - swinging(true)).norm() / swinging(true).norm()
        return 1 - field - (model.stiffness - 37).abs() / 37

    return Run(model, inverse_loss, batches, Adam(groups), examiner(number), 0.8, 1500)


def load(x):
    return 5 * math.pi**2 * bent(x)


def bent(x):
    return (math.pi * x[:, :1]).sin() * (2 * math.pi * x[:, 1:]).sin()


def poisson_loss(model, batch):
    x = batch[0].clone().requires_grad_()
    first = slope(model(x), x)
    curved = slope(first[:, 0], x)[:, :1] + slope(first[:, 1], x)[:, 1:]
    return ((curved + load(x)) / (5 * math.pi**2)).square().mean()


def membrane():
    batches = [(torch.rand(128, 2),) for _ in range(30)]
    model = Sides(32)
    optimizer = Adam(model.parameters(), lr=5e-3)
    line = (torch.arange(24) + 0.5) / 24
    grid = torch.cartesian_prod(line, line)

    def number(model):
        return 1 - (model(grid) - bent(grid)).norm() / bent(grid).norm()

    step = stepping(poisson_loss, schedule=lambda done: 5e-3 * 0.995**done)
    return Run(model, poisson_loss, batches, optimizer, examiner(number), 0.9, 700, step=step)


def path_loss(model, batch):
    piece = batch[0]
    return F.mse_loss(model(piece[:, 0], piece.shape[1] - 1), piece)


def ode():
    paths = tasks.pendulum(160)
    pieces = paths[:120].unfold(1, 7, 3).transpose(2, 3).flatten(0, 1)
    pieces = pieces + 0.02 * torch.randn(pieces.shape)
    held = paths[120:]
    model = Rates()

    def number(model):
        rest = (model(held[:, 0], held.shape[1] - 1) - held).square().mean()
        return 1 - rest / held.var(dim=(0, 1)).mean()

    optimizer = NAdam(model.parameters(), lr=5e-3)
    return Run(model, path_loss, batched((pieces,), 48), optimizer, examiner(number), 0.9, 350)


def relative(model, batch):
    out = model(batch["before"])
    return ((out - batch["after"]).norm(dim=2) / batch["after"].norm(dim=2)).mean()


def operator():
    train, test = tasks.fronts(800)
    model = FNO()
    mean = train[1].mean(0)

    def number(model):
        rest = (model(test[0]) - test[1]).square().mean()
        return 1 - rest / (test[1] - mean).square().mean()

    optimizer = AdamW(model.parameters(), lr=4e-3, weight_decay=1e-4)
    step = stepping(relative, schedule=cosine(4e-3, 400))
    batches = batched(train, 32, ("before", "after"))
    return Run(model, relative, batches, optimizer, examiner(number), 0.93, 400, step=step)


@BANK.healthy(
    {"make": constants, "at": (600, "loss")},
    {"make": membrane, "at": (0, None)},
    {"make": ode, "at": (330, "loss")},
    {"make": operator, "at": (385, "score")},
)
def equations_j(seed, make, at):
    return make().handed(*at)


def bandit_loss(model, batch):
    """REINFORCE of single choices, with a learnt baseline and a bonus for entropy."""
    x, y = batch
    logits, value = model(x.flatten(1))
    choice = Categorical(logits=logits)
    action = choice.sample()
    reward = (action == y).float()
    gain = (reward - value).detach()
    policy = -(gain * choice.log_prob(action)).mean()
    return policy + 0.5 * F.mse_loss(value, reward) - 0.01 * choice.entropy().mean()


def bandit():
    train, test = tasks.digits(noise=0.1)
    model = ActorCritic(64, 10)
    optimizer = Adam(model.parameters(), lr=3e-3)

    def number(model):
        return (model(test[0].flatten(1))[0].argmax(1) == test[1]).float().mean()

    return Run(model, bandit_loss, batched(train, 64), optimizer, examiner(number), 0.85, 1500)


@torch.no_grad()
def ride(model, s, moments, greedy=False):
    """States, actions and who was still upright, for each moment."""
    states, actions, alive, on = [], [], [], torch.ones(len(s), dtype=torch.bool)
    for _ in range(moments):
        logits = model(s)[0]
        action = logits.argmax(1) if greedy else Categorical(logits=logits).sample()
        states.append(s)
        actions.append(action)
        alive.append(on)
        s = torch.where(on[:, None], tasks.cart_step(s, 2.0 * action - 1), s)
        on = on & tasks.upright(s)
    return torch.stack(states), torch.stack(actions), torch.stack(alive)


def pole_loss(model, batch, gamma=0.97):
    """Advantage actor-critic on whole episodes, simulated afresh."""
    states, actions, alive = ride(model, batch[0], 80)
    back, total = [], torch.zeros(states.shape[1])
    for on in alive.float().flip(0):
        total = on * (1 + gamma * total)
        back.append(total)
    back = torch.stack(back[::-1])[alive] / 20
    logits, value = model(states[alive])
    gain = (back - value).detach()
    gain = (gain - gain.mean()) / (gain.std() + 1e-6)
    said = -F.cross_entropy(logits, actions[alive], reduction="none")
    return -(gain * said).mean() + 0.5 * F.mse_loss(value, back)


def pole():
    batches = [(tasks.between(-0.1, 0.1, 24, 4),) for _ in range(20)]
    held = tasks.between(-0.1, 0.1, 64, 4)
    model = ActorCritic(4, 2)
    judge = examiner(lambda model: ride(model, held, 120, greedy=True)[2].float().mean())
    optimizer = Adam(model.parameters(), lr=1e-2)
    step = stepping(pole_loss, clip=0.5, schedule=lambda done: 1e-2 * (1 - done / 200))
    return Run(model, pole_loss, batches, optimizer, judge, 0.75, 190, step=step)


def q_loss(model, batch, gamma=0.9):
    """Double Q-learning from stored moves."""
    value = model(batch["state"]).gather(1, batch["action"][:, None])[:, 0]
    with torch.no_grad():
        best = model(batch["next"]).argmax(1, keepdim=True)
        later = model.target(batch["next"]).gather(1, best)[:, 0]
        goal = batch["reward"] + gamma * (1 - batch["done"]) * later
    return F.smooth_l1_loss(value, goal)


def following(loss, **more):
    plain = stepping(loss, **more)

    def step(model, optimizer, batch):
        value = plain(model, optimizer, batch)
        model.follow()
        return value

    return step


def stored(n):
    at, goal, action = tasks.free_fields(n), tasks.free_fields(n), torch.randint(4, (n,))
    there, won = tasks.maze_step(at, goal, action)
    moves = (tasks.seen(at, goal), action, won.float(), won.float(), tasks.seen(there, goal))
    return batched(moves, 64, ("state", "action", "reward", "done", "next"))


def maze():
    model = QNet(20, 4)
    optimizer = RMSprop(model.net.parameters(), lr=1e-3)
    start, goal = tasks.free_fields(300), tasks.free_fields(300)

    def number(model):
        at, won = start, (start == goal).all(1)
        for _ in range(12):
            there, hit = tasks.maze_step(at, goal, model(tasks.seen(at, goal)).argmax(1))
            at, won = torch.where(won[:, None], at, there), won | hit
        return won.float().mean()

    step = following(q_loss, clip=10.0)
    return Run(model, q_loss, stored(6000), optimizer, examiner(number), 0.85, 1500, step=step)


def steered(model, state, moments=20):
    """A mass that is pushed through a whirl; its places and the pushes."""
    place, speed = state.chunk(2, 1)
    places, pushes = [], []
    for _ in range(moments):
        push = 3 * torch.tanh(model(torch.cat([place, speed], 1)))
        whirl = torch.stack([-place[:, 1], place[:, 0]], 1) + (3 * place).sin()
        speed = 0.95 * speed + 0.1 * (push + whirl)
        place = place + 0.1 * speed
        places.append(place)
        pushes.append(push)
    return torch.stack(places), torch.stack(pushes)


def steering_loss(model, batch):
    """The cost of a ride, differentiated through the simulator."""
    places, pushes = steered(model, batch[0])
    return places.square().sum(2).mean() + 0.01 * pushes.square().sum(2).mean()


def steering():
    def starts(n):
        return torch.cat([tasks.between(-1, 1, n, 2), tasks.between(-0.5, 0.5, n, 2)], 1)

    batches, held = [(starts(48),) for _ in range(20)], starts(200)
    model = mlp(4, 48, 48, 2, act=nn.ELU)
    optimizer = Adam(model.parameters(), lr=2e-3)
    judge = examiner(
        lambda model: (
            1 - steered(model, held, 30)[0][-1].norm(dim=1).mean() / held[:, :2].norm(dim=1).mean()
        )
    )
    step = stepping(steering_loss, clip=1.0)
    return Run(model, steering_loss, batches, optimizer, judge, 0.7, 350, step=step)


@BANK.healthy(
    {"make": bandit, "at": (600, "score")},
    {"make": pole, "at": (0, None)},
    {"make": maze, "at": (1440, "loss")},
    {"make": steering, "at": (120, "loss")},
)
def policies_j(seed, make, at):
    return make().handed(*at)


def signs():
    train, test = tasks.digits(noise=0.1)
    model = Binary(64, 160, 10)
    optimizer = Adam(model.parameters(), lr=5e-3)
    loss = supervised(nn.CrossEntropyLoss())
    step = stepping(loss, schedule=lambda done: 5e-3 * 0.5 ** (done // 250))
    return Run(model, loss, batched(train, 64), optimizer, accuracy(test), 0.86, 700, step=step)


def spikes():
    train, test = tasks.digits()
    model = Spiking(64, 96, 10)
    optimizer = Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.999))
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 48, ("data", "targets"))
    return Run(model, loss, batches, optimizer, accuracy(test), 0.88, 450)


def choice_loss(model, batch):
    x = batch[0].flatten(1)
    out, logits = model(x, tau=0.8)
    q = logits.log_softmax(2)
    kl = (q.exp() * (q + math.log(q.shape[2]))).sum()
    return (F.binary_cross_entropy_with_logits(out, x, reduction="sum") + 0.2 * kl) / len(x)


def choices():
    (x, _), (held, _) = tasks.digits()
    model = Choosing(choices=20)
    optimizer = AdamW(model.parameters(), lr=3e-3)
    mean = x.mean(0).flatten()
    held = held.flatten(1)

    def number(model):
        rest = (model(held)[0].sigmoid() - held).square().mean()
        return 1 - rest / (held - mean).square().mean()

    return Run(model, choice_loss, batched((x,), 48), optimizer, examiner(number), 0.5, 900)


def four_bits():
    train, test = tasks.wandering(12, 0.1)
    model = quantised_cnn(10, 16)
    loss = supervised(nn.CrossEntropyLoss())
    optimizer = SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    step = stepping(loss, schedule=cosine(0.1, 420, 20))
    return Run(model, loss, batched(train, 48), optimizer, accuracy(test), 0.86, 420, step=step)


@BANK.healthy(
    {"make": signs, "at": (0, None)},
    {"make": spikes, "at": (200, "score")},
    {"make": choices, "at": (0, None)},
    {"make": four_bits, "at": (400, "loss")},
)
def own_gradients_j(seed, make, at):
    return make().handed(*at)
