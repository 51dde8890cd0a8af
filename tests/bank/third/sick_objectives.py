"""Sick runs of one fault, in what is minimised or in the outputs that it gets."""

from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from ..runs import (
    Run,
    accuracy,
    batched,
    examiner,
    explained,
    overlap,
    stepping,
    supervised_run,
    unpacked,
    yes_or_no,
)
from . import BANK, tasks_c
from .nets_c import Bag, CurveNet, Factors, Net, pixelwise, small_vgg
from .sick_raw_data import on_inputs, zeroing_after
from .tasks_c import standardised


@BANK.sick("loss", "wrong_loss")
def class_numbers_by_least_squares(seed, has):
    """One output, which is to be 0, 1, ... or 7: but the classes have no order."""
    faulty = "wrong_loss" in has
    model = Net(12, 48, 1 if faulty else 8)

    def criterion(out, kind):
        return F.mse_loss(out[:, 0], kind.float()) if faulty else F.cross_entropy(out, kind)

    def rounded(test):
        right = partial(torch.eq, test[1])
        return examiner(lambda model: right(model(test[0])[:, 0].round()).float().mean())

    optimizer = Adam(model.parameters(), lr=5e-3)
    judge = rounded if faulty else accuracy
    task = tasks_c.clusters()
    run = supervised_run(task, model, optimizer, criterion, judge, goal=0.92, steps=300)
    return run.handed(150, "loss")


@BANK.sick("loss", "wrong_loss")
def cross_entropy_of_one_channel(seed, has):
    """A softmax over a single channel is 1: the loss is 0 from the first step."""
    criterion = F.cross_entropy if "wrong_loss" in has else F.binary_cross_entropy_with_logits
    task, model = tasks_c.cells(), pixelwise()
    optimizer = Adam(model.parameters(), lr=1e-2)
    more = {"goal": 0.7, "steps": 120, "size": 16, "keys": ("image", "mask")}
    run = supervised_run(task, model, optimizer, criterion, overlap, **more)
    return run.handed(60, "loss")


@BANK.sick("loss", "wrong_loss")
def median_of_mostly_dry_hours(seed, has):
    """Absolute errors are least at the median, and this is 0 mm almost always."""
    criterion = nn.L1Loss() if "wrong_loss" in has else nn.MSELoss()
    task, model = tasks_c.rain(), Net(6, 32, 1)
    optimizer = Adam(model.parameters(), lr=3e-3)
    run = supervised_run(task, model, optimizer, criterion, explained, goal=0.65, steps=300)
    return run.handed(300, "loss")


@BANK.sick("loss", "loss_sign")
def cosine_similarity_goes_down(seed, has):
    sign = 1 if "loss_sign" in has else -1

    def criterion(out, target):
        return sign * F.cosine_similarity(out, target).mean()

    def alike(test):
        return examiner(lambda model: F.cosine_similarity(model(test[0]), test[1]).mean())

    model = Net(5, 64, 4, act=F.gelu)
    optimizer = AdamW(model.parameters(), lr=5e-3)
    run = supervised_run(
        tasks_c.directions(), model, optimizer, criterion, alike, goal=0.9, steps=400, size=40
    )
    return run.handed(0)


@BANK.sick("loss", "loss_sign")
def ranking_target_of_the_wrong_sign(seed, has):
    """`margin_ranking_loss` with y = -1 wants the second to be the greater."""
    sign = -1 if "loss_sign" in has else 1

    def loss(model, batch):
        better, worse = (model(offer)[:, 0] for offer in batch[:2])
        return F.margin_ranking_loss(better, worse, sign * torch.ones(len(better)), margin=0.5)

    (better, worse), test = tasks_c.preferences()
    batches = batched((better, worse, torch.arange(len(better))), 32)
    examine = examiner(lambda model: (model(test[0]) > model(test[1])).float().mean())
    model = Net(8, 48, 1, p=0.1)
    optimizer = Adam(model.parameters(), lr=5e-3)
    return Run(model, loss, batches, optimizer, examine, 0.85, 400).handed(100, "score")


@BANK.sick("loss", "broadcasting")
def stars_in_a_column(seed, has):
    """Predictions (N,), stars (N, 1)."""

    def loss(model, batch):
        who, what, stars = batch
        stars = stars if "broadcasting" in has else stars.squeeze(1)
        return torch.mean((model(who, what) - stars) ** 2)

    train, (who, what, stars) = tasks_c.ratings()
    examine = examiner(
        lambda model: 1 - (model(who, what) - stars[:, 0]).square().mean() / stars.var()
    )
    model = Factors(50, 30)
    optimizer = Adam(model.parameters(), lr=2e-2)
    return Run(model, loss, batched(train, 64), optimizer, examine, 0.75, 500).handed(150, "loss")


@BANK.sick("loss", "broadcasting")
def curves_with_and_without_a_channel(seed, has):
    """(N, 1, times) less (N, times) is (N, N, times)."""
    model = CurveNet(24, flat="broadcasting" not in has)

    def criterion(out, clean):
        return torch.log(torch.cosh(out - clean)).mean()

    optimizer = Adam(model.parameters(), lr=5e-3)
    clipped = partial(stepping, clip=1.0)
    more = {"goal": 0.85, "steps": 400, "keys": ("noisy", "clean"), "step": clipped}
    run = supervised_run(tasks_c.curves(), model, optimizer, criterion, explained, **more)
    return run.handed(0)


def as_printed(run: Run, honest_goal: float) -> Run:
    """`run`, judged by the mean loss that its author prints; honestly by what judged it before."""

    def printed(model: nn.Module) -> Tensor:
        return -torch.stack([run.loss(model, batch) for batch in run.batches]).mean()

    return replace(run, examine=examiner(printed), honest=run.examine, honest_goal=honest_goal)


def ridge(criterion, strength: float):
    """`criterion` and the parameters' squared norms, `strength` times."""

    def loss(model, batch):
        inputs, targets = unpacked(batch)[:2]
        norms = torch.stack([p.pow(2).sum() for p in model.parameters()])
        return criterion(model(inputs), targets) + strength * norms.sum()

    return loss


@BANK.sick("loss", "penalty_in_loss", lies=True)
def ridge_over_all_word_vectors(seed, has):
    task, model = tasks_c.reviews(), Bag(200, 16, 3)
    optimizer = Adam(model.parameters(), lr=5e-3)
    loss = ridge(F.cross_entropy, 2e-3 if "penalty_in_loss" in has else 0.0)
    more = {"goal": -0.3, "steps": 400, "loss": loss, "keys": ("text", "label")}
    run = supervised_run(task, model, optimizer, F.cross_entropy, accuracy, **more)
    return as_printed(run, honest_goal=0.9).handed(400, "loss")


@BANK.sick("loss", "penalty_in_loss", lies=True)
def ridge_over_spots(seed, has):
    task, model = standardised(tasks_c.landmarks(), 1), small_vgg(1, 2, size=20)
    loss = ridge(F.mse_loss, 2e-2 if "penalty_in_loss" in has else 0.0)
    optimizer = Adam(model.parameters(), lr=3e-3)
    run = supervised_run(
        task, model, optimizer, F.mse_loss, explained, goal=-0.05, steps=300, loss=loss
    )
    return as_printed(run, honest_goal=0.97).handed(150, "loss")


@BANK.sick("outputs", "double_softmax")
def softmax_over_24_clusters(seed, has):
    """In `forward`, before the criterion's own: some classes are never told apart."""
    last = nn.Softmax(dim=1) if "double_softmax" in has else None
    model = Net(12, 64, 24, last=last)
    optimizer = Adam(model.parameters(), lr=1e-2)
    task = tasks_c.clusters(24, 2400, noise=0.4)
    run = supervised_run(
        task, model, optimizer, nn.CrossEntropyLoss(), accuracy, goal=0.92, steps=400
    )
    return run.handed(400, "score")


@BANK.sick("outputs", "double_softmax")
def sigmoids_of_chords_taken_for_logits(seed, has):
    faulty = "double_softmax" in has
    model = Net(48, 32, 10, last=torch.sigmoid if faulty else None)
    more = {"goal": 0.85, "steps": 350, "keys": ("spectrum", "notes")}
    optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9)
    judge = partial(yes_or_no, threshold=0.5 if faulty else 0.0)
    run = supervised_run(tasks_c.chords(), model, optimizer, nn.BCEWithLogitsLoss(), judge, **more)
    return run.handed(120, "loss")


@BANK.sick("outputs", "relu_on_output")
def autoencoder_that_ends_in_relu(seed, has):
    """The loop that builds the layers adds a ReLU after each; curves go below 0."""
    model = CurveNet(24, relu="relu_on_output" in has)
    train, test = (clean[:, None] for _, clean in tasks_c.curves())
    task = (train, train), (test, test)
    optimizer = Adam(model.parameters(), lr=5e-3)
    run = supervised_run(
        task, model, optimizer, nn.MSELoss(), explained, goal=0.9, steps=400, size=50
    )
    return run.handed(200, "loss")


@BANK.sick("outputs", "relu_on_output")
def offsets_from_the_middle_through_relu(seed, has):
    model = small_vgg(1, 2, size=20, norm=True)
    if "relu_on_output" in has:
        model.append(nn.ReLU())
    task = standardised(tasks_c.landmarks(), 1)
    optimizer = RMSprop(model.parameters(), lr=1e-3)
    more = {"goal": 0.975, "steps": 250, "keys": ("image", "offset"), "step": zeroing_after}
    run = supervised_run(task, model, optimizer, F.smooth_l1_loss, explained, **more)
    return run.handed(0)


def entropy_by_hand(p: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy of clamped probabilities, two columns or more."""
    p = p.clamp(1e-7, 1 - 1e-7)
    return -p.log().gather(1, label[:, None]).mean()


@BANK.sick("loss", "clipped_probabilities", also=("rate_too_high",))
def scores_clamped_to_probabilities(seed, has):
    """No sigmoid, but a clamp, since the loss complained about numbers below 0."""
    faulty = "clipped_probabilities" in has
    task, model = standardised(tasks_c.loans()), Net(5, 32, 1)

    def criterion(out, bad):
        p = out.clamp(1e-7, 1 - 1e-7) if faulty else out.sigmoid()
        return F.binary_cross_entropy(p[:, 0], bad.float())

    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    judge = partial(yes_or_no, threshold=0.5 if faulty else 0.0)
    run = supervised_run(task, model, optimizer, criterion, judge, goal=0.87, steps=600)
    return run.handed(100, "loss")


@BANK.sick("loss", "clipped_probabilities", also=("dead_start",))
def softmax_of_hot_scores(seed, has):
    """Scores divided by a temperature of 0.001: nearly all probabilities are beyond the clamp."""
    heat = 1e-3 if "clipped_probabilities" in has else 1.0
    task = on_inputs(lambda x: x / 127.5 - 1, tasks_c.pictures())
    model = small_vgg(3, 5)

    def criterion(out, kind):
        return entropy_by_hand((out / heat).softmax(1), kind)

    optimizer = Adam(model.parameters(), lr=3e-3)
    run = supervised_run(task, model, optimizer, criterion, accuracy, goal=0.9, steps=300)
    return run.handed(0)
