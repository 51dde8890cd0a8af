"""Sick runs, one fault each: data, labels, inputs, loss and outputs."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW, NAdam, RMSprop

from ..runs import (
    Run,
    accuracy,
    batched,
    examiner,
    explained,
    overlap,
    stepping,
    supervised,
    yes_or_no,
)
from . import BANK
from . import tasks_i as tasks
from .nets_i import (
    DeepSet,
    Forecaster,
    GraphNet,
    Painter,
    Prototypes,
    dense,
    mean_overlap,
    mean_recall,
    r_squared,
)


@BANK.sick("inputs", "not_finite_inputs")
def logarithms_of_clicks_i(seed, has):
    """Counts are made logarithms, and a few advertisements had no click."""
    log = torch.log if "not_finite_inputs" in has else torch.log1p
    (x, y), (x_test, y_test) = tasks.campaigns()
    x, x_test = (torch.cat([log(t[:, :2]), t[:, 2:3] / 30, t[:, 3:].log()], 1) for t in (x, x_test))
    model = dense(4, 32, 32, 2, act=nn.SiLU)
    optimizer = AdamW(model.parameters(), lr=5e-3)
    batches = batched((x, y), 50, ("features", "label"))
    loss = supervised(nn.CrossEntropyLoss())
    run = Run(model, loss, batches, optimizer, accuracy((x_test, y_test)), 0.85, 250)
    return run.handed(0)


@BANK.sick("inputs", "inputs_destroyed")
def sorted_points_of_a_cloud_i(seed, has):
    """A set has no order, so the points are sorted; `sort` does it for each column."""
    train, test = tasks.clouds()

    def prepared(points):
        if "inputs_destroyed" in has:
            return points.sort(dim=1).values
        order = points[..., 0].argsort(1)
        return points.gather(1, order[..., None].expand_as(points))

    train[0], test[0] = prepared(train[0]), prepared(test[0])
    model = DeepSet(2, 48, 5)
    optimizer = Adam(model.parameters(), lr=3e-3)
    loss = supervised(nn.CrossEntropyLoss())
    run = Run(model, loss, batched(train, 40), optimizer, accuracy(test), 0.85, 300)
    return run.handed(150, "score")


@BANK.sick("labels", "labels_misaligned", also=("label_prior",))
def masks_in_the_order_of_their_names_i(seed, has):
    """ "The masks' "10.png" comes before "2.png"; the images are in the order of numbers."""
    (images, masks), (test, test_masks) = tasks.scenes()
    if "labels_misaligned" in has:
        masks = masks[sorted(range(len(masks)), key=str)]
    model = Painter(1, 8, 3)
    optimizer = Adam(model.parameters(), lr=1e-2)
    weights = torch.tensor([0.3, 1.0, 1.0])
    loss = supervised(nn.CrossEntropyLoss(weights))
    batches = batched((images, masks), 25, ("image", "mask"))
    examine = mean_overlap(test, test_masks, 3)
    return Run(model, loss, batches, optimizer, examine, 0.5, 160).handed(150, "loss")


@BANK.sick("labels", "label_prior", also=("imbalance",))
def sensors_of_a_machine_mostly_normal_i(seed, has):
    """A state for every time; what is not normal is rare and hard to tell."""
    train, test = tasks.states()
    counts = train[1].flatten().bincount(minlength=4).float()
    weights = None if "label_prior" in has else counts.sum() / (4 * counts)
    model = nn.Sequential(
        nn.Conv1d(3, 16, 5, padding=2),
        nn.ReLU(),
        nn.Conv1d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv1d(16, 4, 1),
    )
    optimizer = Adam(model.parameters(), lr=3e-3)
    loss = supervised(nn.CrossEntropyLoss(weights))
    run = Run(model, loss, batched(train, 25), optimizer, mean_recall(*test, 4), 0.6, 140)
    return run.handed(70, "score")


@BANK.sick("loss", "wrong_loss")
def tags_of_films_by_cross_entropy_i(seed, has):
    """Several tags may hold at once, but the loss is that of one class."""
    train, test = tasks.tags()
    wrong = "wrong_loss" in has
    loss = supervised(nn.CrossEntropyLoss() if wrong else nn.BCEWithLogitsLoss())
    model = dense(20, 64, 32, 6, drop=0.05)
    optimizer = Adam(model.parameters(), lr=4e-3)
    batches = batched(train, 48, ("x", "tags"))
    return Run(model, loss, batches, optimizer, yes_or_no(test), 0.8, 240).handed(0)


@BANK.sick("loss", "loss_sign")
def dice_of_pulses_is_minimised_i(seed, has):
    """The function of the metric serves as a loss; it is 1 for a perfect mask."""
    train, test = tasks.beats()

    def loss(model, batch):
        signal, mask = batch
        said = model(signal).sigmoid()
        dice = (2 * (said * mask).sum() + 1) / (said.sum() + mask.sum() + 1)
        return dice if "loss_sign" in has else 1 - dice

    model = nn.Sequential(
        nn.Conv1d(1, 12, 9, padding=4),
        nn.ReLU(),
        nn.Conv1d(12, 12, 9, padding=4),
        nn.ReLU(),
        nn.Conv1d(12, 1, 1),
    )
    optimizer = NAdam(model.parameters(), lr=3e-3)
    return Run(model, loss, batched(train, 30), optimizer, overlap(test), 0.6, 150).handed(
        20, "loss"
    )


@BANK.sick("loss", "penalty_in_loss", lies=True)
def tumours_and_a_sum_of_squares_i(seed, has):
    """All weights' squares are added to the loss by hand, and to what is printed."""
    train, test = tasks.tumours()
    strength = 3e-3
    model = dense(30, 256, 256, 2)
    inside = "penalty_in_loss" in has
    decay = 0.0 if inside else 2 * strength
    optimizer = SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=decay)

    def loss(model, batch):
        x, y = batch
        value = F.cross_entropy(model(x), y)
        if inside:
            value = value + strength * sum(p.square().sum() for p in model.parameters())
        return value

    batches = batched(train, 32)
    printed = examiner(lambda model: -loss(model, test))
    more = {"honest": accuracy(test), "honest_goal": 0.9}
    return Run(model, loss, batches, optimizer, printed, -0.22, 200, **more).handed(190, "loss")


@BANK.sick("outputs", "relu_on_output")
def relu_at_the_end_of_a_graph_net_i(seed, has):
    """The energies are standardised; half of them lie below 0."""
    train, test = tasks.molecules()
    model = GraphNet(width=32, last=F.relu if "relu_on_output" in has else None)
    optimizer = Adam(model.parameters(), lr=5e-3)

    def loss(model, batch):
        out = model(batch["atoms"], batch["bonds"], batch["real"])
        return F.mse_loss(out.squeeze(1), batch["energy"])

    batches = batched(train, 50, ("atoms", "bonds", "real", "energy"))
    examine = r_squared(test[:3], test[3])
    return Run(model, loss, batches, optimizer, examine, 0.7, 300).handed(100, "score")


@BANK.sick("outputs", "clipped_probabilities", also=("dead_start",))
def prototypes_by_clamped_softmax_i(seed, has):
    """Squared distances, a temperature; softmax, a clamp "for stability", the logarithm."""
    train, test = tasks.digits()
    model = Prototypes(dense(64, 64, 32), 32, 10)
    optimizer = Adam(model.parameters(), lr=2e-3)

    def loss(model, batch):
        x, y = batch
        distances = model(x) / 0.2
        if "clipped_probabilities" not in has:
            return F.cross_entropy(distances, y)
        said = distances.softmax(1).clamp(1e-7, 1 - 1e-7)
        return F.nll_loss(said.log(), y)

    return Run(model, loss, batched(train, 40), optimizer, accuracy(test), 0.86, 300).handed(0)


@BANK.sick("evaluation", "evaluated_in_train_mode", lies=True)
def dropout_while_digits_are_counted_i(seed, has):
    """No `model.eval()` before the test."""
    train, test = tasks.digits()
    train[0], test[0] = train[0] / 16, test[0] / 16
    model = nn.Sequential(nn.Dropout(0.3), dense(64, 64, 32, 10, drop=0.4))
    optimizer = RMSprop(model.parameters(), lr=2e-3)
    loss = supervised(nn.CrossEntropyLoss())
    examine = accuracy(test, training="evaluated_in_train_mode" in has)
    more = {"honest": accuracy(test), "honest_goal": 0.9}
    run = Run(model, loss, batched(train, 40), optimizer, examine, 0.85, 500, **more)
    return run.handed(490, "score")


@BANK.sick("optimiser", "weight_decay")
def load_forecast_under_strong_decay_i(seed, has):
    """Adam adds the decay to the gradient; the value was meant for another optimiser."""
    train, test = tasks.loads()
    model = Forecaster(32, 6)
    decay = 0.05 if "weight_decay" in has else 1e-5
    optimizer = Adam(model.parameters(), lr=6e-3, weight_decay=decay)
    loss = supervised(F.smooth_l1_loss)
    step = stepping(loss, clip=1.0)
    run = Run(model, loss, batched(train, 50), optimizer, explained(test), 0.6, 160, step=step)
    return run.handed(155)
