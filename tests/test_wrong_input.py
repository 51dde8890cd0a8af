"""Wrong input to every public function: an error names the argument and what is accepted.

One value of each kind that a function can meet. A function of a public room that is neither here
nor in ELSEWHERE fails.
"""

import inspect
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from lab_example import experiment, stored_example
from matplotlib.figure import Figure
from torch import nn

from course_utils import claims, datasets, figures, measures, models, races, sweeps, training
from course_utils.widgets import Exercises, Predictions, lab

ROOMS = (claims, datasets, figures, measures, models, races, sweeps, training)
ELSEWHERE = {  # what gives them wrong input, or takes anything
    **{"ClaimFailed": "no argument", "SweepWarning": "no argument", "Examples": "a tuple"},
    **{"torchvision": "no argument", "original_of": "see band", "points": "see band"},
    **{"trial": "see Trial", "on_shared_seeds": "see Claim", "held_out_seed": "see volumes"},
    **{
        "class_numbers": "tests/test_measures.py",
        **dict.fromkeys(("cosines", "step_flops", "kernels", "count_parameters"), "torch says it"),
        **dict.fromkeys(("watch", "join"), "anything that fits"),
        "stored": "tests/test_store.py",
        "describe": "tests/test_store.py",
    },
}


def per_seed(*values: Any) -> xr.DataArray:
    return xr.DataArray(list(values), {"seed": range(len(values))})


def runs() -> xr.Dataset:
    """As `sweep` returns them: one width, two seeds, three steps."""
    data = {"data_loss": (("width", "seed", "step"), np.ones((1, 2, 3)))}
    return xr.Dataset(data, {"width": [4], "seed": [0, 1], "step": range(3)})


def asked() -> Predictions:
    given = Predictions()
    given.ask("wider", "Is it higher?", ["higher", "lower"])
    return given


def mean_square(model, inputs, targets):
    return (model(inputs) - targets).square().mean()


CLAIM = claims.Claim("up", "it rises", per_seed(0.3, 0.4), above=0.2)
TRIAL = ("it grows", "watch it", per_seed(0.3), "supported")
AX = figures.new_figure()[1][0]
NET = nn.Linear(3, 1)
PAIR = (torch.ones(4, 3), torch.ones(4, 1))
SGD = torch.optim.SGD(NET.parameters(), lr=0.1)
ADAM = torch.optim.Adam(NET.parameters())
RACE = {
    **{"models": {"a": lambda: NET, "b": lambda: NET}, "data": lambda seed: [PAIR]},
    **{"loss": mean_square, "target": 0.1, "rates": [0.1], "seeds": range(5)},
}
TRAIN = {"model": NET, "batches": [PAIR], "loss": mean_square, "optimizer": SGD, "steps": 3}
TRAIN |= {"every": 1}
SWEEP = {"experiment": lambda width, seed: {"y": 1}, "grid": {"width": [2, 3]}, "seeds": [0, 1]}
SWEEP |= {"workers": 1}
LAB = {"name": "wrong", "experiment": experiment, "grid": stored_example("missing")}
ALIKE = {"model": NET, "inputs": PAIR[0], "targets": PAIR[1], "loss": nn.functional.mse_loss}
FEW = {"inputs": PAIR[0][:1], "targets": PAIR[1][:2]}
NAN, COUNT = math.nan, itertools.count()

# A function, its right arguments, and a wrong value of some of them.
TABLE: list[tuple[Callable, dict[str, Any], dict[str, Any]]] = [
    (claims.Claim, {"id": "up", "sentence": "it rises", "values": per_seed(0.3), "above": 0.2},
     {"id": "", "values": per_seed("a"), "above": NAN}),
    (claims.report, {"notebook": "00_toy", "claims": [CLAIM]},
     {"notebook": "../00_toy", "claims": ["it rises"]}),
    (claims.Trial, dict(zip(("explanation", "control", "effect", "verdict"), TRIAL, strict=True)),
     {"explanation": " ", "effect": [0.3], "verdict": "true", "evidence": (CLAIM,)}),
    (claims.verdict_table, {"trials": [claims.Trial(*TRIAL)], "claims": [CLAIM]},
     {"trials": 3, "claims": ["it rises"]}),
    (claims.measured, {"values": per_seed(1.0)}, {"values": [1.0]}),
    (figures.new_figure, {}, {"columns": 0, "width": -1.0, "height": "tall"}),
    (figures.png, {"figure": Figure()}, {"figure": AX}),
    (figures.show, {"figure": Figure(), "alt": "Axes."}, {"figure": None, "alt": ""}),
    (figures.band, {"ax": AX, "runs": runs(), "values": "data_loss"},
     {"ax": Figure(), "runs": [1.0], "values": "loss"}),
    (figures.smoothed, {"values": runs()["data_loss"], "steps": 2}, {"steps": 0}),
    (figures.bands, {"ax": AX, "runs": runs(), "values": "data_loss", "over": "width"},
     {"over": "depth"}),
    (figures.label_ends, {"ax": AX}, {"ax": Figure()}),
    (figures.readable, {"frame": pd.DataFrame({"claim": ["up"]})}, {"frame": [CLAIM]}),
    (claims.claim_table, {"claims": [CLAIM]}, {"claims": 3}),
    (Exercises.add, {"self": Exercises(), "key": "one", "hint": "Count.",
                     "check": lambda answer: answer == 1, "solution": lambda: 1},
     {"key": "", "check": 3, "solution": 1}),
    (Predictions.ask, {"self": asked(), "key": "deeper", "question": "?", "options": ["a", "b"]},
     {"question": None, "options": ["a", "a"]}),
    (Predictions.reveal, {"self": asked(), "key": "wider", "truth": "higher"},
     {"key": "deeper", "truth": "wider"}),
    (lab, LAB, {"name": " ", "losses": "data_loss", "start": {"width": 3}, "grid": xr.Dataset()}),
    (sweeps.sweep, SWEEP, {"experiment": lambda width, seed: None, "grid": {}, "seeds": [1, 1],
                           "name": "Bad name"}),
    (sweeps.sweep, SWEEP, {"experiment": lambda width, seed: {"seed": 1}, "grid": {"depth": [1]},
                           "seeds": [0.5]}),
    (sweeps.sweep, SWEEP, {"grid": {"width": [4, 4]}}),
    (sweeps.sweep, SWEEP, {"grid": {"width": [2.0, NAN]}}),
    (sweeps.sweep, SWEEP, {"grid": {"width": "48"}}),
    (sweeps.sweep, SWEEP, {"grid": {"width": [2, "two"]}}),
    (sweeps.stored_grid, {"experiment": experiment, "grid": {"width": [1]}, "name": "toy"},
     {"grid": {}, "seed": -1}),
    (datasets.volumes, {"seed": 0}, {"seed": 2**32, "examples": 2.5, "size": 5, "noise": NAN}),
    (datasets.lines, {"seed": 0}, {"seed": None, "pairs": 0}),
    (datasets.nuclei, {"seed": 0}, {"examples": "many", "contrast": -1.0}),
    (datasets.digits, {}, {"size": 7, "classes": [10]}),
    (datasets.load, {"name": "digits"}, {"name": "mnist"}),
    (datasets.batches, {"examples": PAIR, "batch_size": 2, "steps": 1, "seed": 0},
     {"examples": (PAIR[0], PAIR[1][:2]), "batch_size": 5, "steps": -1}),
    (measures.sample_gradients, ALIKE, {"model": nn.Flatten(), "inputs": FEW["inputs"]}),
    (measures.noise_scale, {"gradients": torch.ones(4, 3)}, {"gradients": torch.ones(1, 3)}),
    (measures.weight_norm, {"model": NET}, {"model": nn.BatchNorm1d(3), "norm": "l3"}),
    (measures.weight_penalty, {"model": NET, "strength": 1.0}, {"strength": -1.0}),
    (measures.by_layer, ALIKE, {"model": nn.AvgPool1d(3), "inputs": FEW["inputs"],
                                "loss": lambda outputs, _: outputs}),
    (measures.linear_probe, {"features": torch.rand(9, 3), "targets": torch.arange(9) % 2},
     {"targets": torch.ones(9)}),
    (measures.adam_statistics, {"optimizer": ADAM}, {"optimizer": SGD}),
    (measures.preconditioned_sharpness, {"loss": NET(torch.ones(3)).sum(), "optimizer": ADAM},
     {"optimizer": SGD, "iterations": 0}),
    (measures.steps_to, {"losses": xr.DataArray(np.ones(20), dims="step"), "target": 0.1},
     {"window": 0}),
    (models.fans, {"weight": NET.weight}, {"weight": torch.ones(3)}),
    (models.initial_variance, {"weight": NET.weight, "scheme": "fixed"},
     {"weight": torch.ones(3), "scheme": "he"}),
    (models.initialise, {"model": NET, "scheme": "fixed"}, {"scheme": "he"}),
    (models.composed, {"first": nn.Conv2d(1, 2, 3), "second": nn.Conv2d(2, 2, 3)},
     {"first": nn.Conv2d(3, 2, 3), "second": nn.Conv2d(2, 2, 3, stride=2)}),
    (measures.right_probabilities, {"outputs": torch.ones(2, 3), "targets": torch.ones(2).long()},
     {"targets": torch.ones(3).long()}),
    (measures.path_length, {"optimizer": ADAM}, {"optimizer": NET}),
    (races.race, RACE, {"models": {"a": NET, "b": lambda: NET}, "target": NAN,
                        "rates": [0.0], "seeds": range(4), "window": 201}),
    (races.judge, {"runs": None}, {"runs": runs()}),
    (training.train, TRAIN, {"model": nn.Linear, "optimizer": "SGD", "steps": 0, "every": 0}),
    (training.train, TRAIN, {"batches": PAIR, "loss": lambda net, x, y: {"sum": net(x) - y},
                             "measure": {"data_loss": lambda *_: 1.0}}),
    (training.train, TRAIN, {"batches": [(*PAIR, 1)], "loss": lambda net, x, y: (net(x).sum(), 1),
                             "measure": {"new": lambda *_: None}}),
    (training.train, TRAIN, {"batches": iter([PAIR]),
                             "loss": lambda net, x, y: net(x).sum().detach(),
                             "measure": {"new": lambda *_: torch.ones(next(COUNT))}}),
    (training.train, TRAIN, {"loss": lambda net, x, y: {f"term {next(COUNT)}": net(x).sum()}}),
]  # fmt: skip
ROWS = [
    pytest.param(function, right, argument, wrong, id=f"{function.__qualname__}-{argument}")
    for function, right, arguments in TABLE
    for argument, wrong in arguments.items()
]


@pytest.mark.parametrize(("function", "right", "argument", "wrong"), ROWS)
def test_wrong_input_is_named(function, right, argument, wrong):
    with pytest.raises((TypeError, ValueError)) as caught:
        function(**{**right, argument: wrong})
    message = str(caught.value)
    names = {argument, argument.rstrip("s"), "bound", "option", "graph", "examples", "dimension"}
    names |= {"setting", "inputs"}
    assert any(name in message for name in names), message
    assert len(message) < 400 and "\n" not in message


def test_every_public_function_is_here_or_elsewhere():
    known = {function.__name__ for function, *_ in TABLE} | set(ELSEWHERE)
    public = {
        name
        for room in ROOMS
        for name, value in vars(room).items()
        if inspect.isroutine(value) or inspect.isclass(value)
        if value.__module__ == room.__name__ and not name.startswith("_")
    }
    assert public <= known
