"""Sick runs whose fault lies in the model's structure or its start."""

import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam

from ..runs import accuracy, explained, supervised_run, yes_or_no
from . import BANK, tasks
from .nets import Recurrent, Transformer, conv_net, deep_mlp, mlp


@BANK.sick("model", "degradation")
def forty_plain_layers(seed, has):
    model = deep_mlp(64, 24, 40, 10, skips="degradation" not in has)
    optimizer = SGD(model.parameters(), 0.02, momentum=0.9)
    run = supervised_run(
        tasks.digits(seed), model, optimizer, F.cross_entropy, accuracy, goal=0.87, steps=500
    )
    return run.after(60, "loss")


@BANK.sick("model", "degradation")
def deep_for_ten_columns(seed, has):
    """Fifty plain layers, because more layers see more."""
    model = deep_mlp(10, 24, 50, 1, skips="degradation" not in has)
    optimizer = SGD(model.parameters(), 0.005, momentum=0.9)
    run = supervised_run(
        tasks.friedman(), model, optimizer, F.mse_loss, explained, goal=0.8, steps=300
    )
    return run.after(0)


@BANK.sick("model", "too_small")
def neck_of_one_channel(seed, has):
    """Ten digits through a single number."""
    model = conv_net(16)
    neck = 1 if "too_small" in has else 16
    model = nn.Sequential(model, nn.ReLU(), nn.Linear(16, neck), nn.ReLU(), nn.Linear(neck, 10))
    run = supervised_run(
        tasks.digits(seed),
        model,
        Adam(model.parameters(), 5e-3),
        F.cross_entropy,
        accuracy,
        goal=0.8,
        steps=500,
    )
    return run.after(150, "score")


@BANK.sick("model", "too_small")
def one_unit_for_five_columns(seed, has):
    width = 1 if "too_small" in has else 32
    model = mlp(10, width, width, 1, act=nn.Tanh)
    optimizer = Adam(model.parameters(), 1e-2)
    run = supervised_run(
        tasks.friedman(), model, optimizer, F.mse_loss, explained, goal=0.85, steps=400
    )
    return run.after(200, "loss")


@BANK.sick("model", "dropout_too_strong")
def dropout_before_a_number(seed, has):
    """Nine units of ten are dropped in front of a regression's output."""
    model = mlp(4, 16, 16, 1, drop=0.9 if "dropout_too_strong" in has else 0.0)
    optimizer = Adam(model.parameters(), 5e-3)
    run = supervised_run(
        *(tasks.houses(), model, optimizer, F.mse_loss, explained),
        goal=0.85,
        steps=400,
        keys=("x", "y"),
    )
    return run.after(120, "loss")


@BANK.sick("model", "dropout_too_strong")
def keep_taken_for_drop(seed, has):
    """0.95 was meant as the share to keep."""
    model = mlp(64, 64, 64, 10, drop=0.95 if "dropout_too_strong" in has else 0.05)
    optimizer = SGD(model.parameters(), 0.05, momentum=0.9)
    run = supervised_run(
        tasks.digits(seed), model, optimizer, F.cross_entropy, accuracy, goal=0.88, steps=300
    )
    return run.after(100, "loss")


@BANK.sick("model", "mixed_examples")
def attention_across_the_batch(seed, has):
    """The encoder's own default takes times first: words look at other texts, not at their own."""
    model = Transformer(20, 3, width=24, each=True, batch_first="mixed_examples" not in has)
    run = supervised_run(
        tasks.tags(),
        model,
        Adam(model.parameters(), 1e-2),
        F.cross_entropy,
        accuracy,
        goal=0.85,
        steps=300,
        keys=("tokens", "tags"),
    )
    return run.after(80, "loss")


class Viewed(nn.Module):
    """A GRU that wants times first; `view` where `transpose` was needed mixes the examples."""

    def __init__(self, faulty: bool):
        super().__init__()
        self.faulty, self.body, self.head = faulty, nn.GRU(2, 24), nn.Linear(24, 3)

    def forward(self, x):
        x = x.view(x.shape[1], x.shape[0], 2) if self.faulty else x.transpose(0, 1)
        return self.head(self.body(x)[1][-1])


@BANK.sick("model", "mixed_examples")
def view_for_transpose(seed, has):
    model = Viewed("mixed_examples" in has)
    run = supervised_run(
        tasks.waves(),
        model,
        Adam(model.parameters(), 1e-2),
        F.cross_entropy,
        accuracy,
        goal=0.85,
        steps=200,
    )
    return run.after(0 if seed % 2 else 60, None if seed % 2 else "loss")


class Slices(nn.Module):
    """A flat net over all slices of volumes, then their mean; `faulty` groups the wrong slices."""

    def __init__(self, faulty: bool):
        super().__init__()
        self.faulty, self.net, self.head = faulty, conv_net(16, 8), nn.Linear(16, 2)

    def forward(self, x):
        examples, _, depth, *sizes = x.shape
        out = self.net(x.reshape(-1, 1, *sizes)).relu()
        if self.faulty:
            return self.head(out.view(depth, examples, 16).mean(0))
        return self.head(out.view(examples, depth, 16).mean(1))


@BANK.sick("model", "mixed_examples")
def slices_of_other_volumes(seed, has):
    model = Slices("mixed_examples" in has)
    optimizer = Adam(model.parameters(), 5e-3)
    run = supervised_run(
        tasks.volumes(seed), model, optimizer, F.cross_entropy, accuracy, goal=0.8, steps=200
    )
    return run.after(40, "loss")


@BANK.sick("model", "no_activation")
def linear_in_disguise(seed, has):
    model = mlp(2, 32, 32, 2, act=None if "no_activation" in has else nn.ReLU)
    optimizer = Adam(model.parameters(), 1e-2)
    run = supervised_run(
        tasks.rings(), model, optimizer, F.cross_entropy, accuracy, goal=0.9, steps=200
    )
    return run.after(100, "score")


@BANK.sick("model", "dead_start")
def small_normal_start(seed, has):
    """Ten layers of tanh from N(0, 0.01): nothing arrives, forward or backward."""
    model = mlp(64, *[32] * 8, 10, act=nn.Tanh)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            if "dead_start" in has:
                nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
    optimizer = SGD(model.parameters(), 0.05, momentum=0.9)
    run = supervised_run(
        tasks.digits(seed), model, optimizer, F.cross_entropy, accuracy, goal=0.8, steps=400
    )
    return run.after(0 if seed % 2 else 50, None if seed % 2 else "loss")


@BANK.sick("model", "batchnorm_tiny_batch")
def two_rows_at_a_time(seed, has):
    """Each row is normalised by itself and one other."""
    size = 2 if "batchnorm_tiny_batch" in has else 32
    model = mlp(10, 48, 48, 1, norm=nn.BatchNorm1d)
    optimizer = Adam(model.parameters(), 5e-3)
    run = supervised_run(
        *(tasks.friedman(), model, optimizer, F.mse_loss, explained),
        goal=0.8,
        steps=400,
        size=size,
    )
    return run.after(40, "loss")


@BANK.sick("model", "batchnorm_tiny_batch")
def twelve_labels_two_rows(seed, has):
    """The rows are large, so there are two in a batch."""
    size = 2 if "batchnorm_tiny_batch" in has else 32
    model = mlp(40, 48, 48, 12, norm=nn.BatchNorm1d)
    run = supervised_run(
        *(tasks.labelled_sums(), model, Adam(model.parameters(), 5e-3)),
        *(F.binary_cross_entropy_with_logits, yes_or_no),
        goal=0.88,
        steps=200,
        size=size,
    )
    return run.after(30, "score")


class Cut(nn.Module):
    """Features and a head; with `cut` the features are detached on their way."""

    def __init__(self, features: nn.Module, head: nn.Module, cut: bool):
        super().__init__()
        self.features, self.head, self.cut = features, head, cut

    def forward(self, x):
        out = self.features(x)
        return self.head(out.detach() if self.cut else out)


@BANK.sick("model", "detached")
def features_kept_as_data(seed, has):
    """Saved through `.data`, as in old code: the recurrent part never learns."""
    model = Cut(Recurrent(1, 16, 4), nn.Linear(4, 1), "detached" in has)
    run = supervised_run(
        tasks.ahead(),
        model,
        Adam(model.parameters(), 1e-2),
        F.mse_loss,
        explained,
        goal=0.9,
        steps=200,
    )
    return run.after(60, "loss")
