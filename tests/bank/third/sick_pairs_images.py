"""Sick runs with two faults each, on small images; either alone keeps the run from its goal."""

import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, NAdam

from ..runs import accuracy, explained, stepping, supervised_run
from . import BANK
from . import tasks_e as tasks
from .nets_e import Mixed, PlainCNN, dense


@BANK.sick("model", "mixed_examples", "dropout_too_strong")
def image_rows_in_an_lstm_time_first(seed, has):
    """The LSTM wants time first and gets the batch first; of rows and states, 90 % are dropped."""
    drop = 0.9 if "dropout_too_strong" in has else 0.1
    model = Mixed(drop=drop, mixed="mixed_examples" in has)
    run = supervised_run(
        *(tasks.shapes(), model, Adam(model.parameters(), 5e-3), F.cross_entropy, accuracy),
        goal=0.85,
        steps=390,
    )
    return run.handed(130)


@BANK.sick("inputs", "inputs_destroyed", "too_small", also=("label_prior",))
def threshold_of_bytes_on_unit_greys(seed, has):
    """The images are in 0 to 1 by now, the threshold (127) is not; and one hidden unit."""
    task = tasks.shapes()
    if "inputs_destroyed" in has:
        task = tuple(((x > 127).float(), y) for x, y in task)
    model = nn.Sequential(nn.Flatten(), dense(144, 1 if "too_small" in has else 64, 6))
    run = supervised_run(
        *(task, model, NAdam(model.parameters(), 2e-3), F.cross_entropy, accuracy),
        goal=0.8,
        steps=500,
        keys=("image", "label"),
    )
    return run.handed(250, "score")


@BANK.sick("labels", "labels_misaligned", "batchnorm_tiny_batch", also=("label_prior",))
def shapes_in_twos_with_the_neighbours_labels(seed, has):
    (images, kinds), test = tasks.shapes(noise=0.05)
    task = (images[:120], kinds[:120]), test
    task = tasks.shifted_labels(task) if "labels_misaligned" in has else task
    norms = [nn.Linear(144, 48), nn.BatchNorm1d(48), nn.ReLU()]
    model = nn.Sequential(nn.Flatten(), *norms, nn.Linear(48, 6))
    run = supervised_run(
        *(task, model, SGD(model.parameters(), 0.02, momentum=0.9), F.cross_entropy, accuracy),
        goal=0.85,
        steps=300,
        size=2 if "batchnorm_tiny_batch" in has else 15,
    )
    return run.handed(100, "loss")


@BANK.sick("labels", "labels_misaligned", "unscaled_inputs", also=("rate_too_high", "label_prior"))
def files_in_text_order_raw_greys(seed, has):
    """Labels by number; the folder lists img_1, img_10, img_100, img_101, ..."""
    task = tasks.shapes(raw="unscaled_inputs" in has)
    task = tasks.in_text_order(task) if "labels_misaligned" in has else task
    model = nn.Sequential(nn.Flatten(), dense(144, 64, 32, 6, act=nn.Sigmoid))
    run = supervised_run(
        *(task, model, Adam(model.parameters(), 1e-2), F.cross_entropy, accuracy),
        goal=0.8,
        steps=500,
    )
    return run.handed(0)


@BANK.sick("outputs", "relu_on_output", "too_small")
def autoencoder_of_one_number_ending_in_relu(seed, has):
    model = dense(32, 24, 1 if "too_small" in has else 8, 24, 32)
    if "relu_on_output" in has:
        model.append(nn.ReLU())
    run = supervised_run(
        *(tasks.spectra(), model, Adam(model.parameters(), 5e-3), F.mse_loss, explained),
        goal=0.85,
        steps=500,
        keys=("x", "target"),
    )
    return run.handed(220, "loss")


@BANK.sick("model", "dead_start", "schedule_to_zero")
def zero_weights_and_halved_every_batch(seed, has):
    """The scheduler of epochs is stepped after each batch."""
    model = PlainCNN()
    if "dead_start" in has:
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
    factor = 0.5 if "schedule_to_zero" in has else 0.995
    task, optimizer = tasks.shapes(), SGD(model.parameters(), 0.05, momentum=0.9)
    run = supervised_run(
        *(task, model, optimizer, F.cross_entropy, accuracy),
        goal=0.85,
        steps=390,
        step=lambda loss: stepping(loss, schedule=lambda done: 0.05 * factor**done),
    )
    return run.handed(78, "loss")


@BANK.sick("evaluation", "evaluated_in_train_mode", "too_few_steps")
def validated_while_dropping_after_an_epoch(seed, has):
    """`model.eval()` is missing: the accuracy on the screen is that with 80 % dropped."""
    task, model = tasks.shapes(), PlainCNN(width=12, hidden=64, drop=0.8)
    steps = 26 if "too_few_steps" in has else 520

    def judge(test):
        return accuracy(test, training="evaluated_in_train_mode" in has)

    optimizer = Adam(model.parameters(), 2e-3)
    run = supervised_run(task, model, optimizer, F.cross_entropy, judge, goal=0.93, steps=steps)
    return run.handed(steps, "score")
