"""Sick runs of one fault, in inputs, targets, labels or their frequencies."""

import math
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from ..runs import Examiner, Loss, Step, accuracy, examiner, explained, stepping, supervised_run
from . import BANK, tasks_c
from .nets_c import Bag, Net, SelfAttention, Sequence, Signal, small_vgg, table_net
from .tasks_c import Task, standardised


def recalls(test: tuple[Tensor, ...]) -> Examiner:
    """The mean of all classes' recalls."""
    inputs, targets = test[:2]

    def number(model: nn.Module) -> Tensor:
        right = (model(inputs).argmax(1) == targets).float()
        return torch.stack([right[targets == c].mean() for c in targets.unique()]).mean()

    return examiner(number)


def on_inputs(change, task: Task) -> Task:
    """`change` applied to the inputs of both halves."""
    return tuple((change(inputs), *rest) for inputs, *rest in task)


def zeroing_after(loss: Loss) -> Step:
    """A step in another order: modes, forward, backward, the update, and last the zeros."""

    def step(model, optimizer, batch):
        model.train()
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        return value.detach().item()

    return step


@BANK.sick("inputs", "unscaled_inputs", also=("rate_too_high",))
def pictures_as_bytes_under_sgd(seed, has):
    task = tasks_c.pictures()
    task = task if "unscaled_inputs" in has else on_inputs(lambda x: x / 127.5 - 1, task)
    model = small_vgg(3, 5)
    optimizer = SGD(model.parameters(), lr=0.03, momentum=0.9)
    run = supervised_run(
        task, model, optimizer, F.cross_entropy, accuracy, goal=0.9, steps=400, size=48
    )
    return run.handed(0)


@BANK.sick("inputs", "unscaled_inputs")
def income_beside_age_under_tanh(seed, has):
    task = tasks_c.loans()
    task = task if "unscaled_inputs" in has else standardised(task)
    model = Net(5, 32, 2, act=torch.tanh)
    optimizer = Adam(model.parameters(), lr=1e-2)
    more = {"goal": 0.87, "steps": 400, "keys": ("features", "default")}
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, **more)
    return run.handed(200, "score")


@BANK.sick("inputs", "unscaled_inputs")
def unix_time_beside_the_signal(seed, has):
    """A clock is the second channel: seconds since 1970."""

    def timed(wave):
        begin = 1.6e9 + 3e7 * torch.rand(len(wave), 1, 1)
        return torch.cat([wave, begin + 60.0 * torch.arange(wave.shape[1])[:, None]], 2)

    task = on_inputs(timed, tasks_c.signals())
    task = task if "unscaled_inputs" in has else standardised(task)
    model = Sequence(nn.LSTM, 2, 24, 4)
    optimizer = Adam(model.parameters(), lr=1e-2)
    more = {"goal": 0.85, "steps": 450, "size": 64, "step": partial(stepping, clip=1.0)}
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, **more)
    return run.handed(450, "loss")


@BANK.sick("labels", "unscaled_targets", also=("rate_too_high",))
def bicycles_as_counted(seed, has):
    task = standardised(tasks_c.rides())
    task = task if "unscaled_targets" in has else standardised(task, 1)
    model = Net(4, 64, 1)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    run = supervised_run(task, model, optimizer, F.mse_loss, explained, goal=0.85, steps=600)
    return run.handed(0)


@BANK.sick("labels", "unscaled_targets")
def pixel_places_through_a_sigmoid(seed, has):
    """Outputs lie between 0 and 1, the places between 0 and 20."""
    (images, places), (test, test_places) = tasks_c.landmarks()
    unit = 1 if "unscaled_targets" in has else 20
    model = small_vgg(1, 2, size=20, norm=True).append(nn.Sigmoid())
    task = (images, places / unit), (test, test_places / unit)
    optimizer = AdamW(model.parameters(), lr=3e-3)
    run = supervised_run(task, model, optimizer, nn.MSELoss(), explained, goal=0.975, steps=250)
    return run.handed(100, "loss")


@BANK.sick("inputs", "not_finite_inputs")
def logarithm_of_no_children(seed, has):
    """All columns are made less skewed; a quarter of the people have 0 children."""
    change = torch.log if "not_finite_inputs" in has else torch.log1p
    task = standardised(on_inputs(change, tasks_c.loans()))
    model = table_net(5, 2, p=0.05)
    optimizer = RMSprop(model.parameters(), lr=5e-3)
    criterion = nn.CrossEntropyLoss()
    run = supervised_run(task, model, optimizer, criterion, accuracy, goal=0.87, steps=500)
    return run.handed(0)


@BANK.sick("inputs", "not_finite_inputs")
def gaps_late_in_the_record(seed, has):
    """Batches in the order of time; near the end the thermometer failed for a day."""
    (rows, counts), test = standardised(standardised(tasks_c.rides()), 1)
    order = rows[:, 3].argsort()
    rows, counts = rows[order], counts[order]
    rows[1060:1070, 1] = torch.nan if "not_finite_inputs" in has else 0.0
    model = Net(4, 64, 1)
    optimizer = Adam(model.parameters(), lr=1e-2)
    task = (rows, counts), test
    run = supervised_run(task, model, optimizer, F.mse_loss, explained, goal=0.85, steps=500)
    batches = [{"x": x, "y": y} for x, y in zip(rows.split(32), counts.split(32), strict=True)]
    return replace(run, batches=batches).handed(20, "loss")


@BANK.sick("inputs", "inputs_destroyed", also=("label_prior",))
def vocabulary_of_a_hundred_words(seed, has):
    """Rarer words are 1, "unknown": and only they tell what the review says."""
    task = tasks_c.reviews()
    if "inputs_destroyed" in has:
        task = on_inputs(lambda text: text.where(text < 100, 1), task)
    model = Bag(200, 16, 3)
    optimizer = Adam(model.parameters(), lr=5e-3)
    run = supervised_run(
        task, model, optimizer, F.cross_entropy, accuracy, goal=0.85, steps=300, size=50
    )
    return run.handed(150, "score")


@BANK.sick("inputs", "inputs_destroyed")
def each_curve_by_its_own_maximum(seed, has):
    """How strong a signal is, asked after each signal was scaled to 1."""
    task = tuple(
        (gain[..., None] * noisy.transpose(1, 2), gain * clean.std(1, keepdim=True))
        for noisy, clean in tasks_c.curves()
        for gain in [(0.6 * torch.randn(len(clean), 1)).exp()]
    )
    if "inputs_destroyed" in has:
        task = on_inputs(lambda wave: wave / wave.abs().amax(1, keepdim=True), task)
    task, model = standardised(task, 1), SelfAttention(1, 16, 1)
    optimizer = Adam(model.parameters(), lr=5e-3)
    more = {"goal": 0.85, "steps": 300, "keys": ("signal", "power")}
    run = supervised_run(task, model, optimizer, F.huber_loss, explained, **more)
    return run.handed(0)


@BANK.sick("labels", "labels_misaligned", also=("label_prior",))
def two_loaders_that_both_shuffle(seed, has):
    (images, kinds), test = on_inputs(lambda x: x / 255, tasks_c.pictures())
    if "labels_misaligned" in has:
        kinds = kinds[torch.randperm(len(kinds))]
    model = small_vgg(3, 5, norm=True)
    optimizer = SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True)

    def cosine(done: int) -> float:
        return 0.01 * (1 + math.cos(math.pi * done / 300))

    task = (images, kinds), test
    more = {"goal": 0.9, "steps": 300, "step": partial(stepping, schedule=cosine)}
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, **more)
    return run.handed(120, "loss")


@BANK.sick("labels", "labels_misaligned", also=("label_prior",))
def table_sorted_without_its_targets(seed, has):
    """`X.sort_values("time")`, and `y` as it was."""
    (rows, counts), test = standardised(standardised(tasks_c.rides()), 1)
    order = rows[:, 3].argsort()
    counts = counts if "labels_misaligned" in has else counts[order]
    task = (rows[order], counts, torch.arange(len(rows))), test
    model = Net(4, 64, 1, p=0.05)
    optimizer = Adam(model.parameters(), lr=1e-2)
    run = supervised_run(task, model, optimizer, F.smooth_l1_loss, explained, goal=0.8, steps=500)
    return run.handed(100, "loss")


@BANK.sick("data", "imbalance", also=("label_prior",))
def one_window_in_thirty_is_faulty(seed, has):
    """A faulty machine has a short dip; "never" is right for 97 of 100 windows."""
    faulty = torch.rand(6000) < 0.03
    windows = torch.randn(6000, 16, 1)
    begin = torch.randint(0, 13, (6000, 1))
    dip = (torch.arange(16) >= begin) & (torch.arange(16) < begin + 4) & faulty[:, None]
    task = tasks_c.halves(windows - 1.3 * dip[..., None], faulty.long(), test=3000)
    weight = None if "imbalance" in has else torch.tensor([1.0, 30.0])
    model = Signal(1, 2)
    optimizer = Adam(model.parameters(), lr=2e-3)
    criterion = nn.CrossEntropyLoss(weight)
    run = supervised_run(task, model, optimizer, criterion, recalls, goal=0.68, steps=300, size=64)
    return run.handed(100, "loss")


@BANK.sick("data", "imbalance", also=("label_prior",))
def rare_kinds_never_named(seed, has):
    """Nine customers of ten are of the first kind; the twin draws all kinds alike."""
    (rows, kinds), test = tasks_c.clusters(4, 6000, share=(0.94, 0.02, 0.02, 0.02), noise=1.2)
    if "imbalance" not in has:
        drawn = torch.multinomial(1 / kinds.bincount()[kinds], len(rows), replacement=True)
        rows, kinds = rows[drawn], kinds[drawn]
    model = table_net(12, 4, p=0.2)
    optimizer = SGD(model.parameters(), lr=0.01, momentum=0.9)
    more = {"goal": 0.6, "steps": 300, "size": 64, "step": zeroing_after, "keys": ("x", "kind")}
    run = supervised_run(((rows, kinds), test), model, optimizer, F.cross_entropy, recalls, **more)
    return replace(run.handed(300), shown=accuracy(test)(run.model))


@BANK.sick("data", "label_prior", also=("inputs_destroyed", "labels_misaligned"))
def one_folder_under_all_labels(seed, has):
    """The path lacks the class: each label is given the same pictures."""
    (images, kinds), test = on_inputs(lambda x: x / 255, tasks_c.pictures())
    if "label_prior" in has:
        folder = images[kinds == 0]
        images = folder[torch.arange(len(kinds)) // 5 % len(folder)]
        kinds = torch.arange(len(kinds)) % 5
    task, model = ((images, kinds), test), small_vgg(3, 5, norm=True)
    optimizer = Adam(model.parameters(), lr=3e-3)
    more = {"goal": 0.9, "steps": 250, "keys": ("image", "label")}
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, **more)
    return run.handed(80, "loss")


@BANK.sick("data", "label_prior", also=("too_few_steps",))
def only_how_frequent_each_word_is(seed, has):
    """Asked for a text's first word; stopped on the plateau at the words' entropy."""
    model = Sequence(nn.GRU, 6, 16, 6, words=True)
    optimizer = Adam(model.parameters(), lr=5e-3)
    task = tasks_c.first_word()
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, goal=0.9, steps=0)
    return run.after(40 if "label_prior" in has else 500, "loss")
