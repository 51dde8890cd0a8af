"""Ordinary tasks, each with a model that suits it, its loss, judge and goal."""

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from torch import nn

from ..runs import Run, accuracy, explained, overlap, supervised_run, yes_or_no
from . import tasks
from .nets import Recurrent, Transformer, UNet, conv_net, mlp


class Setting(NamedTuple):
    """A task by seed, its model by width, loss, judge, the goal and the steps to it."""

    task: Callable[[int], tasks.Task]
    model: Callable[[int], nn.Module]
    criterion: Callable
    judge: Callable
    goal: float
    steps: int
    keys: tuple[str, ...] = ()  # of the batches, where they are dicts


SETTINGS = {
    "digits_mlp": Setting(
        tasks.digits, lambda w: mlp(64, w, w, 10), F.cross_entropy, accuracy, 0.9, 500
    ),
    "digits_conv": Setting(
        tasks.digits, lambda w: conv_net(10, w), F.cross_entropy, accuracy, 0.88, 500
    ),
    "wine": Setting(
        lambda seed: tasks.table("wine"),
        lambda w: mlp(13, w, 3),
        F.cross_entropy,
        accuracy,
        0.9,
        200,
    ),
    "cancer": Setting(
        lambda seed: tasks.table("breast_cancer", column=True),
        lambda w: mlp(30, w, 1),
        F.binary_cross_entropy_with_logits,
        yes_or_no,
        0.9,
        250,
        ("features", "target"),
    ),
    "friedman": Setting(
        lambda seed: tasks.friedman(),
        lambda w: mlp(10, w, w, 1),
        F.mse_loss,
        explained,
        0.8,
        500,
    ),
    "houses": Setting(
        lambda seed: tasks.houses(), lambda w: mlp(4, w, w, 1), F.l1_loss, explained, 0.85, 400
    ),
    "waves": Setting(
        lambda seed: tasks.waves(),
        lambda w: Recurrent(2, w, 3),
        F.cross_entropy,
        accuracy,
        0.85,
        300,
    ),
    "ahead": Setting(
        lambda seed: tasks.ahead(), lambda w: Recurrent(1, w, 1), F.mse_loss, explained, 0.85, 350
    ),
    "topics": Setting(
        lambda seed: tasks.topics(),
        lambda w: Transformer(40, 4, w),
        F.cross_entropy,
        accuracy,
        0.75,
        350,
        ("input_ids", "labels"),
    ),
    "discs": Setting(
        lambda seed: tasks.discs(),
        lambda w: UNet(w),
        F.binary_cross_entropy_with_logits,
        overlap,
        0.6,
        200,
        ("image", "mask"),
    ),
    "rings": Setting(
        lambda seed: tasks.rings(), lambda w: mlp(2, w, w, 2), F.cross_entropy, accuracy, 0.9, 300
    ),
}


def usual(seed: int, name: str, width: int, optimizer: Callable, **more) -> Run:
    """The setting `name`, its model `width` wide; ``optimizer(parameters)`` makes the optimiser."""
    setting = SETTINGS[name]
    model = more.pop("model", None) or setting.model(width)
    values = {
        "criterion": setting.criterion,
        "judge": setting.judge,
        "goal": setting.goal,
        "steps": setting.steps,
        "keys": setting.keys,
        **more,
    }
    task = values.pop("task", None) or setting.task(seed)
    return supervised_run(task, model, optimizer(model.parameters()), **values)
