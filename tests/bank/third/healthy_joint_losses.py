"""Healthy runs: soft targets, sums of losses, distances, teachers, reconstructions."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import AdamW, NAdam, RMSprop

from ..runs import Run, accuracy, batched, examiner, explained, stepping, unpacked
from . import BANK
from . import tasks_a as tasks
from .nets_a import (
    CLASSES,
    KITS,
    Several,
    adam,
    dense,
    judging,
    learn,
    picture_net,
    sgd,
    signal_net,
    warmed,
)


def smooth_kl(out, labels, epsilon=0.2):
    """Smoothed by hand; as a divergence, it could come down to 0, and does not."""
    soft = F.one_hot(labels, out.shape[1]) * (1 - epsilon) + epsilon / out.shape[1]
    return F.kl_div(out.log_softmax(1), soft, reduction="batchmean")


def mixed(model, batch, alpha=0.4):
    """Mixup: two examples laid over each other, the loss for both labels."""
    x, y = unpacked(batch)
    share, other = torch.distributions.Beta(alpha, alpha).sample(), torch.randperm(len(x))
    out = model(share * x + (1 - share) * x[other])
    return share * F.cross_entropy(out, y) + (1 - share) * F.cross_entropy(out, y[other])


def pasted(model, batch):
    """Cutmix: a square of another image, and its share of the label."""
    x, y = unpacked(batch)
    other, (top, left) = torch.randperm(len(x)), torch.randint(7, (2,))
    x = x.clone()
    x[:, :, top : top + 5, left : left + 5] = x[other, :, top : top + 5, left : left + 5]
    share, out = 1 - 25 / 144, model(x)
    return share * F.cross_entropy(out, y) + (1 - share) * F.cross_entropy(out, y[other])


@BANK.healthy(
    {"kit": "reviews", "way": "smooth", "by": adam(4e-3), "goal": 0.95, "at": (400, "loss")},
    {"kit": "spirals", "way": "kl", "by": adam(5e-3), "goal": 0.95},
    {"kit": "tones", "way": "mixup", "by": adam(4e-3, AdamW), "goal": 0.95, "at": (200, "loss")},
    {"kit": "glyphs", "way": "cutmix", "by": adam(3e-3, NAdam), "goal": 0.92, "at": (40, "loss")},
)
def softened_targets(seed, kit, way, **how):
    """The loss on the screen stays far from 0, the accuracy does not stay low."""
    criterion = smooth_kl if way == "kl" else nn.CrossEntropyLoss(label_smoothing=0.1)
    loss = {"mixup": mixed, "cutmix": pasted}.get(way)
    return learn(kit, criterion=criterion, loss=loss, **how)


def summed(terms):
    """The loss of a model with several outputs: (weight, criterion, number of its target)."""

    def loss(model, batch):
        batch = unpacked(batch)
        out = model(batch[0])
        return sum(w * f(o, batch[k]) for (w, f, k), o in zip(terms, out, strict=True))

    return loss


ENTROPY = F.cross_entropy


@BANK.healthy(
    {"kit": "glyphs", "by": adam(3e-3), "goal": 0.88, "at": (40, "loss")},
    {"kit": "clusters", "by": sgd(0.05), "goal": 0.93, "at": (400, "loss")},
    {"kit": "spirals", "by": adam(5e-3, RMSprop), "goal": 0.95, "at": (100, "score")},
    {"kit": "tones", "by": adam(5e-3), "goal": 0.95, "step": warmed},
)
def losses_added_up(seed, kit, **how):
    """Kind and place; an auxiliary head; a head after every layer; kind and reconstruction."""
    stages, heads, terms = {
        "glyphs": lambda: (
            [picture_net(32, 10, flat=True), nn.ReLU()],
            [nn.Linear(32, 6), nn.Linear(32, 2)],
            [(1, ENTROPY, 1), (2, F.mse_loss, 2)],
        ),
        "clusters": lambda: (
            [dense(10, 64, 48, norm=True).append(nn.ReLU()), dense(48, 48).append(nn.ReLU())],
            [nn.Linear(48, 4), nn.Linear(48, 4)],
            [(0.3, ENTROPY, 1), (1, ENTROPY, 1)],
        ),
        "spirals": lambda: (
            [dense(a, 32).append(nn.Tanh()) for a in (2, 32, 32)],
            [nn.Linear(32, 3) for _ in range(3)],
            [(w, ENTROPY, 1) for w in (0.5, 0.5, 1)],
        ),
        "tones": lambda: (
            [signal_net(24), nn.GELU()],
            [nn.Linear(24, 4), nn.Sequential(nn.Linear(24, 48), nn.Unflatten(1, (1, 48)))],
            [(1, ENTROPY, 1), (0.5, F.l1_loss, 0)],
        ),
    }[kit]()
    main = 0 if kit in ("glyphs", "tones") else -1
    more = {"model": Several(stages, heads), "loss": summed(terms)}
    more["keys"] = ("image", "label", "place") if kit == "glyphs" else ()
    return learn(kit, judge=judging(accuracy, lambda out: out[main]), **more, **how)


def triplets(model, batch):
    return F.triplet_margin_loss(*map(model, unpacked(batch)), margin=0.6)


def pairwise(model, batch, margin=2.0):
    one, other, same = unpacked(batch)
    away = (model(one) - model(other)).norm(dim=1)
    return torch.where(same > 0, away**2, (margin - away).relu() ** 2).mean()


def cosines(model, batch):
    one, other, sign = unpacked(batch)
    return F.cosine_embedding_loss(model(one), model(other), sign, margin=0.2)


class Towers(nn.Module):
    """A picture's and a caption's encoder, and a temperature, as in CLIP."""

    def __init__(self, width=16):
        super().__init__()
        self.image, self.text = signal_net(width, 24), dense(6, 48, width)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, pairs):
        image, text = (F.normalize(z, dim=1) for z in (self.image(pairs[0]), self.text(pairs[1])))
        return self.scale.exp() * image @ text.T


def clip_loss(model, batch):
    logits = model(unpacked(batch))
    right = torch.arange(len(logits))
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


def captioned(examples=1920):
    """A signal made from six numbers, and the numbers as another instrument reads them."""
    latent, time = torch.randn(examples + 1000, 6), torch.linspace(0, 6.28, 48)
    waves = torch.stack([f(k * time) for k in (1, 2, 3) for f in (torch.sin, torch.cos)])
    signals = (latent @ waves)[:, None]
    text = torch.tanh(latent) + 0.05 * torch.randn(latent.shape)
    return tasks.parted(signals + 0.1 * torch.randn(signals.shape), text)


def found(test):
    """How often the right caption of fifty is the likeliest."""

    def number(model):
        parts = zip(*(part.split(50) for part in test), strict=True)
        return torch.stack([model(p).argmax(1) == torch.arange(50) for p in parts]).float().mean()

    return examiner(number)


def by_centroids(train, cosine):
    """The accuracy of the nearest class centre among the training examples' embeddings."""

    def judge(test):
        def number(model):
            put = F.normalize if cosine else nn.Identity()
            known, asked = put(model(train[0])), put(model(test[0]))
            centres = torch.stack([known[train[1] == c].mean(0) for c in train[1].unique()])
            return (torch.cdist(asked, centres).argmin(1) == test[1]).float().mean()

        return examiner(number)

    return judge


def tripled(inputs, labels, *_):
    """Each example, one of its class, and one of another."""
    like = labels[:, None] == labels
    rows = (torch.multinomial(part.float(), 1)[:, 0] for part in (like, ~like))
    return inputs, *(inputs[part] for part in rows)


def paired(inputs, labels, *_, examples=1600, no=0.0):
    """Half of the pairs are of one class (1); the others are `no`."""
    one, other = torch.randint(len(labels), (2, 8 * examples))
    like = labels[one] == labels[other]
    rows = torch.cat([like.nonzero()[: examples // 2, 0], (~like).nonzero()[: examples // 2, 0]])
    return inputs[one[rows]], inputs[other[rows]], torch.where(like[rows], 1.0, no)


@BANK.healthy(
    {"kit": "clusters", "loss": pairwise, "by": adam(3e-3), "goal": 0.93, "at": (400, "loss")},
    {"kit": "glyphs", "loss": triplets, "by": adam(2e-3), "goal": 0.88, "steps": 300},
    {"kit": "tones", "loss": cosines, "by": adam(4e-3, RMSprop), "goal": 0.93, "at": (200, "loss")},
    {"kit": "clip", "loss": clip_loss, "by": adam(3e-3, AdamW), "goal": 0.9, "at": (40, "loss")},
)
def distances_learnt(seed, kit, loss, by, goal, at=(0, None), steps=400):
    """Pairs, triplets, cosines, signals with their captions."""
    if kit == "clip":
        train, test = captioned()
        model, judge, keys = Towers(), found, ("signal", "caption")
    else:
        train, test = KITS[kit].task()
        judge, keys = by_centroids(train, cosine=kit == "tones"), ()
        model, no = KITS[kit].model(8), -1.0 if kit == "tones" else 0.0
        train = tripled(*train) if kit == "glyphs" else paired(*train, no=no)
    batches, optimizer = batched(train, 32, keys), by(model.parameters())
    return Run(model, loss, batches, optimizer, judge(test), goal, steps).handed(*at)


def distilled(model, batch, teacher, warmth=4.0, share=0.7):
    """Hinton's: the teacher's soft answers and the labels."""
    x, y = unpacked(batch)
    with torch.no_grad():
        soft = (teacher(x) / warmth).softmax(1)
    out = model(x)
    kl = F.kl_div((out / warmth).log_softmax(1), soft, reduction="batchmean")
    return share * warmth**2 * kl + (1 - share) * F.cross_entropy(out, y)


def kept_logits(model, batch):
    """The teacher's logits lie in the batch."""
    x, y, logits = unpacked(batch)
    out = model(x)
    return 0.5 * F.cross_entropy(out, y) + 0.5 * F.mse_loss(out, logits)


@BANK.healthy(
    {"kit": "spirals", "way": "warm", "by": adam(5e-3), "goal": 0.95, "at": (200, "loss")},
    {"kit": "glyphs", "way": "kept", "by": adam(5e-3, NAdam), "goal": 0.92, "at": (400, "score")},
    {"kit": "clusters", "way": "mse", "by": adam(4e-3), "goal": 0.92},
    {"kit": "tones", "way": "hard", "by": sgd(0.05), "goal": 0.95, "at": (60, None)},
)
def taught_by_a_teacher(seed, kit, way, **how):
    """Labels as well; kept logits; logits alone; or the teacher's guesses as the only labels."""
    train, test = KITS[kit].task()
    teacher, optimizer = KITS[kit].model(CLASSES[kit]), adam(4e-3)
    optimizer, step = optimizer(teacher.parameters()), stepping(plain_entropy)
    for batch in 6 * batched(train[:2], 32):
        step(teacher, optimizer, batch)
    teacher.eval().requires_grad_(False)
    with torch.no_grad():
        logits = teacher(train[0])
    targets = {"warm": train[1:2], "kept": (train[1], logits), "mse": (logits,)}
    task = (train[0], *targets.get(way, (logits.argmax(1),))), test[:2]
    loss = {"warm": partial(distilled, teacher=teacher), "kept": kept_logits}.get(way)
    small = {
        "spirals": lambda: dense(2, 24, 24, 3, act=nn.Tanh),
        "glyphs": lambda: picture_net(6, 6),
        "clusters": lambda: dense(10, 32, 4),
        "tones": lambda: signal_net(4, 8),
    }[kit]()
    keys = ("x", "y", "teacher_logits") if way == "kept" else ()
    more = {"task": task, "model": small, "loss": loss, "keys": keys}
    criterion = F.mse_loss if way == "mse" else F.cross_entropy
    return learn(kit, criterion=criterion, **more, **how)


def plain_entropy(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


class Vae(nn.Module):
    """Logits of the pixels; in training, the last divergence is kept for the loss."""

    def __init__(self, inputs=64, width=64, latent=6):
        super().__init__()
        self.encoder, self.decoder = dense(inputs, width, 2 * latent), dense(latent, width, inputs)

    def forward(self, x):
        mean, logvar = self.encoder(x.flatten(1)).chunk(2, 1)
        self.kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum(1).mean()
        noise = torch.randn_like(mean) * (0.5 * logvar).exp() if self.training else 0.0
        return self.decoder(mean + noise).reshape(x.shape)


def elbo(model, batch, beta=1.0):
    """Summed over the pixels, as in the paper: some tens, and never near 0."""
    x = unpacked(batch)[1]
    entropy = F.binary_cross_entropy_with_logits(model(x), x, reduction="none")
    return entropy.flatten(1).sum(1).mean() + beta * model.kl


def bars(examples=1920, size=8):
    """Pictures of one row and one column that are light."""
    row, column = (F.one_hot(torch.randint(size, (examples + 1000,)), size) for _ in range(2))
    return (row[:, :, None] | column[:, None]).float()[:, None]


def hidden_parts(model, batch):
    """A third of the entries is hidden, and the loss is theirs."""
    x = unpacked(batch)[0]
    hidden = torch.rand(x.shape) < 0.33
    return (model(x * ~hidden) - x)[hidden].square().mean()


@BANK.healthy(
    {"form": "vae", "by": adam(5e-3), "goal": 0.85, "steps": 600, "at": (600, "loss")},
    {"form": "denoise", "by": adam(3e-3), "goal": 0.88, "at": (200, None)},
    {"form": "bottleneck", "by": sgd(0.1), "goal": 0.87, "at": (40, "loss")},
    {"form": "masked", "by": adam(3e-3, NAdam), "goal": 0.72, "at": (200, "loss")},
)
def reconstructions(seed, form, **how):
    """Inputs as targets: variational, without noise, through a neck, from what is not hidden."""
    if form == "vae":
        x, model, loss, said = bars(), Vae(), elbo, torch.sigmoid
    elif form == "denoise":
        x, model, loss, said = waves(), denoiser(), None, nn.Identity()
    else:
        x, loss = torch.tanh(torch.randn(2920, 4) @ torch.randn(4, 20)), None
        model, said = dense(20, 32, 4, 32, 20, act=nn.Tanh), nn.Identity()
        if form == "masked":
            model, loss = dense(20, 64, 64, 20), hidden_parts
    given = x + 0.5 * torch.randn(x.shape) if form == "denoise" else x
    more = {"task": tasks.parted(given, x), "model": model, "loss": loss}
    judge = judging(explained, said)
    return learn(form, criterion=F.mse_loss, judge=judge, **more, **how)


def waves(examples=1920):
    time = torch.linspace(0, 6.28, 48)
    pitch, phase = (k * torch.rand(examples + 1000, 1) for k in (4, 6.28))
    return ((1 + pitch) * time + phase).sin()[:, None]


def denoiser(width=12):
    body = [nn.Conv1d(1, width, 9, padding=4), nn.ReLU(), nn.Conv1d(width, width, 9, padding=4)]
    return nn.Sequential(*body, nn.ReLU(), nn.Conv1d(width, 1, 9, padding=4))
