"""Sick runs: the net, its outputs and the loss."""

import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adagrad, Adam, NAdam, RMSprop

from ..runs import Run, accuracy, batched, examiner, explained, overlap, stepping, supervised
from . import BANK
from . import tasks_m as tasks
from .nets_m import (
    Autoencoder,
    Factors,
    Forecaster,
    NextWord,
    Remembering,
    Segmenter,
    listener,
    mlp,
    pictures,
)


@BANK.sick("model", "degradation", also=("dead_start", "label_prior"))
def sensors_by_sixteen_layers_m(seed, has):
    """A table for which two hidden layers are plenty."""
    depth = 16 if "degradation" in has else 2
    train, test = tasks.sensors()
    model = mlp(10, *[40] * depth, 3)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 32)
    return Run(model, loss, batches, optimizer, accuracy(test), 0.65, 350).handed(0)


@BANK.sick("model", "too_small")
def digits_through_a_code_of_two_m(seed, has):
    """An autoencoder whose code was meant for a scatter plot."""
    (x, _), (z, _) = tasks.digits(flat=True)
    model = Autoencoder(64, 64, 2 if "too_small" in has else 20)
    optimizer = Adam(model.parameters(), lr=3e-3)
    mean = x.mean(0)

    def loss(model, batch):
        return F.mse_loss(model(batch[0]), batch[0])

    def number(model):
        return 1 - (model(z) - z).square().mean() / (z - mean).square().mean()

    run = Run(model, loss, batched((x,), 40), optimizer, examiner(number), 0.65, 500)
    return run.handed(480, "score")


@BANK.sick("loss", "wrong_loss")
def tones_that_exclude_each_other_m(seed, has):
    """Several tones may sound at once; `CrossEntropyLoss` takes the zeros and ones as well."""
    train, test = tasks.tones()
    criterion = nn.CrossEntropyLoss() if "wrong_loss" in has else nn.BCEWithLogitsLoss()
    model = listener(12, 5)
    optimizer = Adam(model.parameters(), lr=4e-3)

    def number(model):
        return ((model(test[0]) > 0) == (test[1] > 0.5)).all(1).float().mean()

    batches = batched(train, 32, ("signal", "tones"))
    run = Run(model, supervised(criterion), batches, optimizer, examiner(number), 0.85, 300)
    return run.handed(150, "score")


@BANK.sick("loss", "loss_sign")
def spots_by_dice_m(seed, has):
    """The Dice coefficient itself as the loss."""
    train, test = tasks.spots()

    def loss(model, batch):
        image, mask = batch["image"], batch["mask"]
        said = model(image).sigmoid()
        both = (said * mask).sum((1, 2, 3))
        dice = (2 * both + 1) / (said.sum((1, 2, 3)) + mask.sum((1, 2, 3)) + 1)
        return dice.mean() if "loss_sign" in has else 1 - dice.mean()

    model = Segmenter(8)
    optimizer = RMSprop(model.parameters(), lr=2e-3)
    batches = batched(train, 16, ("image", "mask"))
    return Run(model, loss, batches, optimizer, overlap(test), 0.6, 160).handed(20, "loss")


@BANK.sick("loss", "penalty_in_loss", lies=True)
def next_words_with_every_weight_counted_m(seed, has):
    """The squares of all weights, the embeddings' too, are within what is printed."""
    train, test = tasks.chain()

    def loss(model, batch):
        two, nxt = batch
        value = F.cross_entropy(model(two), nxt)
        if "penalty_in_loss" in has:
            value = value + 4e-4 * sum(p.square().sum() for p in model.parameters())
        return value

    model = NextWord(80, 64, 64, 10)
    optimizer = Adam(model.parameters(), lr=3e-3)
    run = Run(
        model,
        loss,
        batched(train, 64),
        optimizer,
        examiner(lambda model: -loss(model, test)),
        -0.6,
        500,
        honest=accuracy(test),
        honest_goal=0.85,
    )
    return run.handed(480, "loss")


@BANK.sick("outputs", "relu_on_output")
def places_without_left_and_down_m(seed, has):
    """Coordinates from -1 to 1, and a ReLU after the last layer as after the others."""
    train, test = tasks.places()
    model = pictures(8, 12, 2, last=nn.ReLU() if "relu_on_output" in has else None)
    optimizer = NAdam(model.parameters(), lr=2e-3)
    loss = supervised(F.mse_loss)
    batches = batched(train, 32)
    return Run(model, loss, batches, optimizer, explained(test), 0.8, 250).handed(240)


def from_scratch(*sizes):
    """Linear layers with weights from `randn`."""
    model = mlp(*sizes)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


@BANK.sick("loss", "clipped_probabilities", also=("dead_start",))
def digits_from_scratch_m(seed, has):
    """Weights by `randn`, and probabilities clamped before the logarithm."""
    train, test = tasks.digits(flat=True)

    def loss(model, batch):
        image, digit = batch
        logits = model(image)
        if "clipped_probabilities" not in has:
            return F.cross_entropy(logits, digit)
        p = logits.softmax(1).clamp(1e-3, 1 - 1e-3)
        return -p.log().gather(1, digit[:, None]).mean()

    model = from_scratch(64, 64, 10)
    optimizer = SGD(model.parameters(), lr=0.05)
    batches = batched(train, 32)
    return Run(model, loss, batches, optimizer, accuracy(test), 0.75, 400).handed(0)


@BANK.sick("model", "dead_start")
def ratings_from_nothing_m(seed, has):
    """Both tables of a factorisation start at 0."""
    train, test = tasks.ratings()

    def start(weight):
        nn.init.zeros_(weight) if "dead_start" in has else nn.init.normal_(weight, std=0.1)

    model = Factors(120, 80, 6, start)
    optimizer = Adagrad(model.parameters(), lr=0.2)

    def loss(model, batch):
        user, item, rating = batch
        return F.mse_loss(model(user, item), rating)

    def number(model):
        return 1 - (model(*test[:2]) - test[2]).square().mean() / test[2].var()

    batches = batched(train, 100)
    return Run(model, loss, batches, optimizer, examiner(number), 0.6, 300).handed(150)


@BANK.sick("loss", "broadcasting", "too_few_steps")
def tides_all_with_all_m(seed, has):
    """(N, 1) against (N,); and one epoch where ten are needed."""
    train, test = tasks.tides()
    model = Forecaster(32)
    optimizer = Adam(model.parameters(), lr=2e-3)

    def loss(model, batch):
        window, level = batch
        said = model(window)
        return F.mse_loss(said if "broadcasting" in has else said.squeeze(1), level)

    batches = batched(train, 36)
    steps = 25 if "too_few_steps" in has else 250
    run = Run(model, loss, batches, optimizer, explained(test), 0.8, steps)
    return run.handed(25, "loss")


@BANK.sick("outputs", "double_softmax", "rate_too_low")
def digits_with_a_softmax_at_the_end_m(seed, has):
    """`Softmax` before `CrossEntropyLoss`; and a rate that was meant for Adam."""
    train, test = tasks.digits()
    model = pictures(8, 8, 10, last=nn.Softmax(1) if "double_softmax" in has else None)
    lr = 1e-3 if "rate_too_low" in has else 0.1
    optimizer = SGD(model.parameters(), lr=lr)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 32)
    return Run(model, loss, batches, optimizer, accuracy(test), 0.85, 350).handed(0)


@BANK.sick("model", "no_activation", "missing_zero_grad")
def rings_by_straight_lines_m(seed, has):
    """Linear layers one after the other; and gradients that pile up."""
    train, test = tasks.rings()
    model = mlp(5, 32, 32, 3, act=None if "no_activation" in has else nn.ReLU)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.5)
    loss = supervised(nn.CrossEntropyLoss())
    step = stepping(loss, zero="missing_zero_grad" not in has)
    run = Run(model, loss, batched(train, 30), optimizer, accuracy(test), 0.75, 300, step=step)
    return run.handed(290, "score")


@BANK.sick("model", "detached", "rate_too_high")
def first_symbols_with_a_state_cut_off_m(seed, has):
    """The state is detached at every symbol; and a rate that was meant for SGD."""
    train, test = tasks.recalls()
    model = Remembering(6, 40, 6, cut="detached" in has)
    lr = 0.2 if "rate_too_high" in has else 4e-3
    optimizer = Adam(model.parameters(), lr=lr)
    loss = supervised(nn.CrossEntropyLoss())
    run = Run(model, loss, batched(train, 50), optimizer, accuracy(test), 0.8, 300)
    return run.handed(120, "loss")
