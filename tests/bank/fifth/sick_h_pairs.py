"""Sick runs of two faults, each enough."""

from functools import partial

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce_logits
from torch.nn.functional import cross_entropy, mse_loss
from torch.optim import SGD, Adam, AdamW

from ..runs import Run, accuracy, batched, examiner, explained, stepping, supervised_run, yes_or_no
from . import BANK
from . import nets_h as nets
from . import tasks_h as tasks


@BANK.sick("inputs", "unscaled_inputs", "unscaled_targets")
def demand_in_megawatt_and_kelvin_h(seed, has):
    """Neither the past nor what is to come was standardised."""
    past, after = tasks.demand()
    if "unscaled_inputs" not in has:
        past = (past - past.mean((0, 1))) / past.std((0, 1))
    if "unscaled_targets" not in has:
        after = (after - after.mean()) / after.std()
    model = nets.Forecaster(2, 1)
    optimizer = Adam(model.parameters(), lr=5e-3)
    task = tasks.parted(past, after)
    run = supervised_run(task, model, optimizer, mse_loss, explained, goal=0.8, steps=250)
    return run.handed(125, "loss")


@BANK.sick("model", "too_small", "too_few_steps")
def dialects_by_four_units_for_one_epoch_h(seed, has):
    """A quick try with a tiny net, and judged after it."""
    width = 4 if "too_small" in has else 24
    steps = 30 if "too_few_steps" in has else 450
    model = nets.OwnRecurrence(20, 4, width=width)
    optimizer = Adam(model.parameters(), lr=4e-3)
    task = tasks.parted(*tasks.dialects())
    run = supervised_run(task, model, optimizer, cross_entropy, accuracy, goal=0.75, steps=steps)
    return run.handed(steps // 2, "score")


@BANK.sick("model", "dropout_too_strong", "clipping_too_tight")
def reviews_dropped_and_clipped_h(seed, has):
    """Against overfitting and against explosions, both at once."""
    model = nets.Reader(72, 2, drop=0.9 if "dropout_too_strong" in has else 0.1)
    optimizer = SGD(model.parameters(), lr=0.5, momentum=0.9)
    tokens, lengths, praise = tasks.reviews(2000, turning=0.2)
    clip = 1e-3 if "clipping_too_tight" in has else 1.0
    run = supervised_run(
        tasks.parted(tokens, praise, lengths), model, optimizer, cross_entropy, accuracy,
        goal=0.8, steps=400, step=partial(stepping, clip=clip),
    )  # fmt: skip
    return run.handed(200, "loss")


def squared(said, true):
    return ((said - true) ** 2).mean()


@BANK.sick("loop", "broadcasting", "schedule_to_zero")
def beacons_in_a_column_and_a_scheduler_a_batch_h(seed, has):
    """Outputs (N, 1) against (N,); and the rate is cut at each batch, not each epoch."""
    model = nets.FlatNet(14, 1, width=6)
    images, places = tasks.beacons()
    if "broadcasting" not in has:
        places = places.unsqueeze(1)
    gamma = 0.8 if "schedule_to_zero" in has else 0.8 ** (1 / 26)
    optimizer = SGD(model.parameters(), lr=0.02, momentum=0.9)

    def step(loss):
        return stepping(loss, schedule=lambda done: 0.02 * gamma**done)

    run = supervised_run(
        tasks.parted(images, places), model, optimizer, squared, explained,
        goal=0.8, steps=200, step=step,
    )  # fmt: skip
    return run.handed(20, "loss")


@BANK.sick("optimiser", "double_softmax", "rate_too_low")
def scans_as_probabilities_and_slowly_h(seed, has):
    """Softmax before CrossEntropyLoss, and a rate from somebody's fine-tuning."""
    last = torch.nn.Softmax(1) if "double_softmax" in has else None
    model = nets.FlatNet(8, 10, width=6, last=last)
    rate = 1e-4 if "rate_too_low" in has else 2e-2
    optimizer = SGD(model.parameters(), lr=rate, momentum=0.9)
    task = tasks.parted(*tasks.scans())
    run = supervised_run(
        task, model, optimizer, cross_entropy, accuracy, goal=0.8, steps=300,
        keys=("image", "label"),
    )  # fmt: skip
    return run.handed(300, "score")


class Sum(torch.nn.Module):
    """Numbers and marks, read in turn, then two layers."""

    def __init__(self, act):
        super().__init__()
        self.one = torch.nn.Linear(2, 32)
        self.two = torch.nn.Linear(32, 32)
        self.out = torch.nn.Linear(32, 1)
        self.act = act

    def forward(self, x):
        return self.out(self.act(self.two(self.act(self.one(x)))).mean(1))


@BANK.sick("loop", "no_activation", "missing_zero_grad")
def marked_numbers_summed_in_a_line_h(seed, has):
    """Layers after layers with nothing between; and zero_grad() was lost when tidying."""
    act = torch.nn.Identity() if "no_activation" in has else torch.nn.SiLU()
    model = Sum(act)
    optimizer = Adam(model.parameters(), lr=5e-3)
    numbers, sums = tasks.addends()
    step = partial(stepping, zero="missing_zero_grad" not in has)
    run = supervised_run(
        tasks.parted(numbers, sums.unsqueeze(1)), model, optimizer, mse_loss, explained,
        goal=0.8, steps=400, step=step,
    )  # fmt: skip
    return run.handed(0)


@BANK.sick("data", "imbalance", "rate_too_high")
def rare_blips_at_a_great_rate_h(seed, has):
    """One in twenty is positive; to get the loss off its plateau the rate was raised."""
    train, test = tasks.parted(*tasks.blips())
    rare = (train[1] < 0.5).sum() / (train[1] > 0.5).sum()
    criterion = partial(bce_logits, pos_weight=None if "imbalance" in has else rare)
    model = nets.WaveNet(1)
    optimizer = SGD(model.parameters(), lr=1.0 if "rate_too_high" in has else 0.015, momentum=0.9)

    def loss(model, batch):
        return criterion(model(batch["x"]).squeeze(1), batch["y"])

    batches = batched(train, 32, keys=("x", "y"))
    run = Run(model, loss, batches, optimizer, yes_or_no(test), goal=0.75, steps=280)
    return run.handed(280, "loss")


@BANK.sick("optimiser", "adam_epsilon", "weight_decay")
def same_digit_or_not_with_borrowed_settings_h(seed, has):
    """Epsilon and decay copied together from two other projects."""
    model = nets.Siamese()
    optimizer = AdamW(
        model.parameters(),
        lr=3e-3,
        eps=1.0 if "adam_epsilon" in has else 1e-8,
        weight_decay=30.0 if "weight_decay" in has else 0.01,
    )
    train, test = tasks.parted(*tasks.twins())

    def loss(model, batch):
        return bce_logits(model(*batch[:2]), batch[2])

    judge = examiner(lambda m: ((m(*test[:2]) > 0) == (test[2] > 0.5)).float().mean())
    run = Run(model, loss, batched(train, 40), optimizer, judge, goal=0.8, steps=500)
    return run.handed(0)
