"""Healthy runs that look odd and are meant."""

import copy
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from .healthy_help import (
    Plan,
    accuracy_on,
    chance,
    clusters,
    digits,
    entries,
    explained_on,
    mlp,
    pairs,
    smooth_function,
    table,
)
from .healthy_plain import LastStep, SmallConvNet

# ---------------------------------------------------------------- labels, dropout, penalties


def noisy_labels(seed, variant):
    """Digits with 20, 30 or 40 % of the labels wrong: the goal is below 100 %."""
    (inputs, labels), test = digits(seed)
    generator = chance(seed, 30)
    wrong = torch.rand(len(labels), generator=generator) < (0.4, 0.3, 0.2)[variant]
    other = (labels + torch.randint(1, 10, labels.shape, generator=generator)) % 10
    labels = torch.where(wrong, other, labels)
    model = mlp(64, (32, 48, 32)[variant], 10)
    optimizer = (
        torch.optim.SGD(model.parameters(), lr=0.1),
        torch.optim.Adam(model.parameters(), lr=1e-3),
        torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
    )[variant]

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    return Plan(
        model,
        loss,
        pairs((48, 32, 64)[variant], inputs, labels),
        optimizer,
        (600, 600, 400)[variant],
        accuracy_on(*test),
        goal=(0.75, 0.85, 0.88)[variant],
        shown=("loss", "loss", "loss")[variant],
    )


def heavy_dropout(seed, variant):
    """Dropout of 0.5 to 0.7: the training loss stays far above the loss in evaluation."""
    (inputs, labels), test = digits(seed)
    model = mlp(64, 128, 10, dropout=(0.5, 0.6, 0.7)[variant])
    if variant == 1:
        model = mlp(64, 128, 128, 10, dropout=0.5)
    optimizer = torch.optim.Adam(model.parameters(), lr=(3e-3, 2e-3, 3e-3)[variant])

    def loss(model, batch):
        x, y = batch
        return F.cross_entropy(model(x), y)

    return Plan(
        model,
        loss,
        pairs((48, 32, 64)[variant], inputs, labels),
        optimizer,
        (450, 450, 450)[variant],
        accuracy_on(*test),
        goal=0.92,
        shown=("loss", "loss", "score")[variant],
    )


def label_smoothing(seed, variant):
    """Label smoothing: the loss has a floor well above zero."""
    (inputs, labels), test = digits(seed)
    model = mlp(64, (64, 64, 96)[variant], 10)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss(label_smoothing=(0.1, 0.2, 0.3)[variant])
    return Plan(
        model,
        lambda model, batch: criterion(model(batch[0]), batch[1]),
        pairs((48, 32, 60)[variant], inputs, labels),
        optimizer,
        (360, 400, 300)[variant],
        accuracy_on(*test),
        goal=0.93,
        shown=("loss", "loss", "score")[variant],
    )


def weight_penalty(seed, variant):
    """A weight penalty that is meant: in the loss (squares or absolutes) or in the optimiser."""
    (inputs, labels), test = digits(seed)
    model = mlp(64, 64, 10)
    optimizer = (
        torch.optim.SGD(model.parameters(), lr=0.2),
        torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.3),
        torch.optim.Adam(model.parameters(), lr=3e-3),
    )[variant]

    def loss(model, batch):
        x, y = batch
        value = F.cross_entropy(model(x), y)
        if variant == 0:
            value = value + 1e-3 * sum(p.pow(2).sum() for p in model.parameters())
        if variant == 2:
            value = value + 3e-4 * sum(p.abs().sum() for p in model.parameters() if p.dim() > 1)
        return value

    return Plan(
        model,
        loss,
        pairs((32, 48, 48)[variant], inputs, labels),
        optimizer,
        (540, 450, 450)[variant],
        accuracy_on(*test),
        goal=0.92,
        shown=("loss", "loss", "loss")[variant],
    )


# ---------------------------------------------------------------- schedules


def warm_up(seed, variant):
    """The rate starts at or near 0 and is warmed up by a scheduler inside the step."""
    (inputs, labels), test = digits(seed)
    model = mlp(64, 64, 64, 10, norm=nn.LayerNorm if variant == 1 else None)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    steps = (450, 420, 450)[variant]
    if variant == 0:
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: min(1.0, i / 150))
    elif variant == 1:
        scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1e-3, 1.0, total_iters=200)
    else:
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda i: min((i + 1) / 100, (max(steps - i, 0) / (steps - 100)) ** 2)
        )

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        scheduler.step()
        return value.item()

    return Plan(
        model,
        loss,
        pairs(48, inputs, labels),
        optimizer,
        steps,
        accuracy_on(*test),
        goal=0.92,
        step=step,
        shown=("loss", "loss", "score")[variant],
    )


def cosine_schedule(seed, variant):
    """A cosine schedule: at its end the rate is near 0 and the net has learned."""
    images = variant == 1
    (inputs, labels), test = digits(seed, images=images)
    model = SmallConvNet(8) if images else mlp(64, 64, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=(0.2, 0.1, 0.1)[variant], momentum=0.9)
    steps = (450, 240, 450)[variant]
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: 0.5 * (1 + math.cos(math.pi * min(1.0, i / steps)))
    )

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        value = loss(model, batch)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        scheduler.step()
        return value.detach()

    return Plan(
        model,
        loss,
        pairs(48, inputs, labels),
        optimizer,
        steps,
        accuracy_on(*test),
        goal=0.94,
        step=step,
        shown=("loss", "score", "loss")[variant],
    )


# ---------------------------------------------------------------- classes and batches


def balanced_accuracy(inputs, labels, binary=False):
    """A score: the mean of the classes' recalls."""

    def score(model):
        out = model(inputs)
        guess = (out[:, 0] > 0).long() if binary else out.argmax(1)
        return torch.stack([(guess[labels == k] == k).float().mean() for k in (0, 1)]).mean()

    return score


def imbalance(seed, variant):
    """Classes 90:10, as the data are; the rare class is learned all the same."""
    inputs, labels = clusters(seed, 2000, features=12, classes=2, spread=1.6, shares=[0.9, 0.1])
    model = mlp(12, (32, 48, 32)[variant], 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    if variant == 2:
        model = mlp(12, 32, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def loss(model, batch):
            x, y = batch
            return nn.BCEWithLogitsLoss()(model(x).squeeze(-1), y.float())

    return Plan(
        model,
        loss,
        pairs((50, 32, 64)[variant], inputs[:1500], labels[:1500]),
        optimizer,
        (400, 450, 450)[variant],
        balanced_accuracy(inputs[1500:], labels[1500:], variant == 2),
        goal=0.9,
        shown=("score", "loss", "loss")[variant],
    )


def class_weights(seed, variant):
    """Class weights in the loss, against an imbalance."""
    shares = ([0.9, 0.1], [0.85, 0.15], [0.93, 0.07])[variant]
    inputs, labels = clusters(seed, 2000, features=10, classes=2, spread=2.0, shares=shares)
    model = mlp(10, 32, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=(3e-3, 5e-3, 3e-3)[variant])
    weight = 0.5 / torch.tensor(shares)
    criterion = nn.CrossEntropyLoss(weight=weight)

    def loss(model, batch):
        return criterion(model(batch[0]), batch[1])

    if variant == 1:
        model = mlp(10, 32, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

        def loss(model, batch):
            x, y = batch
            return F.binary_cross_entropy_with_logits(
                model(x), y.float().unsqueeze(1), pos_weight=torch.tensor([5.0])
            )

    return Plan(
        model,
        loss,
        pairs((50, 50, 75)[variant], inputs[:1500], labels[:1500]),
        optimizer,
        (400, 300, 400)[variant],
        balanced_accuracy(inputs[1500:], labels[1500:], variant == 1),
        goal=0.88,
        shown=("loss", None, "score")[variant],
    )


def focal(seed, variant):
    """A focal loss on rare positives: the loss is small from the start."""
    inputs, labels = clusters(seed, 2000, features=12, classes=2, spread=1.8, shares=[0.9, 0.1])
    model = mlp(12, 32, 1)
    with torch.no_grad():
        model[-1].bias.fill_(-math.log(9))
    optimizer = torch.optim.Adam(model.parameters(), lr=(5e-3, 3e-3, 5e-3)[variant])
    gamma = (2.0, 1.0, 2.0)[variant]

    def loss(model, batch):
        x, y = batch
        bce = F.binary_cross_entropy_with_logits(model(x).squeeze(1), y, reduction="none")
        return ((1 - torch.exp(-bce)) ** gamma * bce).mean()

    return Plan(
        model,
        loss,
        pairs((50, 32, 64)[variant], inputs[:1500], labels[:1500].float()),
        optimizer,
        (450, 450, 350)[variant],
        balanced_accuracy(inputs[1500:], labels[1500:], True),
        goal=0.9,
        shown=("loss", "loss", None)[variant],
    )


def tiny_batches(seed, variant):
    """Batches of one, of two or of four."""
    size = (1, 2, 4)[variant]
    inputs, labels = clusters(seed, 600, features=8, classes=3)
    model = mlp(8, 24, 3, norm=nn.LayerNorm if variant == 1 else None)
    optimizer = (
        torch.optim.SGD(model.parameters(), lr=0.01),
        torch.optim.Adam(model.parameters(), lr=1e-3),
        torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9),
    )[variant]

    def loss(model, batch):
        x, y = batch
        return F.cross_entropy(model(x), y)

    batches = pairs(size, inputs[:400], labels[:400])
    if variant == 2:
        batches = DataLoader(TensorDataset(inputs[:400], labels[:400]), batch_size=4)
    return Plan(
        model,
        loss,
        batches,
        optimizer,
        (1600, 1000, 600)[variant],
        accuracy_on(inputs[400:], labels[400:]),
        goal=0.88,
        shown=("loss", "loss", "score")[variant],
    )


# ---------------------------------------------------------------- steps


def autocast_bfloat16(seed, variant):
    """Mixed precision with bfloat16."""
    (inputs, labels), test = digits(seed)
    model = mlp(64, (64, 96, 64)[variant], 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss(model, batch):
        x, y = batch
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return F.cross_entropy(model(x), y)

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
            value = loss(model, batch)
        value.backward()
        optimizer.step()
        return value.item()

    return Plan(
        model,
        loss,
        pairs((48, 32, 60)[variant], inputs, labels),
        optimizer,
        300,
        accuracy_on(*test),
        goal=0.92,
        step=(None, step, step)[variant],
        shown=("loss", "loss", "score")[variant],
    )


def accumulation(seed, variant):
    """Gradients of four calls are added up; only every fourth call moves the weights."""
    (inputs, labels), test = digits(seed)
    model = mlp(64, 48, 10)
    optimizer = (
        torch.optim.SGD(model.parameters(), lr=0.3),
        torch.optim.Adam(model.parameters(), lr=5e-3),
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    )[variant]
    every = (4, 4, 8)[variant]
    calls = 0

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        nonlocal calls
        value = loss(model, batch)
        (value / every).backward()
        calls += 1
        if calls % every == 0:
            optimizer.step()
            optimizer.zero_grad()
        return value.item()

    return Plan(
        model,
        loss,
        pairs((12, 16, 8)[variant], inputs, labels),
        optimizer,
        (1440, 1080, 1800)[variant],
        accuracy_on(*test),
        goal=0.92,
        step=step,
        shown=("loss", None, "score")[variant],
    )


def clipping(seed, variant):
    """The gradient's norm is clipped at 1 in every step."""
    (inputs, labels), test = digits(seed)
    recurrent = variant != 1
    if recurrent:
        model = LastStep(8, 32, 10, cell=(nn.LSTM, None, nn.GRU)[variant])
    else:
        model = mlp(64, 64, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=(1e-2, 3e-3, 1e-2)[variant])
    batches = pairs(48, inputs, labels)
    images = test[0]
    if recurrent:
        batches = [(x.reshape(-1, 8, 8).transpose(0, 1), y) for x, y in batches]
        images = images.reshape(-1, 8, 8).transpose(0, 1)

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        return float(value.detach())

    return Plan(
        model,
        loss,
        batches,
        optimizer,
        (420, 450, 270)[variant],
        accuracy_on(images, test[1]),
        goal=0.9,
        step=step,
        shown=("loss", "loss", "score")[variant],
    )


def grad_scaler(seed, variant):
    """A GradScaler multiplies the loss before the gradient and divides again."""
    (inputs, labels), test = digits(seed)
    model = mlp(64, 64, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=(0.1, 0.2, 0.1)[variant], momentum=0.9)
    if variant == 0:
        scaler = torch.amp.GradScaler("cpu")
    elif variant == 1:
        scaler = torch.amp.GradScaler("cuda", enabled=False)
    else:
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        scaler.scale(value).backward()
        if variant == 2:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return value.item()

    return Plan(
        model,
        loss,
        pairs((48, 60, 48)[variant], inputs, labels),
        optimizer,
        (360, 300, 360)[variant],
        accuracy_on(*test),
        goal=0.92,
        step=step,
        shown=("loss", "score", None)[variant],
    )


def moving_average(seed, variant):
    """An exponential moving average of the weights is kept in the step."""
    inputs, labels = clusters(seed, 1600, features=16, classes=5, spread=1.6)
    model = mlp(16, 48, 5)
    average = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=(5e-3, 3e-3, 5e-3)[variant])
    swa = torch.optim.swa_utils.AveragedModel(model)

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        if variant == 1:
            swa.update_parameters(model)
            return
        with torch.no_grad():
            for kept, now in zip(average.parameters(), model.parameters(), strict=True):
                kept.mul_(0.98).add_(now, alpha=0.02)

    return Plan(
        model,
        loss,
        pairs((48, 40, 64)[variant], inputs[:1200], labels[:1200]),
        optimizer,
        300,
        accuracy_on(inputs[1200:], labels[1200:]),
        goal=0.9,
        step=step,
        shown=("loss", None, "score")[variant],
    )


def lbfgs(seed, variant):
    """LBFGS, whose step evaluates a closure several times; one or few large batches."""
    if variant == 1:
        inputs, targets = smooth_function(seed, 800, features=5)
        model, criterion = mlp(5, 24, 1, activation=nn.Tanh), nn.MSELoss()
        score, goal = explained_on(inputs[600:], targets[600:]), 0.7
        batches = [(inputs[:600], targets[:600])]
    else:
        (inputs, labels), test = digits(seed)
        model, criterion = mlp(64, 32, 10), nn.CrossEntropyLoss()
        score, goal = accuracy_on(*test), 0.9
        batches = pairs((720, 0, 1440)[variant], inputs, labels)
    optimizer = torch.optim.LBFGS(
        model.parameters(), lr=(0.5, 1.0, 1.0)[variant], line_search_fn="strong_wolfe", max_iter=4
    )

    def loss(model, batch):
        return criterion(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        def closure():
            optimizer.zero_grad()
            value = loss(model, batch)
            value.backward()
            return value

        return optimizer.step(closure).item()

    return Plan(
        model,
        loss,
        batches,
        optimizer,
        (20, 60, 16)[variant],
        score,
        goal=goal,
        step=step,
        shown=("loss", "loss", "score")[variant],
    )


# ---------------------------------------------------------------- trained before


class Encoded(nn.Module):
    """An encoder and a head."""

    def __init__(self, encoder, head):
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, x):
        return self.head(self.encoder(x))


def pretrain(model, inputs, labels, steps, rate=5e-3):
    """Train a classifier before the run proper begins."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    batches = pairs(48, inputs, labels)
    for i in range(steps):
        x, y = batches[i % len(batches)]
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.zero_grad(set_to_none=True)


def frozen_encoder(seed, variant):
    """A pretrained encoder is frozen on purpose; only the head is trained."""
    (inputs, labels), test = digits(seed)
    encoder = nn.Sequential(mlp(64, 64, 32), nn.ReLU())
    pretrain(nn.Sequential(encoder, nn.Linear(32, 10)), inputs[:720], labels[:720], 200)
    for p in encoder.parameters():
        p.requires_grad = False
    head = (nn.Linear(32, 10), mlp(32, 32, 10), mlp(32, 32, 2))[variant]
    model = Encoded(encoder, head)
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = (
        torch.optim.Adam(model.head.parameters(), lr=1e-2),
        torch.optim.AdamW(trainable, lr=5e-3),
        torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9),
    )[variant]
    if variant == 2:
        labels, test = labels % 2, (test[0], test[1] % 2)

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    return Plan(
        model,
        loss,
        pairs((48, 32, 60)[variant], inputs[720:], labels[720:]),
        optimizer,
        (300, 300, 240)[variant],
        accuracy_on(*test),
        goal=0.9,
        shown=("loss", "score", "loss")[variant],
    )


def fine_tuning(seed, variant):
    """Trained weights are tuned on noisier data with a very small rate."""
    (inputs, labels), test = digits(seed)
    model = mlp(64, 64, 10)
    pretrain(model, inputs[:960], labels[:960], 240, rate=3e-3)
    generator = chance(seed, 31)
    noisy = inputs + 0.1 * torch.randn(inputs.shape, generator=generator)
    optimizer = (
        torch.optim.Adam(model.parameters(), lr=1e-5),
        torch.optim.AdamW(model.parameters(), lr=2e-5),
        torch.optim.SGD(model.parameters(), lr=1e-3),
    )[variant]

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    return Plan(
        model,
        loss,
        pairs((32, 48, 32)[variant], noisy[480:], labels[480:]),
        optimizer,
        (300, 300, 300)[variant],
        accuracy_on(*test),
        goal=0.9,
        shown=("loss", "loss", "score")[variant],
        trained_before=True,
    )


def parameter_groups(seed, variant):
    """A pretrained body with a rate a hundred times below that of its new head."""
    (inputs, labels), test = digits(seed)
    encoder = nn.Sequential(mlp(64, 64, 32), nn.ReLU())
    pretrain(nn.Sequential(encoder, nn.Linear(32, 10)), inputs[:720], labels[:720], 200)
    model = Encoded(encoder, nn.Linear(32, 10))
    optimizer = (torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop)[variant](
        [
            {"params": model.encoder.parameters(), "lr": 1e-5},
            {"params": model.head.parameters(), "lr": (1e-2, 5e-3, 2e-3)[variant]},
        ]
    )

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    return Plan(
        model,
        loss,
        pairs((48, 40, 48)[variant], inputs, labels),
        optimizer,
        300,
        accuracy_on(*test),
        goal=0.9,
        shown=("loss", None, "score")[variant],
    )


def distillation(seed, variant):
    """A small net learns from a frozen teacher that the loss holds."""
    (inputs, labels), test = digits(seed)
    teacher = mlp(64, 96, 10)
    pretrain(teacher, inputs, labels, 200)
    teacher.eval()
    model = mlp(64, (24, 32, 24)[variant], 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    warmth = (2.0, 4.0, 3.0)[variant]

    def loss(model, batch):
        x, y = batch
        with torch.no_grad():
            soft = F.softmax(teacher(x) / warmth, dim=1)
        out = model(x)
        kd = F.kl_div(F.log_softmax(out / warmth, dim=1), soft, reduction="batchmean")
        return 0.5 * warmth**2 * kd + 0.5 * F.cross_entropy(out, y)

    return Plan(
        model,
        loss,
        pairs((48, 60, 40)[variant], inputs, labels),
        optimizer,
        (360, 300, 360)[variant],
        accuracy_on(*test),
        goal=0.9,
        shown=("loss", None, "loss")[variant],
    )


# ---------------------------------------------------------------- losses


def gaussian_nll(seed, variant):
    """Mean and variance are predicted; the loss goes below zero, as it should."""
    inputs, targets = smooth_function(seed, 1500, features=5)
    targets = targets * (1.0, 0.5, 1.0)[variant]
    model = mlp(5, 64, 64, 2, activation=(nn.ReLU, nn.Tanh, nn.SiLU)[variant])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.GaussianNLLLoss()

    def loss(model, batch):
        x, y = batch
        mean, log_variance = model(x).chunk(2, dim=1)
        if variant == 1:
            return (0.5 * log_variance + 0.5 * (y - mean) ** 2 / log_variance.exp()).mean()
        return criterion(mean, y, F.softplus(log_variance) + 1e-4)

    return Plan(
        model,
        loss,
        pairs((60, 50, 40)[variant], inputs[:1200], targets[:1200]),
        optimizer,
        (800, 900, 900)[variant],
        explained_on(inputs[1200:], targets[1200:], lambda m, x: m(x)[:, :1]),
        goal=0.85,
        shown=("loss", "loss", "loss")[variant],
    )


class VAE(nn.Module):
    """A variational autoencoder for digits."""

    def __init__(self, hidden, latent):
        super().__init__()
        self.fc1 = nn.Linear(64, hidden)
        self.mu = nn.Linear(hidden, latent)
        self.logvar = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, 64)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu) if self.training else mu
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


def vae(seed, variant):
    """A VAE whose loss is a sum over pixels and batch, much larger than 1."""
    (inputs, labels), test = digits(seed)
    model = VAE((96, 64, 96)[variant], (8, 6, 8)[variant])
    optimizer = torch.optim.Adam(model.parameters(), lr=(3e-3, 3e-3, 2e-3)[variant])

    def loss(model, batch):
        x = batch[0]
        recon, mu, logvar = model(x)
        bce = F.binary_cross_entropy(recon, x, reduction="sum")
        kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return (bce + kld) / len(x) if variant == 1 else bce + kld

    return Plan(
        model,
        loss,
        pairs((48, 48, 60)[variant], inputs, labels),
        optimizer,
        (900, 900, 900)[variant],
        explained_on(test[0], test[0], lambda m, x: m(x)[0]),
        goal=0.4,
        shown=("loss", "loss", None)[variant],
    )


def contrastive(seed, variant):
    """Two views of each example and in-batch negatives: the loss joins the examples by design."""
    (inputs, _), test = digits(seed)
    generator = chance(seed, 32)

    def view(x):
        noise = 0.05 * torch.randn(x.shape, generator=generator)
        return (x + noise) * (torch.rand(x.shape, generator=generator) > 0.15)

    model = mlp(64, 64, (16, 32, 16)[variant])
    optimizer = torch.optim.Adam(model.parameters(), lr=(3e-3, 2e-3, 3e-3)[variant])
    heat = (0.1, 0.2, 0.1)[variant]

    def loss(model, batch):
        a, b = (F.normalize(model(x), dim=1) for x in batch)
        logits = a @ b.T / heat
        target = torch.arange(len(a))
        if variant == 1:
            return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        return F.cross_entropy(logits, target)

    left, right = view(test[0][:100]), view(test[0][:100])

    def retrieved(model):
        a, b = F.normalize(model(left), dim=1), F.normalize(model(right), dim=1)
        return ((a @ b.T).argmax(1) == torch.arange(100)).float().mean()

    batches = pairs((48, 72, 60)[variant], view(inputs), view(inputs))
    return Plan(
        model,
        loss,
        batches,
        optimizer,
        (450, 400, 400)[variant],
        retrieved,
        goal=0.6,
        shown=("loss", "loss", None)[variant],
    )


def triplet(seed, variant):
    """Triplets of anchor, positive and negative; some batches end with a loss of almost zero."""
    (inputs, labels), test = digits(seed)
    generator = chance(seed, 33)

    def triplets(x, y, count):
        anchors = torch.randint(len(x), (count,), generator=generator)
        mixed = torch.randint(len(x), (count, 60), generator=generator)
        same = (y[mixed] == y[anchors].unsqueeze(1)).float()
        positive = mixed[torch.arange(count), same.argmax(1)]
        negative = mixed[torch.arange(count), same.argmin(1)]
        keep = (y[positive] == y[anchors]) & (positive != anchors)
        return tuple(x[index[keep]] for index in (anchors, positive, negative))

    model = mlp(64, (64, 48, 64)[variant], 16)
    optimizer = torch.optim.Adam(model.parameters(), lr=(2e-3, 2e-3, 1e-3)[variant])
    criterion = nn.TripletMarginLoss(margin=(1.0, 0.5, 1.0)[variant])

    def loss(model, batch):
        anchor, positive, negative = batch
        return criterion(model(anchor), model(positive), model(negative))

    def loss_of_dict(model, batch):
        a, p, n = (model(batch[key]) for key in ("anchor", "positive", "negative"))
        return F.relu((a - p).pow(2).sum(1) - (a - n).pow(2).sum(1) + 1.0).mean()

    held = triplets(*test, 400)

    def in_order(model):
        a, p, n = (model(x) for x in held)
        return ((a - p).norm(dim=1) < (a - n).norm(dim=1)).float().mean()

    batches = pairs((48, 40, 48)[variant], *triplets(inputs, labels, 1500))
    if variant == 2:
        batches = [dict(zip(("anchor", "positive", "negative"), b, strict=True)) for b in batches]
    return Plan(
        model,
        loss_of_dict if variant == 2 else loss,
        batches,
        optimizer,
        (300, 400, 400)[variant],
        in_order,
        goal=0.94,
        shown=("loss", None, "loss")[variant],
    )


class TokenFiller(nn.Module):
    """A transformer encoder that gives logits for every position."""

    def __init__(self, vocabulary, width, length, layers):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        h = self.embedding(tokens) + self.position(torch.arange(tokens.shape[1]))
        return self.lm_head(self.norm(self.encoder(h)))


def masked_language(seed, variant):
    """A masked language model: about 85 % of the targets are -100 and ignored."""
    generator = chance(seed, 34)
    topics, length, vocabulary, count = (6, 8, 6)[variant], 12, 30, 960
    phrases = torch.randint(2, vocabulary, (topics, length), generator=generator)
    text = phrases[torch.randint(topics, (count,), generator=generator)]
    odd = torch.rand(text.shape, generator=generator) < 0.1
    text = torch.where(odd, torch.randint(2, vocabulary, text.shape, generator=generator), text)
    hidden = torch.rand(text.shape, generator=generator) < 0.15
    tokens, targets = text.masked_fill(hidden, 1), text.masked_fill(~hidden, -100)
    model = TokenFiller(vocabulary, 32, length, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=(3e-3, 5e-3, 3e-3)[variant])

    def loss(model, batch):
        logits = model(batch["input_ids"])
        return F.cross_entropy(
            logits.reshape(-1, vocabulary), batch["labels"].reshape(-1), ignore_index=-100
        )

    def loss_of_pair(model, batch):
        x, y = batch
        return nn.CrossEntropyLoss()(model(x).permute(0, 2, 1), y)

    def filled(model):
        guess = model(tokens[768:]).argmax(-1)
        return (guess == targets[768:])[hidden[768:]].float().mean()

    batches = pairs(32, tokens[:768], targets[:768])
    if variant != 1:
        batches = [{"input_ids": x, "labels": y} for x, y in batches]
    return Plan(
        model,
        loss_of_pair if variant == 1 else loss,
        batches,
        optimizer,
        (312, 312, 288)[variant],
        filled,
        goal=0.7,
        shown=("loss", "loss", "score")[variant],
    )


def sum_reduction(seed, variant):
    """The loss is a sum over the batch, and the rate is small to match."""
    if variant == 1:
        inputs, targets = smooth_function(seed, 1500)
        model, criterion = mlp(6, 64, 64, 1, activation=nn.Tanh), nn.MSELoss(reduction="sum")
        score, goal = explained_on(inputs[1200:], targets[1200:]), 0.8
        batches = pairs(30, inputs[:1200], targets[:1200])
        optimizer = torch.optim.SGD(model.parameters(), lr=7e-4, momentum=0.9)
    else:
        (inputs, labels), test = digits(seed)
        model, criterion = mlp(64, 64, 10), nn.CrossEntropyLoss(reduction="sum")
        score, goal = accuracy_on(*test), 0.92
        batches = pairs((48, 0, 32)[variant], inputs, labels)
        optimizer = torch.optim.SGD(model.parameters(), lr=(6e-3, 0, 1e-3)[variant])
        if variant == 2:
            optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def loss(model, batch):
        return criterion(model(batch[0]), batch[1])

    return Plan(
        model,
        loss,
        batches,
        optimizer,
        (500, 1200, 500)[variant],
        score,
        goal=goal,
        shown=("loss", "loss", "score")[variant],
    )


def three_arguments(seed, variant):
    """A loss of three arguments: the model, the inputs and the targets."""
    if variant == 1:
        (inputs, targets), _ = table(seed, "diabetes", standardise_target=True)
        model = mlp(10, 16, 1, activation=nn.Tanh)
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-2)
        batches = pairs(32, inputs, targets)
        score, goal, steps = explained_on(inputs, targets), 0.45, 400

        def loss(model, inputs, targets):
            return F.mse_loss(model(inputs), targets)

    else:
        (inputs, labels), test = table(seed, "wine")
        model = mlp(13, 16, 3)
        optimizer = (
            torch.optim.Adam(model.parameters(), lr=1e-2),
            None,
            torch.optim.SGD(model.parameters(), lr=0.1),
        )[variant]
        batches = pairs((16, 0, 28)[variant], inputs, labels)
        score, goal, steps = accuracy_on(*test), 0.9, (160, 0, 200)[variant]

        def loss(net, x, y):
            return nn.functional.cross_entropy(net(x), y)

    return Plan(
        model,
        loss,
        batches,
        optimizer,
        steps,
        score,
        goal=goal,
        shown=("loss", "loss", "score")[variant],
    )


class ClassLoss(nn.Module):
    """A loss as a module of its own, called with the model and the batch."""

    def __init__(self, classes, epsilon=0.0):
        super().__init__()
        self.register_buffer("weight", torch.ones(classes))
        self.epsilon = epsilon

    def forward(self, model, batch):
        x, y = batch
        return F.cross_entropy(model(x), y, weight=self.weight, label_smoothing=self.epsilon)


def loss_module(seed, variant):
    """The loss is an nn.Module that holds a buffer."""
    (inputs, labels), test = table(seed, ("wine", "iris", "breast_cancer")[variant])
    classes = int(labels.max()) + 1
    model = mlp(inputs.shape[1], 16, classes, activation=(nn.ReLU, nn.Tanh, nn.ReLU)[variant])
    optimizer = (
        torch.optim.Adam(model.parameters(), lr=1e-2),
        torch.optim.Adam(model.parameters(), lr=1e-2),
        torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
    )[variant]
    return Plan(
        model,
        ClassLoss(classes, (0.0, 0.0, 0.05)[variant]),
        pairs((16, 12, 35)[variant], inputs, labels),
        optimizer,
        (160, 300, 195)[variant],
        accuracy_on(*test),
        goal=0.88,
        shown=("loss", "loss", "score")[variant],
    )


def soft_targets(seed, variant):
    """One-hot or mixed targets given as probabilities."""
    (inputs, labels), test = digits(seed)
    soft = F.one_hot(labels, 10).float()
    if variant == 1:  # mixup, done ahead
        generator = chance(seed, 35)
        share = torch.rand(len(inputs), 1, generator=generator) * 0.5
        other = torch.randperm(len(inputs), generator=generator)
        inputs = (1 - share) * inputs + share * inputs[other]
        soft = (1 - share) * soft + share * soft[other]
    model = mlp(64, 64, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss(model, batch):
        x, y = batch
        return F.cross_entropy(model(x), y)

    def hand_written(model, batch):
        x, y = batch
        return -(y * F.log_softmax(model(x), dim=1)).sum(1).mean()

    return Plan(
        model,
        hand_written if variant == 2 else loss,
        pairs((48, 48, 36)[variant], inputs, soft),
        optimizer,
        (360, 450, 400)[variant],
        accuracy_on(*test),
        goal=0.92,
        shown=("loss", "loss", "score")[variant],
    )


@dataclass
class Outputs:
    """What a net with two heads answers in training."""

    logits: torch.Tensor
    auxiliary: torch.Tensor


class TwoHeads(nn.Module):
    """A net with an auxiliary head that answers in training only."""

    def __init__(self, width, named):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width))
        self.body = nn.Sequential(
            nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()
        )
        self.auxiliary = nn.Linear(width, 10)
        self.fc = nn.Linear(16 * width, 10)
        self.named = named

    def forward(self, x):
        early = self.stem(x)
        out = self.fc(self.body(early).flatten(1))
        if self.training:
            early = self.auxiliary(F.relu(early).mean((2, 3)))
            return Outputs(out, early) if self.named else (out, early)
        return out


def auxiliary_head(seed, variant):
    """An auxiliary head as in GoogLeNet: a tuple of outputs in training, one in evaluation."""
    (inputs, labels), test = digits(seed, images=True)
    model = TwoHeads((8, 12, 8)[variant], named=variant == 1)
    optimizer = (
        torch.optim.Adam(model.parameters(), lr=3e-3),
        torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9),
        torch.optim.Adam(model.parameters(), lr=5e-3),
    )[variant]

    def loss(model, batch):
        x, y = batch
        outputs = model(x)
        if isinstance(outputs, Outputs):
            main, side = F.cross_entropy(outputs.logits, y), F.cross_entropy(outputs.auxiliary, y)
            return main + 0.4 * side
        if isinstance(outputs, tuple):
            return F.cross_entropy(outputs[0], y) + 0.3 * F.cross_entropy(outputs[1], y)
        return F.cross_entropy(outputs, y)

    return Plan(
        model,
        loss,
        pairs((48, 32, 60)[variant], inputs, labels),
        optimizer,
        (240, 270, 216)[variant],
        accuracy_on(*test),
        goal=0.94,
        shown=("loss", "loss", "score")[variant],
    )


def sigmoid_squares(seed, variant):
    """A sigmoid at the end with squared error on targets between 0 and 1."""
    if variant == 1:
        (inputs, _), test = digits(seed)
        model = nn.Sequential(mlp(64, 32, 64), nn.Sigmoid())
        batches, test = pairs(48, inputs, inputs), (test[0], test[0])
        optimizer, goal = torch.optim.Adam(model.parameters(), lr=5e-3), 0.7
    else:
        inputs, values = smooth_function(seed, 1500, features=4)
        targets = torch.sigmoid(2 * values)
        model = nn.Sequential(mlp(4, 48, 48, 1), nn.Sigmoid())
        batches, test = pairs(50, inputs[:1200], targets[:1200]), (inputs[1200:], targets[1200:])
        optimizer, goal = torch.optim.Adam(model.parameters(), lr=5e-3), 0.85

    def loss(model, batch):
        x, y = batch
        return nn.MSELoss()(model(x), y)

    return Plan(
        model,
        loss,
        batches,
        optimizer,
        (720, 600, 800)[variant],
        explained_on(*test),
        goal=goal,
        shown=("loss", "loss", None)[variant],
    )


def counted(seed, count):
    """Counts that follow from the inputs, with the rates behind them; shapes (N, 1)."""
    inputs, values = smooth_function(seed, count, features=4)
    rates = torch.exp(0.7 * values + 1.0).clamp(max=12)
    return inputs, torch.poisson(rates, generator=chance(seed, 36)), rates


def relu_counts(seed, variant):
    """A ReLU or softplus at the end, for targets that are counts."""
    inputs, targets, rates = counted(seed, 1600)
    model = nn.Sequential(mlp(4, 48, 48, 1), nn.Softplus() if variant == 1 else nn.ReLU())
    nn.init.constant_(model[0][-1].bias, 2.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=(3e-3, 5e-3, 2e-3)[variant])

    def loss(model, batch):
        x, y = batch
        return F.mse_loss(model(x), y)

    return Plan(
        model,
        loss,
        pairs((40, 50, 64)[variant], inputs[:1200], targets[:1200]),
        optimizer,
        (450, 400, 450)[variant],
        explained_on(inputs[1200:], rates[1200:]),
        goal=0.65,
        shown=("loss", "loss", "loss")[variant],
    )


def poisson_nll(seed, variant):
    """Poisson likelihood of counts, given the logarithm of the rate or the rate."""
    inputs, targets, rates = counted(seed, 1600)
    model = mlp(4, 48, 48, 1, activation=nn.Tanh)
    optimizer = torch.optim.Adam(model.parameters(), lr=(3e-3, 5e-3, 3e-3)[variant])
    criterion = nn.PoissonNLLLoss(log_input=variant != 1)

    def rate(model, x):
        return F.softplus(model(x)) + 1e-6 if variant == 1 else model(x).exp()

    def loss(model, batch):
        x, y = batch
        if variant == 1:
            return criterion(rate(model, x), y)
        if variant == 2:
            log_rate = model(x)
            return torch.mean(torch.exp(log_rate) - y * log_rate)
        return criterion(model(x), y)

    return Plan(
        model,
        loss,
        pairs((50, 40, 60)[variant], inputs[:1200], targets[:1200]),
        optimizer,
        (500, 450, 500)[variant],
        explained_on(inputs[1200:], rates[1200:], rate),
        goal=0.65,
        shown=("loss", "loss", None)[variant],
    )


def quantile(seed, variant):
    """A pinball loss for a high or low quantile: the mean of the errors is not zero."""
    inputs, targets = smooth_function(seed, 1600, features=5)
    share = (0.8, 0.2, 0.7)[variant]
    model = mlp(5, 64, 64, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss(model, batch):
        x, y = batch
        error = y - model(x)
        return torch.maximum(share * error, (share - 1) * error).mean()

    return Plan(
        model,
        loss,
        pairs((50, 40, 60)[variant], inputs[:1200], targets[:1200]),
        optimizer,
        (700, 800, 700)[variant],
        explained_on(inputs[1200:], targets[1200:]),
        goal=0.75,
        shown=("loss", None, "loss")[variant],
    )


def softmax_inside(seed, variant):
    """The softmax is in the model and the loss takes its logarithm: right, if unusual."""
    (inputs, labels), test = digits(seed)
    last = (nn.Softmax(dim=1), nn.LogSoftmax(dim=1), nn.Softmax(dim=-1))[variant]
    model = nn.Sequential(mlp(64, 64, 10), last)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.NLLLoss()

    def loss(model, batch):
        x, y = batch
        out = model(x)
        if variant == 0:
            return F.nll_loss(torch.log(out + 1e-8), y)
        if variant == 1:
            return criterion(out, y)
        return -out[torch.arange(len(y)), y].clamp_min(1e-7).log().mean()

    return Plan(
        model,
        loss,
        pairs((48, 32, 60)[variant], inputs, labels),
        optimizer,
        (360, 400, 300)[variant],
        accuracy_on(*test),
        goal=0.92,
        shown=("loss", "loss", "score")[variant],
    )


# ---------------------------------------------------------------- nets and data


class Siamese(nn.Module):
    """One encoder for both inputs; a logit, or the distance, says whether they belong together."""

    def __init__(self, width, distance):
        super().__init__()
        self.encoder = mlp(64, width, 16)
        self.distance = distance
        self.fc = None if distance else nn.Linear(16, 1)

    def forward(self, a, b):
        a, b = self.encoder(a), self.encoder(b)
        if self.distance:
            return (a - b).pow(2).sum(1).add(1e-6).sqrt()
        return self.fc((a - b).abs()).squeeze(1)


def siamese(seed, variant):
    """A Siamese net, its encoder shared by both inputs; same or different digit."""
    (inputs, labels), test = digits(seed)
    generator = chance(seed, 37)

    def couples(x, y, count):
        first = torch.randint(len(x), (count,), generator=generator)
        second = torch.randint(len(x), (count,), generator=generator)
        half = torch.arange(count) % 2 == 0
        spread = torch.randint(1000, (count,), generator=generator)
        order = torch.argsort(y, stable=True)
        starts = torch.stack([(y < k).sum() for k in range(10)])
        sizes = torch.bincount(y, minlength=10)
        mates = order[starts[y[first]] + spread % sizes[y[first]]]
        second = torch.where(half, mates, second)
        return x[first], x[second], (y[first] == y[second]).float()

    model = Siamese(64, distance=variant == 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss(model, batch):
        a, b, same = batch
        if variant == 1:
            d = model(a, b)
            return (same * d**2 + (1 - same) * F.relu(1.5 - d) ** 2).mean()
        return F.binary_cross_entropy_with_logits(model(a, b), same)

    left, right, alike = couples(*test, 400)

    def decided(model):
        out = model(left, right)
        guess = out < 0.75 if variant == 1 else out > 0
        return (guess == (alike > 0.5)).float().mean()

    return Plan(
        model,
        loss,
        pairs((48, 48, 64)[variant], *couples(inputs, labels, 2400)),
        optimizer,
        (900, 450, 900)[variant],
        decided,
        goal=0.85,
        shown=("loss", "loss", "score")[variant],
    )


class TiedLanguage(nn.Module):
    """A language model whose output layer is its embedding."""

    def __init__(self, vocabulary, width):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.out = nn.Linear(width, vocabulary)
        self.out.weight = self.embedding.weight
        nn.init.normal_(self.embedding.weight, std=0.3)

    def forward(self, x):
        return self.out(self.gru(self.embedding(x))[0])


class TiedAutoencoder(nn.Module):
    """An autoencoder that decodes with the transpose of its encoder."""

    def __init__(self, code):
        super().__init__()
        self.encoder = nn.Linear(64, code)
        self.bias = nn.Parameter(torch.zeros(64))

    def forward(self, x):
        return F.linear(torch.relu(self.encoder(x)), self.encoder.weight.T, self.bias)


def tied_weights(seed, variant):
    """Tied weights: output layer and embedding, or decoder and encoder, are one."""
    if variant == 1:
        (inputs, _), test = digits(seed)
        model = TiedAutoencoder(32)
        batches = list(inputs.split(48))
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        score, goal, steps = explained_on(test[0], test[0]), 0.75, 450

        def loss(model, batch):
            return F.mse_loss(model(batch), batch)

    else:
        generator = chance(seed, 38)
        successor = torch.randperm(24, generator=generator)
        columns = [torch.randint(24, (480,), generator=generator)]
        for _ in range(10):
            odd = torch.rand(480, generator=generator) < 0.1
            jump = torch.randint(24, (480,), generator=generator)
            columns.append(torch.where(odd, jump, successor[columns[-1]]))
        text = torch.stack(columns, 1)
        model = TiedLanguage(24, (32, 0, 24)[variant])
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        batches = pairs((24, 0, 32)[variant], text[:384, :-1], text[:384, 1:])
        score, goal = accuracy_on(text[384:, :-1], text[384:, 1:]), 0.8
        steps = (256, 0, 240)[variant]

        def loss(model, batch):
            x, y = batch
            return F.cross_entropy(model(x).flatten(0, 1), y.flatten())

    return Plan(
        model,
        loss,
        batches,
        optimizer,
        steps,
        score,
        goal=goal,
        shown=("loss", "loss", "score")[variant],
    )


def dict_with_id(seed, variant):
    """Batches are dicts that carry an integer id and a text the model never sees."""
    inputs, labels = clusters(seed, 1500, features=14, classes=5, spread=1.6)
    ids = 100_000 + torch.randperm(1500, generator=chance(seed, 39))
    model = mlp(14, 48, 5)
    optimizer = torch.optim.Adam(model.parameters(), lr=(3e-3, 5e-3, 3e-3)[variant])

    def loss(model, batch):
        return F.cross_entropy(model(batch["features"]), batch["label"])

    batches = [
        {"id": i, "features": x, "label": y}
        for i, x, y in pairs((40, 50, 30)[variant], ids[:1200], inputs[:1200], labels[:1200])
    ]
    if variant == 1:
        for batch in batches:
            batch["name"] = [f"sample-{int(i)}" for i in batch["id"]]
    return Plan(
        model,
        loss,
        batches,
        optimizer,
        (300, 240, 400)[variant],
        accuracy_on(inputs[1200:], labels[1200:]),
        goal=0.88,
        shown=("loss", "loss", "score")[variant],
    )


def parity_plateau(seed, variant):
    """Parity of a few bits: the loss stays on its plateau near log 2 before it drops."""
    bits, length = (3, 3, 4)[variant], (8, 8, 8)[variant]
    generator = chance(seed, 40)
    inputs = torch.randint(2, (1500, length), generator=generator).float() * 2 - 1
    labels = (inputs[:, :bits].prod(1) > 0).long()
    model = mlp(length, 64, 64, 2)
    optimizer = (
        torch.optim.SGD(model.parameters(), lr=0.1),
        torch.optim.SGD(model.parameters(), lr=0.05),
        torch.optim.Adam(model.parameters(), lr=2e-3),
    )[variant]

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    return Plan(
        model,
        loss,
        pairs((40, 30, 40)[variant], inputs[:1200], labels[:1200]),
        optimizer,
        (900, 1400, 800)[variant],
        accuracy_on(inputs[1200:], labels[1200:]),
        goal=0.95,
        shown=("loss", "loss", "loss")[variant],
        half=0.1,
    )


class Augmented(nn.Module):
    """Noise and blanked pixels in training, none in evaluation."""

    def __init__(self, body, noise):
        super().__init__()
        self.body = body
        self.noise = noise

    def forward(self, x):
        if self.training:
            x = x + self.noise * torch.randn_like(x)
            x = x * (torch.rand_like(x) > 0.2)
        return self.body(x)


def augmentation(seed, variant):
    """Random augmentation in the model or the loss: a batch never gives the same loss twice."""
    (inputs, labels), test = digits(seed)
    model = mlp(64, 96, 10)
    if variant != 1:
        model = Augmented(model, (0.3, 0, 0.2)[variant])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss(model, batch):
        x, y = batch
        if variant == 1 and model.training:
            x = torch.roll(x.reshape(-1, 8, 8), int(torch.randint(-1, 2, ())), 2).reshape(-1, 64)
        return F.cross_entropy(model(x), y)

    return Plan(
        model,
        loss,
        pairs((48, 32, 60)[variant], inputs, labels),
        optimizer,
        (450, 540, 400)[variant],
        accuracy_on(*test),
        goal=0.9,
        shown=("loss", "loss", "score")[variant],
    )


class PerStep(nn.Module):
    """A GRU that gives a number for each time step."""

    def __init__(self, width):
        super().__init__()
        self.gru = nn.GRU(2, width, batch_first=True)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        return self.out(self.gru(x)[0]).squeeze(-1)


def masked_sequences(seed, variant):
    """Padded sequences of unequal length; the loss counts only what is under the mask."""
    generator = chance(seed, 41)
    inputs = torch.randn(640, 12, 2, generator=generator)
    lengths = torch.randint(4, 13, (640,), generator=generator)
    mask = (torch.arange(12) < lengths.unsqueeze(1)).float()
    inputs = inputs * mask.unsqueeze(-1)
    targets = torch.zeros(640, 12)
    for i in range(12):
        before = 0.7 * targets[:, i - 1] if i else 0.0
        targets[:, i] = before + 0.6 * inputs[:, i, 0] - 0.3 * inputs[:, i, 1]
    targets = targets * mask
    model = PerStep((32, 24, 32)[variant])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def loss(model, batch):
        x, y, keep = batch
        error = (model(x) - y) ** 2
        return (error * keep).sum() / keep.sum()

    def loss_of_dict(model, batch):
        error = F.l1_loss(model(batch["x"]), batch["y"], reduction="none")
        return error[batch["mask"]].mean()

    def explained(model):
        kept = mask[512:] > 0
        error = (model(inputs[512:]) - targets[512:])[kept]
        return 1 - error.square().mean() / targets[512:][kept].var()

    batches = pairs((32, 32, 16)[variant], inputs[:512], targets[:512], mask[:512])
    if variant == 1:
        batches = [{"x": x, "y": y, "mask": m.bool()} for x, y, m in batches]
    return Plan(
        model,
        loss_of_dict if variant == 1 else loss,
        batches,
        optimizer,
        (224, 240, 256)[variant],
        explained,
        goal=0.85,
        shown=("loss", "loss", "loss")[variant],
    )


HEALTHY = entries(
    noisy_labels,
    heavy_dropout,
    label_smoothing,
    weight_penalty,
    warm_up,
    cosine_schedule,
    imbalance,
    class_weights,
    focal,
    tiny_batches,
    autocast_bfloat16,
    accumulation,
    clipping,
    grad_scaler,
    moving_average,
    lbfgs,
    frozen_encoder,
    fine_tuning,
    parameter_groups,
    distillation,
    gaussian_nll,
    vae,
    contrastive,
    triplet,
    masked_language,
    sum_reduction,
    three_arguments,
    loss_module,
    soft_targets,
    auxiliary_head,
    sigmoid_squares,
    relu_counts,
    poisson_nll,
    quantile,
    softmax_inside,
    siamese,
    tied_weights,
    dict_with_id,
    parity_plateau,
    augmentation,
    masked_sequences,
)
