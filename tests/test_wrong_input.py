"""Wrong input to every public function: an error names the argument and what is accepted.

Each argument of each public function is in the table here, or in ELSEWHERE, which says which other
test gives it wrong input, or among the EXCEPTIONS. One that is in none of them fails.
"""

import functools
import importlib
import inspect
import math
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from lab_example import GRID, experiment, stored_example
from matplotlib.figure import Figure
from torch import nn

import course_utils
from course_utils import (
    claims,
    datasets,
    exercises,
    figures,
    gradients,
    lab,
    measures,
    models,
    predictions,
    races,
    reproducibility,
    store,
    sweeps,
    training,
)

# ---- what is wrong about a kind of argument: "wrong type" is a TypeError, the others ValueErrors

NAN, INF = math.nan, math.inf
WHOLE = {"wrong type": ["2", 2.5, None, NAN], "negative": [-1]}
SEED = WHOLE | {"huge": [2**32]}
NUMBER = {"wrong type": ["much", None], "NaN": [NAN], "huge": [INF]}
SIZE = NUMBER | {"negative": [-1.0]}
TEXT = {"wrong type": [3, None], "empty": ["", " "]}
FUNCTION = {"wrong type": [3, "f"]}
FLAG = {"wrong type": ["no", None, 1]}
MODEL = {"wrong type": ["net", None, nn.Linear]}
LIST = {"wrong type": [3, None]}
ADAM = {"wrong type": ["Adam", None]}
DATASET = {"wrong type": [3, None, {"data_loss": [1.0]}]}
CLAIMS = {"wrong type": [3, None, ["it rises"]], "empty": [[]]}
META = torch.empty(4, 3, device="meta")
INPUTS = {
    "wrong type": [[1.0], None, np.ones((4, 3))],
    "empty": [torch.empty(0, 3)],
    "wrong shape": [torch.tensor(1.0)],
    "wrong device": [META],
}

# ---- arguments that are right


def per_seed(*values: Any) -> xr.DataArray:
    return xr.DataArray(list(values), {"seed": range(len(values))})


def runs() -> xr.Dataset:
    """As `sweep` returns them: one width, two seeds, three steps."""
    dims = ("width", "seed", "step")
    data = {"data_loss": (dims, np.ones((1, 2, 3))), "diverged_at": (dims[:2], [[-1, -1]])}
    attributes = {"settings": ["width"], "name": "", "changed": [], "runs": 2, "cpu_seconds": 1.0}
    return xr.Dataset(data, {"width": [4], "seed": [0, 1], "step": range(3)}, attributes)


def asked() -> predictions.Predictions:
    given = predictions.Predictions()
    given.ask("wider", "Is it higher?", ["higher", "lower"])
    return given


def mean_square(model, inputs, targets):
    return (model(inputs) - targets).square().mean()


CLAIM = claims.Claim("up", "it rises", per_seed(0.3, 0.4), above=0.2)
TRIAL = claims.Trial("it grows", "watch it", per_seed(0.3, 0.4), "supported", (CLAIM,))
AX = figures.new_figure()[1][0]
CURVES = {"ax": AX, "runs": runs(), "variable": "data_loss", "over": "width"}
NET = nn.Linear(3, 1)
PAIR = {"inputs": torch.ones(4, 3), "targets": torch.ones(4, 1)}
BATCH = {"model": NET, **PAIR, "loss": nn.functional.mse_loss}
CLASSES = torch.tensor([0, 1, 0, 1])
LAB = {"name": "wrong", "experiment": experiment, "grid": stored_example("missing")}
RACE = {
    "models": {"a": lambda: NET, "b": lambda: NET},
    "data": lambda seed: [tuple(PAIR.values())],
    "loss": mean_square,
    "target": 0.1,
    "rates": [0.1],
    "seeds": range(5),
}
TRAIN = {
    "model": NET,
    "batches": [tuple(PAIR.values())],
    "loss": mean_square,
    "optimizer": torch.optim.SGD(NET.parameters(), lr=0.1),
    "steps": 3,
}


def batches_of(inputs: Any, targets: Any) -> Any:
    return datasets.batches((inputs, targets), 2, 1, 0)


def seeds_from(seeds: str) -> list[int]:
    return reproducibility.parse_seeds(seeds)


def entered(manager: Callable) -> Callable:
    """A function that enters a context manager, which checks nothing before."""

    @functools.wraps(manager)
    def enter(**arguments: Any) -> None:
        with manager(**arguments):
            pass

    return enter


ADAM_OF_NET = torch.optim.Adam(NET.parameters())


# ---- the table: a function, its right arguments, and what is wrong for each

Kinds = dict[str, list[Any]]
TABLE: list[tuple[Callable, dict[str, Any], dict[str, Kinds]]] = [
    (
        claims.Claim,
        {"id": "up", "sentence": "it rises", "values": per_seed(0.3), "above": 0.2},
        {
            "id": TEXT,
            "sentence": TEXT,
            "values": {"wrong type": [per_seed("a"), per_seed(None)]},
        },
    ),
    (
        claims.report,
        {"notebook": "00_toy", "claims": [CLAIM]},
        {"notebook": TEXT | {"a path": ["../00_toy"]}, "claims": CLAIMS},
    ),
    (
        claims.Trial,
        {
            **{"explanation": "it grows", "control": "watch it", "effect": per_seed(0.3)},
            **{"verdict": "supported", "evidence": (CLAIM,)},
        },
        {
            "explanation": TEXT,
            "control": TEXT,
            "effect": {"wrong type": [[0.3], None, xr.DataArray([1.0], dims="width")]},
            "evidence": {"wrong type": [CLAIM, ("up",)]},
        },
    ),
    (claims.verdict_table, {"trials": [TRIAL]}, {"trials": CLAIMS}),
    (claims.list_of, {"kind": int, "name": "numbers", "values": [1]}, {}),
    (
        figures.new_figure,
        {},
        {
            "columns": WHOLE | {"empty": [0], "huge": [10**6]},
            "rows": WHOLE | {"empty": [0], "huge": [10**6]},
            "width": SIZE | {"empty": [0]},
            "height": SIZE | {"empty": [0]},
        },
    ),
    (figures.png, {"figure": Figure()}, {"figure": {"wrong type": [AX, None]}}),
    (figures.show, {"figure": Figure(), "alt": "Axes."}, {"figure": LIST, "alt": TEXT}),
    (
        figures.curves,
        CURVES,
        {
            "ax": {"wrong type": [Figure(), None]},
            "runs": DATASET,
            "where": {"wrong type": [3], "unknown": [{"depth": 3}, {"seed": 9}]},
            "smooth": WHOLE | {"empty": [0]},
            "axis": {
                "wrong type": ["step", 32, ("step", "32"), None],
                "NaN": [("step", NAN)],
                "negative": [("step", -1)],
                "huge": [("step", INF)],
            },
            "colours": {"wrong type": ["red", 3], "empty": [[]]},
        },
    ),
    (
        figures.mark_divergence,
        {"ax": AX, "run": runs().isel(width=0, seed=0), "variable": "data_loss"},
        {
            "ax": {"wrong type": [Figure(), None]},
            "run": DATASET,
            "variable": {"unknown": ["loss", 3]},
            "factor": SIZE,
        },
    ),
    (figures.forest, {"claims": [CLAIM]}, {"claims": CLAIMS}),
    (
        exercises.Exercises.add,
        {
            **{"self": exercises.Exercises(), "key": "one", "hint": "Count."},
            **{"check": lambda answer: answer == 1, "solution": lambda: 1},
        },
        {"key": TEXT, "check": FUNCTION, "hint": TEXT},
    ),
    (
        predictions.Predictions.ask,
        {"self": asked(), "key": "deeper", "question": "?", "options": ["a", "b"]},
        {"key": TEXT, "question": TEXT, "options": LIST | {"empty": [[]]}},
    ),
    (
        predictions.Predictions.reveal,
        {"self": asked(), "key": "wider", "truth": "higher"},
        {"key": {"unknown": ["deeper", 3]}, "explanation": LIST},
    ),
    (
        lab.lab,
        LAB,
        {
            "name": TEXT,
            "start": {"wrong type": [3, ["width"]]},
            "losses": {"wrong type": [3, "data_loss"]},
            "axes": {"wrong type": [3, "step"], "NaN": [{"step": NAN}], "huge": [{"step": INF}]},
            "annotate": FUNCTION,
            "labels": {"wrong type": [3, "width"]},
        },
    ),
    (store.store_path, {"name": "toy"}, {"name": TEXT | {"a path": ["../toy"]}}),
    (store.load, {"name": "toy"}, {"name": TEXT}),
    (
        sweeps.sweep,
        {
            "experiment": experiment,
            "grid": {"width": [2], "penalty_strength": [0.0], "kind": ["L2"]},
        },
        {"full": FLAG, "live": FLAG, "workers": {"huge": [10**6]}},
    ),
    (
        sweeps.stored_grid,
        {"experiment": experiment, "grid": GRID, "name": "toy"},
        {
            "experiment": FUNCTION,
            "grid": LIST | {"empty": [{}]},
            "name": TEXT | {"a path": ["../toy"]},
            "seed": SEED,
            "workers": {"wrong type": ["two", 1.5], "negative": [-1], "huge": [10**6]},
        },
    ),
    (sweeps.describe, {"runs": runs()}, {"runs": DATASET}),
    (sweeps.original_runs, {"runs": runs()}, {"runs": {"wrong type": [3, None, {}]}}),
    (
        store.save,
        {"name": "toy", "runs": runs(), "experiment": experiment},
        {
            "name": TEXT,
            "runs": DATASET | {"wrong type": [runs().drop_attrs()]},
            "experiment": FUNCTION,
        },
    ),  # fmt: skip
    (store.settings_of, {"stored": stored_example}, {"stored": DATASET}),
    (
        store.differences,
        {"experiment": experiment, "stored": stored_example},
        {"stored": DATASET},
    ),
]
TABLE += [
    (
        datasets.volumes,
        {"seed": 0},
        {
            "seed": SEED,
            "examples": WHOLE | {"huge": [10**9, 10**30]},
            "size": WHOLE | {"huge": [10**4]},
            "noise": {"huge": [INF, 1e38]},
        },
    ),
    (
        datasets.lines,
        {"seed": 0},
        {"seed": SEED, "pairs": WHOLE | {"huge": [10**9]}, "size": WHOLE | {"huge": [10**5]}},
    ),
    (
        datasets.nuclei,
        {"seed": 0},
        {
            "seed": SEED,
            "examples": WHOLE | {"huge": [10**9]},
            "size": WHOLE | {"huge": [10**5]},
            "contrast": SIZE | {"huge": [INF, 1e3]},
        },
    ),
    (
        datasets.digits,
        {},
        {"size": WHOLE | {"huge": [10**5]}, "classes": {"wrong type": [3, None]}},
    ),
    (
        datasets.load,
        {"name": "fashion_mnist"},
        {"train": FLAG, "root": {"wrong type": [3, ["data"]]}, "download": FLAG, "seed": SEED},
    ),
    (datasets.held_out_seed, {"seed": 0}, {"seed": SEED}),
    (
        datasets.batches,
        {"examples": tuple(PAIR.values()), "batch_size": 2, "steps": 1, "seed": 0},
        {"examples": {"wrong type": [None, [1.0]]}, "seed": SEED, "reshuffle": FLAG},
    ),
    (batches_of, PAIR, {"inputs": INPUTS, "targets": INPUTS}),
    (
        gradients.sample_gradients,
        BATCH,
        {"model": MODEL, "loss": FUNCTION, "inputs": INPUTS, "targets": INPUTS},
    ),
    (gradients.cosines, {"gradients": torch.ones(4, 3)}, {"gradients": INPUTS}),
    (gradients.noise_scale, {"gradients": torch.ones(4, 3)}, {"gradients": INPUTS}),
    (models.kernels, {"model": NET}, {"model": {"wrong type": ["net", None]}}),
    (models.count_parameters, {"model": NET}, {"model": {"wrong type": ["net", None]}}),
    (
        models.fans,
        {"weight": NET.weight},
        {"weight": {"wrong type": [[[1.0]], None], "wrong shape": [torch.ones(3)]}},
    ),
    (
        models.initial_variance,
        {"weight": NET.weight, "scheme": "fixed"},
        {
            "weight": {
                "wrong type": [None],
                "wrong shape": [torch.ones(3)],
                "empty": [torch.ones(0, 3)],
            },
            "scheme": {"unknown": ["he", 3, None]},
            "fixed_std": SIZE | {"huge": [INF, 1e200]},
        },
    ),  # fmt: skip
    (
        models.initialise,
        {"model": NET, "scheme": "fixed"},
        {
            "model": {"wrong type": ["net", None]},
            "seed": {"wrong type": ["0", 0.5], "negative": [-1], "huge": [2**32]},
            "fixed_std": SIZE,
        },
    ),
    (
        measures.weight_norm,
        {"model": NET},
        {"model": {"wrong type": ["net", None]}, "norm": {"unknown": ["l3", 2, None]}},
    ),
    (
        measures.weight_penalty,
        {"model": NET, "strength": 1.0},
        {
            "model": {"wrong type": ["net", None]},
            "strength": SIZE,
            "norm": {"unknown": ["l3"]},
        },
    ),
    (measures.by_layer, BATCH, {"model": MODEL, "inputs": INPUTS, "loss": FUNCTION}),
    (
        measures.linear_probe,
        {"features": torch.ones(4, 3), "targets": CLASSES},
        {
            "features": INPUTS,
            "targets": INPUTS
            | {
                "wrong shape": [CLASSES[:, None], CLASSES.double()],
                "negative": [-CLASSES],
                "huge": [10**12 * CLASSES],
            },
        },
    ),  # fmt: skip
    (measures.adam_statistics, {"optimizer": ADAM_OF_NET}, {"optimizer": ADAM}),
    (
        measures.preconditioned_sharpness,
        {"loss": NET(torch.ones(3)).sum(), "optimizer": ADAM_OF_NET},
        {
            "loss": {
                "wrong type": [1.0, None],
                "wrong shape": [NET(torch.ones(4, 3)), torch.tensor(1.0)],
            },
            "optimizer": ADAM,
            "iterations": WHOLE | {"empty": [0]},
        },
    ),  # fmt: skip
    (
        races.steps_to,
        {"losses": xr.DataArray(np.ones(20), dims="step"), "target": 0.1},
        {"losses": {"wrong type": [[1.0], None]}, "target": NUMBER, "window": WHOLE},
    ),
    (
        races.step_flops,
        {**PAIR, "model": NET, "loss": mean_square},
        {
            "model": MODEL,
            "inputs": INPUTS | {"empty": []},  # no examples cost nothing
            "targets": INPUTS | {"empty": []},
            "loss": FUNCTION,
        },
    ),
    (
        races.race,
        RACE,
        {
            "models": LIST,
            "loss": FUNCTION,
            "rates": LIST,
            "seeds": LIST,
            "optimizer": FUNCTION,
            "steps": WHOLE,
            "window": WHOLE | {"huge": [201]},
            "workers": {"wrong type": ["2", 1.5], "negative": [-1]},
            "limit": {"wrong type": ["2", 1.5], "negative": [-1]},
        },
    ),
    (races.judge, {"runs": runs()}, {"runs": DATASET}),
    (
        reproducibility.parse_seeds,
        {"text": "0-4"},
        {"text": {"wrong type": [3, None]}},
    ),
    (
        seeds_from,
        {"seeds": "0-4"},
        {"seeds": {"empty": [""], "huge": ["0-10000", "4294967296", "0-9999,10000-19999"]}},
    ),
    (reproducibility.check_seed, {"seed": 0}, {"seed": SEED}),
    (entered(reproducibility.isolated), {"seed": 0}, {"seed": SEED}),
    (entered(training.watch), {}, {"callback": FUNCTION}),
    (
        training.train,
        TRAIN,
        {
            "model": MODEL,
            "batches": LIST,
            "steps": {"huge": [10**12]},
            "stop_when": FUNCTION,
        },
    ),
]

ROWS = [
    pytest.param(
        function, right, argument, kind, wrong, id=f"{function.__qualname__}-{argument}-{kind}"
    )
    for function, right, arguments in TABLE
    for argument, kinds in arguments.items()
    for kind, values in kinds.items()
    for wrong in values
]


@pytest.mark.parametrize(("function", "right", "argument", "kind", "wrong"), ROWS)
def test_wrong_input_is_named_with_what_is_accepted(
    function, right, argument, kind, wrong, tmp_path, monkeypatch
):
    monkeypatch.setattr(store, "store_folder", lambda: tmp_path)  # if it is taken, it is written
    with pytest.raises(TypeError if kind == "wrong type" else ValueError) as caught:
        function(**right | {argument: wrong})
    message = str(caught.value)
    assert re.search(rf"\b{argument}\b", message), message
    assert re.search(r"\b(must|expected|needs?|may|has|asked so far)\b", message), message


# ---- nothing is missing

# Which test gives which arguments wrong input already.
ELSEWHERE = {
    "claims.Claim": ("test_claims.test_bad_claims_are_named", "values above below"),
    "claims.Trial": ("test_claims.test_bad_lists_and_trials_are_named", "verdict"),
    "figures.curves": ("test_figures.test_unknown_names_are_named", "variable over"),
    "exercises.Exercises.add": (
        "test_widgets.test_exercises_refuse_what_does_not_fit", "solution"),
    "exercises.Exercises.check": ("test_widgets.test_exercises_refuse_what_does_not_fit", "key"),
    "predictions.Predictions.choose": (
        "test_widgets.test_predictions_refuse_what_does_not_fit", "key option"),
    "predictions.Predictions.reveal": (
        "test_widgets.test_predictions_refuse_what_does_not_fit", "truth"),
    "lab.lab": ("test_lab.test_lab_refuses_what_does_not_fit", "experiment grid"),
    "fingerprint.fingerprint": ("test_store.test_what_cannot_be_compared_is_named", "experiment"),
    "sweeps.sweep": (
        "test_sweeps.test_bad_input_is_named", "experiment grid seeds name workers limit"),
    "datasets.volumes": ("test_datasets.test_volumes_refuse_bad_arguments", "noise"),
    "datasets.batches": (
        "test_datasets.test_batches_refuse_bad_arguments_at_the_call", "batch_size steps"),
    "models.initialise": ("test_models_and_measures.test_bad_input_is_named", "scheme"),
    "races.race": ("test_races.test_what_cannot_be_a_race_is_refused", "target"),
    "training.train": ("test_training.test_bad_input_is_named", "loss optimizer measure every"),
}  # fmt: skip

EXCEPTIONS = {
    "checks": "what the others check with; each row here is a test of them",
    "downloads": "behind datasets.load, which checks",
    "files": "behind store and claims, which check",
    "lab_controls": "behind lab, which checks",
    "lab_picture": "behind lab, which checks",
    "lab_runs": "behind lab, which checks",
    "main_thread": "behind lab, which checks",
    "workers": "behind sweep, which hands on `workers` alone",
    "messages": "behind exercises, predictions and lab, which check",
    "claims.list_of": "a check itself",
    "exercises.Exercise": "a record; Exercises.add checks",
    "exercises.Exercises.check.answer": "any answer is judged: test_exercises_of_notebooks",
    "exercises.Exercises.exercises": "what it holds, not for readers to give",
    "figures.curves.linestyle": "matplotlib's, which names the ones it knows",
    "figures.mark_divergence.colour": "matplotlib's, which says that it is no colour",
    "figures.new_figure.options": "matplotlib's",
    "lab.Lab": "what lab returns; a reader's input are its controls: test_labs_of_notebooks",
    "lab.Lab.say": "what the lab itself has to say",
    "predictions.Question": "a record; Predictions.ask checks",
    "predictions.Predictions": "what it holds, not for readers to give",
    "store.differences.experiment": "fingerprint says what it cannot compare",
    "store.matches": "says False of whatever is not a stored result",
    "datasets.Examples": "a record; batches checks",
    "datasets.load.name": "test_datasets.test_load_names_the_data_sets_there_are",
    "measures.by_layer.targets": "go to the loss function alone, as they are",
    "races.race.data": "test_races.test_data_must_be_a_function_of_the_seed",
}


def public() -> Iterator[str]:
    """``module.function.argument`` for all of them; of a class its own and its methods'."""
    for module in pkgutil.iter_modules(course_utils.__path__):
        members = vars(importlib.import_module(f"course_utils.{module.name}"))
        own = {
            name: member
            for name, member in members.items()
            if getattr(member, "__module__", "") == f"course_utils.{module.name}"
        }
        functions = {name: member for name, member in own.items() if callable(member)}
        for name, member in functions.copy().items():
            if inspect.isclass(member):
                methods = {f"{name}.{key}": m for key, m in vars(member).items()
                           if inspect.isfunction(m)}  # fmt: skip
                functions |= methods
                if issubclass(member, BaseException):
                    del functions[name]
        for name, function in functions.items():
            if not any(part.startswith("_") for part in name.split(".")):
                for argument in inspect.signature(function).parameters:
                    if argument != "self" and not argument.startswith("_"):
                        yield f"{module.name}.{name}.{argument}"


def covers(name: str) -> set[str]:
    """Which exceptions are about the argument `name`: one of it, its function or its module.

    One of a class is about what makes an instance, and not about the methods.
    """
    return {name, name.rpartition(".")[0], name.partition(".")[0]}


def test_no_argument_of_a_public_function_is_missing():
    in_table = {
        f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}.{argument}"
        for function, _, arguments in TABLE
        for argument in arguments
    }
    elsewhere = {f"{name}.{arg}" for name, (_, args) in ELSEWHERE.items() for arg in args.split()}
    found = set(public())
    rest = found - in_table - elsewhere
    assert not {name for name in rest if EXCEPTIONS.keys().isdisjoint(covers(name))}
    assert not elsewhere - found, "arguments that there are no more"
    unused = set(EXCEPTIONS) - {part for name in rest for part in covers(name)}
    assert not unused, "exceptions that nothing needs"


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_tests_elsewhere_are_there(name):
    module, _, test = ELSEWHERE[name][0].rpartition(".")
    source = inspect.getsource(getattr(importlib.import_module(module), test))
    assert "pytest.raises" in source and f"{name.rpartition('.')[2]}(" in source
