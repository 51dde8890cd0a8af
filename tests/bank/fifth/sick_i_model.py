"""Sick runs, one fault each: the model, its start, its norm, its optimiser."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam

from ..runs import Run, accuracy, batched, examiner, explained, supervised
from . import BANK
from . import tasks_i as tasks
from .nets_i import GraphNet, Listener, Residual, convolutions, glorot


@BANK.sick("model", "degradation", also=("dead_start",))
def load_by_blocks_without_a_way_around_i(seed, has):
    """Nine residual blocks, in which the sum was forgotten."""
    train, test = tasks.loads()
    model = Residual(36, 48, 6, 9, skip="degradation" not in has)
    optimizer = Adam(model.parameters(), lr=1e-3)
    batches = batched(train, 40)
    loss = supervised(F.mse_loss)
    return Run(model, loss, batches, optimizer, explained(test), 0.7, 250).handed(240, "loss")


@BANK.sick("model", "mixed_examples")
def lstm_that_reads_the_batch_i(seed, has):
    """(batch, time, channels) into an LSTM that has not been told `batch_first`."""
    train, test = tasks.machines(noise=0.3)
    train[0], test[0] = (x.transpose(1, 2)[:, ::2].contiguous() for x in (train[0], test[0]))
    model = Listener(2, 40, 4, batch_first="mixed_examples" not in has)
    optimizer = Adam(model.parameters(), lr=8e-3)
    loss = supervised(nn.CrossEntropyLoss())
    run = Run(model, loss, batched(train, 50), optimizer, accuracy(test), 0.8, 200)
    return run.handed(0)


@BANK.sick("model", "batchnorm_tiny_batch")
def severity_one_signal_at_a_time_i(seed, has):
    """Batches of one under batch norm: each signal is brought to the same strength."""
    (x, y), test = tasks.severity()
    model = nn.Sequential(
        nn.Conv1d(1, 16, 7, 2, 3),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Conv1d(16, 16, 5, 2, 2),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(16, 1),
    )
    optimizer = Adam(model.parameters(), lr=2e-3)
    size = 1 if "batchnorm_tiny_batch" in has else 32
    batches = batched((x, y), size)
    loss = supervised(F.mse_loss)
    return Run(model, loss, batches, optimizer, explained(test), 0.7, 500).handed(250, "loss")


@BANK.sick("model", "dead_start")
def graph_weights_by_torch_rand_i(seed, has):
    """`nn.Parameter(torch.rand(...))`: all positive, and tanh is 1 everywhere."""
    train, test = tasks.molecules()
    train[3], test[3] = ((part[3] > 0).long() for part in (train, test))
    start = torch.rand if "dead_start" in has else glorot
    model = GraphNet(width=48, outputs=2, start=start, act=torch.tanh)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)

    def loss(model, batch):
        *graph, label = batch
        return F.cross_entropy(model(*graph), label)

    def number(model):
        return (model(*test[:3]).argmax(1) == test[3]).float().mean()

    batches = batched(train, 32)
    return Run(model, loss, batches, optimizer, examiner(number), 0.75, 400).handed(0)


@BANK.sick("optimiser", "adam_epsilon", also=("rate_too_low",))
def vibrations_with_an_epsilon_of_a_tenth_i(seed, has):
    """`eps` as in a paper on images, where the rate was a hundred times as high."""
    train, test = tasks.machines()
    model = convolutions(2, 12, 4)
    eps = 0.1 if "adam_epsilon" in has else 1e-8
    optimizer = Adam(model.parameters(), lr=3e-3, eps=eps)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 32, ("signal", "fault"))
    return Run(model, loss, batches, optimizer, accuracy(test), 0.85, 250).handed(60, "loss")
