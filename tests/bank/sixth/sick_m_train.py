"""Sick runs: the optimiser, the batches, the examination."""

import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam

from ..runs import Run, accuracy, batched, examiner, explained, supervised
from . import BANK
from . import tasks_m as tasks
from .nets_m import Attentive, Dilated, mlp


@BANK.sick("optimiser", "adam_epsilon", also=("rate_too_low",))
def topics_with_the_epsilon_of_a_handbook_m(seed, has):
    """`eps=0.1`, as a handbook advises for large nets of pictures."""
    train, test = tasks.reviews()
    model = Attentive(400, 24, 4)
    eps = 0.1 if "adam_epsilon" in has else 1e-8
    optimizer = Adam(model.parameters(), lr=3e-3, eps=eps)

    def loss(model, batch):
        tokens, lengths, topic = batch
        return F.cross_entropy(model(tokens, lengths), topic)

    def number(model):
        return (model(*test[:2]).argmax(1) == test[2]).float().mean()

    batches = batched(train, 32)
    return Run(model, loss, batches, optimizer, examiner(number), 0.8, 300).handed(0)


@BANK.sick("optimiser", "wrong_parameters")
def walks_by_blocks_in_a_list_m(seed, has):
    """The blocks are in a Python list, where `parameters()` does not see them."""
    train, test = tasks.walks()
    model = Dilated(8, 4, 4, list if "wrong_parameters" in has else nn.ModuleList)
    optimizer = Adam(model.parameters(), lr=4e-3)
    loss = supervised(nn.CrossEntropyLoss())
    batches = batched(train, 32)
    return Run(model, loss, batches, optimizer, accuracy(test), 0.85, 300).handed(150, "score")


@BANK.sick("data", "batchnorm_tiny_batch")
def houses_two_at_a_time_m(seed, has):
    """Batch norm after both hidden layers, and batches of two."""
    train, test = tasks.houses()
    model = mlp(8, 48, 48, 1, norm=True, last=nn.Flatten(0))
    optimizer = Adam(model.parameters(), lr=3e-3)
    batches = batched(train, 2 if "batchnorm_tiny_batch" in has else 40)
    loss = supervised(F.mse_loss)
    return Run(model, loss, batches, optimizer, explained(test), 0.65, 500).handed(0)


@BANK.sick("evaluation", "evaluated_in_train_mode", lies=True)
def customers_judged_with_dropout_m(seed, has):
    """Dropout on the columns as well, and no `model.eval()` before the accuracy is taken."""
    train, test = tasks.visits()
    train[0], test[0] = tasks.standard(train[0].log1p(), test[0].log1p())
    model = nn.Sequential(nn.Dropout(0.4), mlp(6, 48, 3, drop=0.3))
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    loss = supervised(nn.CrossEntropyLoss())
    run = Run(
        model,
        loss,
        batched(train, 36),
        optimizer,
        accuracy(test, training="evaluated_in_train_mode" in has),
        0.9,
        300,
        honest=accuracy(test),
        honest_goal=0.9,
    )
    return run.handed(290, "score")
