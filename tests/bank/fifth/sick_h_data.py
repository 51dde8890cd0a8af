"""Sick runs, one fault each: labels, inputs, and losses that do not fit them."""

from functools import partial

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce_logits
from torch.nn.functional import cross_entropy, mse_loss, nll_loss
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop

from ..runs import (
    accuracy,
    examiner,
    explained,
    overlap,
    stepping,
    supervised_run,
)
from . import BANK
from . import nets_h as nets
from . import tasks_h as tasks


@BANK.sick("labels", "labels_misaligned", also=("label_prior",))
def files_listed_as_1_10_100_h(seed, has):
    """The pictures come in the order of os.listdir, the labels in that of the table."""
    (images, digits), test = tasks.parted(*tasks.scans())
    if "labels_misaligned" in has:
        listed = sorted(range(len(images)), key=lambda i: f"img_{i}.png")
        images = images[torch.tensor(listed)]
    model = nets.FlatNet(8, 10, act=torch.nn.GELU)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    task = (images, digits), test
    run = supervised_run(task, model, optimizer, cross_entropy, accuracy, goal=0.88, steps=240)
    return run.handed(0)


def log_spectrum(waves, floor):
    """Log-power of short windows: (batch, 1, frequencies, time)."""
    frames = waves.squeeze(1).unfold(1, 16, 4) * torch.hann_window(16)
    return torch.log(torch.fft.rfft(frames).abs().square() + floor).transpose(1, 2).unsqueeze(1)


@BANK.sick("inputs", "not_finite_inputs")
def log_of_silent_frames_h(seed, has):
    """A few clips end in digital silence, and the logarithm has no floor."""
    waves, kinds = tasks.chirps(noise=0.3, silent=0.03)
    spectra = log_spectrum(waves, 0.0 if "not_finite_inputs" in has else 1e-2)
    model = nets.FlatNet(12, 3, width=6, hidden=32)
    model.fc1 = torch.nn.LazyLinear(32)
    model(spectra[:2])
    optimizer = Adam(model.parameters(), lr=2e-3)
    task = tasks.parted(spectra, kinds)
    run = supervised_run(task, model, optimizer, cross_entropy, accuracy, goal=0.8, steps=200)
    return run.handed(0)


def encoded(tokens, least):
    """Words that are met less often than `least` become <unk>."""
    counts = torch.bincount(tokens.flatten(), minlength=72)
    return torch.where(counts[tokens] < least, tasks.UNK, tokens)


@BANK.sick("inputs", "inputs_destroyed", also=("label_prior",))
def min_freq_of_the_vocabulary_h(seed, has):
    """min_freq was meant for a corpus a hundred times larger."""
    tokens, lengths, praise = tasks.reviews()
    tokens = encoded(tokens, 500 if "inputs_destroyed" in has else 5)
    model = nets.Reader(72, 2)
    optimizer = Adam(model.parameters(), lr=5e-3)
    train, test = tasks.parted(tokens, praise, lengths)
    run = supervised_run(
        (train, test), model, optimizer, cross_entropy, accuracy, goal=0.8, steps=300,
        step=partial(stepping, clip=1.0), keys=("input_ids", "labels", "lengths"),
    )  # fmt: skip
    return run.handed(300, "loss")


@BANK.sick("model", "label_prior")
def state_read_after_the_padding_h(seed, has):
    """`output[:, -1]` is the state after eighty times <pad>: the commonest language is said."""
    tokens, language = tasks.dialects(shares=(0.5, 0.2, 0.2, 0.1))
    task = tasks.parted(tasks.padded(tokens, 100), language)
    model = nets.Reader(21, 4, at_end="label_prior" in has)
    optimizer = Adam(model.parameters(), lr=4e-3)
    step = partial(stepping, clip=5.0)
    run = supervised_run(
        task, model, optimizer, cross_entropy, accuracy, goal=0.7, steps=300, step=step
    )
    return run.handed(300, "loss")


def tagged_alike(test):
    """The share of documents of which all subjects are said."""
    tokens, about = test
    return examiner(lambda model: ((model(tokens) > 0) == (about > 0.5)).all(1).float().mean())


@BANK.sick("loss", "wrong_loss")
def several_topics_by_cross_entropy_h(seed, has):
    """Several subjects may hold, and the loss wants shares of one."""
    model = nets.BagOfWords(120, 6)
    optimizer = Adagrad(model.parameters(), lr=0.05)
    criterion = cross_entropy if "wrong_loss" in has else bce_logits
    task = tasks.parted(*tasks.topics())
    run = supervised_run(
        task, model, optimizer, criterion, tagged_alike, goal=0.8, steps=350,
        keys=("tokens", "topics"),
    )  # fmt: skip
    return run.handed(350, "score")


def dice(logits, mask):
    said = torch.sigmoid(logits)
    both = (said * mask).sum((1, 2, 3))
    total = said.sum((1, 2, 3)) + mask.sum((1, 2, 3))
    return ((2 * both + 1) / (total + 1)).mean()


@BANK.sick("loss", "loss_sign")
def dice_returned_as_the_loss_h(seed, has):
    """The coefficient, not one minus it, goes to backward()."""
    model = nets.Segmenter()
    optimizer = Adam(model.parameters(), lr=3e-3)

    def criterion(logits, mask):
        return dice(logits, mask) if "loss_sign" in has else 1 - dice(logits, mask)

    task = tasks.parted(*tasks.lesions())
    run = supervised_run(task, model, optimizer, criterion, overlap, goal=0.7, steps=120, size=16)
    return run.handed(12, "loss")


@BANK.sick("outputs", "relu_on_output")
def tides_never_below_zero_h(seed, has):
    """Activation on each layer, the last too; half of all levels are below the mean."""
    last = torch.nn.ReLU() if "relu_on_output" in has else None
    model = nets.Forecaster(1, 4, last=last)
    optimizer = AdamW(model.parameters(), lr=5e-3)
    task = tasks.parted(*tasks.tides())
    run = supervised_run(task, model, optimizer, mse_loss, explained, goal=0.8, steps=250)
    return run.handed(120, "loss")


def by_hand(eps):
    """Cross-entropy of probabilities, kept away from 0 by a clamp."""

    def criterion(logits, targets):
        chances = torch.softmax(logits, 1).clamp(eps, 1 - eps)
        return nll_loss(chances.log(), targets)

    return criterion


@BANK.sick("loss", "clipped_probabilities")
def scaled_cosines_clamped_before_the_log_h(seed, has):
    """Cosines times 64, as in the face papers, and a clamp against log(0)."""
    model = nets.CosineNet(64, 10)
    optimizer = RMSprop(model.parameters(), lr=1e-3)
    criterion = by_hand(1e-3) if "clipped_probabilities" in has else cross_entropy
    task = tasks.parted(*tasks.scans())
    run = supervised_run(task, model, optimizer, criterion, accuracy, goal=0.88, steps=300)
    return run.handed(0)
