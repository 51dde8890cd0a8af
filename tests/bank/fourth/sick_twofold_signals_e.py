"""Sick runs with two faults each, on images, sounds and texts; either alone is enough."""

import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam

from ..runs import accuracy, overlap, supervised_run, unpacked
from . import BANK
from . import tasks_e as tasks
from .nets_e import DigitNet, HumNet, TextMean, TinyUNet, stack


@BANK.sick("outputs", "double_softmax", "rate_too_low")
def digits_softmaxed_before_the_loss_and_slow(seed, has):
    model = nn.Sequential(nn.Flatten(), stack(64, 64, 32, 10))
    if "double_softmax" in has:
        model.append(nn.Softmax(dim=1))
    optimizer = SGD(model.parameters(), 1e-4 if "rate_too_low" in has else 0.1)
    run = supervised_run(
        *(tasks.digits(), model, optimizer, F.cross_entropy, accuracy), goal=0.85, steps=444
    )
    return run.handed(111, "score")


@BANK.sick("model", "mixed_examples", "rate_too_high")
def hums_whose_gru_outputs_are_reshaped_time_first(seed, has):
    """The GRU's outputs are (time, batch, units) still when they are flattened."""
    model = HumNet(mixed="mixed_examples" in has)
    optimizer = Adam(model.parameters(), 0.5 if "rate_too_high" in has else 5e-3)
    run = supervised_run(
        *(tasks.hums(), model, optimizer, F.cross_entropy, accuracy),
        goal=0.9,
        steps=336,
        keys=("sound", "kind"),
    )
    return run.handed(28, "loss")


@BANK.sick("labels", "labels_misaligned", "inputs_destroyed", also=("label_prior",))
def tickets_sorted_by_length_with_forty_words(seed, has):
    """Sorted for the padding, the topics not; and the 42 commonest words are all stop words."""
    (texts, topics), test = tasks.tickets(42 if "inputs_destroyed" in has else 300)
    if "labels_misaligned" in has:
        texts = texts[(texts > 0).sum(1).argsort(stable=True)]
    model = TextMean()
    run = supervised_run(
        *(((texts, topics), test), model, Adam(model.parameters(), 5e-3), F.cross_entropy),
        accuracy,
        goal=0.85,
        steps=410,
        size=24,
    )
    return run.handed(205)


@BANK.sick("model", "weight_decay", "dropout_too_strong", also=("label_prior",))
def digits_regularised_in_every_way(seed, has):
    """Against overfitting: a decay of 0.3 within Adam, and dropout of 0.9 three times."""
    model = DigitNet(0.9 if "dropout_too_strong" in has else 0.1)
    decay = 0.3 if "weight_decay" in has else 1e-5
    run = supervised_run(
        *(tasks.digits(), model, Adam(model.parameters(), 3e-3, weight_decay=decay)),
        *(F.cross_entropy, accuracy),
        goal=0.9,
        steps=555,
    )
    return run.handed(74, "loss")


@BANK.sick("loss", "loss_sign", "wrong_parameters")
def scans_by_dice_with_the_last_layer_only(seed, has):
    """The Dice coefficient itself is minimised, and only `model.out` is with the optimiser."""

    def loss(model, batch):
        image, mask = unpacked(batch)
        said = model(image).sigmoid()
        dice = (2 * (said * mask).sum() + 1) / (said.sum() + mask.sum() + 1)
        return dice if "loss_sign" in has else 1 - dice

    model = TinyUNet()
    learning = model.out if "wrong_parameters" in has else model
    run = supervised_run(
        *(tasks.scans(), model, Adam(learning.parameters(), 1e-2), F.mse_loss, overlap),
        goal=0.75,
        steps=400,
        size=16,
        loss=loss,
    )
    return run.handed(125, "loss")
