"""Sick runs, one fault each: model, outputs, loss, optimiser, evaluation."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, NAdam, RMSprop

from ..runs import Run, accuracy, batched, examiner, explained, overlap, stepping, supervised
from . import BANK
from . import tasks_n as tasks
from .nets_n import (
    Recommender,
    ReviewNet,
    Segmenter,
    StepByStep,
    beat_net,
    dense,
    plain_convolutions,
)


@BANK.sick("model", "too_small")
def antenna_of_three_units_n(seed, has):
    """The gain has many lobes; the hidden layers have three units each."""
    train, test = tasks.antenna()
    width = 3 if "too_small" in has else 48
    model = dense(2, width, width, 1, act=nn.Tanh)
    optimizer = Adam(model.parameters(), lr=1e-2)
    loss = supervised(F.mse_loss)
    step = stepping(loss, schedule=lambda done: 5e-3 * (1 + math.cos(math.pi * done / 500)))
    batches = batched(train, 40, ("place", "gain"))
    return Run(model, loss, batches, optimizer, explained(test), 0.8, 500, step=step).handed(490)


@BANK.sick("loss", "wrong_loss")
def beats_by_likelihood_of_raw_scores_n(seed, has):
    """NLLLoss on the scores as they leave the last layer, without a log-softmax."""
    train, test = tasks.beats()
    model = beat_net(5, dropout=0.1)
    optimizer = RMSprop(model.parameters(), lr=2e-3)
    criterion = nn.NLLLoss() if "wrong_loss" in has else nn.CrossEntropyLoss()
    loss = supervised(criterion)
    batches = batched(train, 32)
    return Run(model, loss, batches, optimizer, accuracy(test), 0.8, 200).handed(75)


@BANK.sick("loss", "loss_sign")
def cells_by_dice_n(seed, has):
    """The Dice coefficient itself is given to `backward`, instead of what is missing to one."""
    train, test = tasks.cells()
    model = Segmenter(8)
    optimizer = Adam(model.parameters(), lr=4e-3)

    def loss(model, batch):
        said, true = torch.sigmoid(model(batch["image"])), batch["mask"]
        both = (said * true).sum((1, 2, 3))
        dice = (2 * both + 1) / (said.sum((1, 2, 3)) + true.sum((1, 2, 3)) + 1)
        return dice.mean() if "loss_sign" in has else 1 - dice.mean()

    batches = batched(train, 20, ("image", "mask"))
    return Run(model, loss, batches, optimizer, overlap(test), 0.62, 150).handed(50, "loss")


@BANK.sick("loss", "penalty_in_loss", lies=True)
def spectra_with_all_squares_n(seed, has):
    """The squares of all weights are added to the loss, and the sum is what is printed."""
    train, test = tasks.spectra()
    model = dense(60, 128, 64, 3)
    penalty = 2e-2 if "penalty_in_loss" in has else 0.0
    decay = 0.0 if penalty else 4e-2
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=decay)

    def loss(model, batch):
        x, kind = batch
        squares = sum(p.square().sum() for p in model.parameters())
        return F.cross_entropy(model(x), kind) + penalty * squares

    run = Run(
        model,
        loss,
        batched(train, 32),
        optimizer,
        examiner(lambda model: -loss(model, test)),
        -0.14,
        300,
        honest=accuracy(test),
        honest_goal=0.9,
    )
    return run.handed(200, "loss")


@BANK.sick("outputs", "clipped_probabilities", also=("dead_start",))
def reviews_by_clipped_probability_n(seed, has):
    """Sums over long reviews saturate the sigmoid; its result is clipped before the logarithm."""
    train, test = tasks.opinions()
    model = ReviewNet(300, 24)
    optimizer = Adam(model.parameters(), lr=2e-2)
    clipped = "clipped_probabilities" in has

    def loss(model, batch):
        scores, praise = model(batch[0]), batch[1]
        if not clipped:
            return F.binary_cross_entropy_with_logits(scores, praise)
        p = torch.sigmoid(scores).clamp(1e-6, 1 - 1e-6)
        return -(praise * p.log() + (1 - praise) * (1 - p).log()).mean()

    def number(model):
        return ((model(test[0]) > 0) == (test[1] > 0.5)).float().mean()

    batches = batched(train, 40)
    return Run(model, loss, batches, optimizer, examiner(number), 0.8, 200).handed(20, "score")


@BANK.sick("optimiser", "adam_epsilon", also=("rate_too_low",))
def ratings_with_another_nets_epsilon_n(seed, has):
    """`eps` is 0.03, taken over from somebody's settings for another net."""
    train, test = tasks.ratings()
    model = Recommender(80, 60, 8)
    eps = 0.03 if "adam_epsilon" in has else 1e-8
    groups = [{"params": model.user.parameters()}, {"params": model.item.parameters()}]
    optimizer = Adam(groups, lr=1e-2, eps=eps)

    def loss(model, batch):
        user, item, rating = batch
        return F.mse_loss(model(user, item), rating)

    def number(model):
        return 1 - (model(test[0], test[1]) - test[2]).square().mean() / test[2].var()

    batches = batched(train, 100)
    return Run(model, loss, batches, optimizer, examiner(number), 0.6, 450).handed(150, "loss")


@BANK.sick("model", "batchnorm_tiny_batch")
def slopes_two_at_a_time_n(seed, has):
    """Batches of two, and batch norm after each layer."""
    train, test = tasks.slopes()
    model = dense(8, 48, 48, 1, norm=True)
    optimizer = NAdam(model.parameters(), lr=2e-3)
    size = 2 if "batchnorm_tiny_batch" in has else 32
    loss = supervised(nn.MSELoss())
    batches = batched(train, size)
    return Run(model, loss, batches, optimizer, explained(test), 0.75, 500).handed(0)


@BANK.sick("model", "dead_start")
def textures_from_small_weights_n(seed, has):
    """Normally distributed weights of 0.02 in each of five convolutions, as in an old paper."""
    train, test = tasks.textures()
    model = plain_convolutions(4, 0.02 if "dead_start" in has else None)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 30)
    return Run(model, loss, batches, optimizer, accuracy(test), 0.75, 240).handed(0)


@BANK.sick("evaluation", "evaluated_in_train_mode", lies=True)
def numerals_with_dropout_left_on_n(seed, has):
    """The number on the screen comes from a model that was never put into eval mode."""
    train, test = tasks.numerals()
    model = nn.Sequential(nn.Flatten(), *dense(64, 40, 40, 40, 10, act=nn.LeakyReLU, dropout=0.5))
    optimizer = Adam(model.parameters(), lr=4e-3)
    loss = supervised(nn.CrossEntropyLoss(label_smoothing=0.05))
    run = Run(
        model,
        loss,
        batched(train, 30, ("image", "label")),
        optimizer,
        accuracy(test, training="evaluated_in_train_mode" in has),
        0.8,
        300,
        honest=accuracy(test),
        honest_goal=0.8,
    )
    return run.handed(280, "score")


@BANK.sick("model", "detached")
def first_bell_without_a_past_n(seed, has):
    """The hidden state is detached at each symbol, to be rid of an error about the graph."""
    train, test = tasks.first_bell()
    model = StepByStep(9, 24, 3, cut="detached" in has)
    optimizer = Adam(model.parameters(), lr=5e-3)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 40)
    return Run(model, loss, batches, optimizer, accuracy(test), 0.85, 350).handed(175, "score")
