"""What a stored result is bound to: whatever decides its numbers, and nothing else."""

import functools
import importlib
import itertools
import shutil
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import course_utils
from course_utils._fingerprint import fingerprint

HOME = Path(course_utils.__file__).parent
NUMBERS = itertools.count()
EXPERIMENT = """
    import math
    from dataclasses import dataclass

    import torch
    from torch import nn

    from course_utils.datasets import volumes
    from course_utils.measures import weight_penalty
    from course_utils.training import train

    RATE = 0.1
    FACTORS = {"slow": 1, "fast": [2, 3]}

    @dataclass
    class Settings:
        depth: int = 2

    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.layer = nn.Linear(width, width)

        def forward(self, x):
            return torch.relu(self.layer(x))

    def scaled(x, by=RATE):
        return scaled(x / 2, 2 * by) if by > 100 else x * by

    def helper(x):
        # the middle man
        if x is None:
            raise ValueError(f"no {x}")
        return scaled(x) + FACTORS["slow"] + Settings().depth

    unused = 1

    def experiment(width, seed):
        unused = 3  # a local with the name of a global

        def again():
            return unused + 1

        model = Block(width + again())
        optimizer = torch.optim.SGD(model.parameters(), lr=math.pi)
        loss = lambda model, x, y: {"data": helper(model(x)), "penalty": weight_penalty(model, 1)}
        return train(model, [volumes(seed)[:2]], loss, optimizer, 3)
"""
MOVES = {  # an edit of the notebook that decides numbers
    "a helper of a helper": ("else x * by", "else x * by * 1.5"),
    "a default": ("RATE = 0.1", "RATE = 0.2"),
    "a nested constant": ("[2, 3]", "[2, 4]"),
    "a class": ("torch.relu(self.layer(x))", "torch.tanh(self.layer(x))"),
    "the fields of a class": ("depth: int = 2", "depth: int = 3"),
    "a guard": ("if x is None", "if x is True"),
    "the experiment": ("width + again()", "width - again()"),
}
MOVES_NOTHING = {
    "a comment": ("# the middle man", "# the man in the middle"),
    "a docstring": ("def helper(x):", 'def helper(x):\n        "What it does."'),
    "an unused name": ("unused = 1", "unused = 2"),
    "a line wrapped anew": ("else x * by", "else (\n            x * by\n        )"),
    "the message of an error": ('f"no {x}"', '"nothing", x'),
    "an annotation": ("def helper(x):", "def helper(x: torch.Tensor) -> float:"),
}
PACKAGE_MOVES = {  # module, what it was, what it becomes
    "the seeding of a run": ("_runs", "torch.manual_seed(seed)", "torch.manual_seed(seed + 1)"),
    "a helper of the data set": ("datasets", "size * (0.28 + 0.12", "size * (0.28 + 0.13"),
    "a constant of the loop": ("training", "CHECK_EVERY = 25", "CHECK_EVERY = 26"),
    "the loop": ("training", "total.backward()", "(2 * total).backward()"),
    "a helper of a measure": ("models", "if p.ndim >= 2", "if p.ndim >= 1"),
}
PACKAGE_MOVES_NOTHING = {
    "a helper of files": ("_files", "def check_writable", "def check_folder"),
    "words for a message": ("training", "pairs (inputs, targets), more", "two things, more"),
    "what a check calls its argument": ("training", '"a torch.nn.Module"', '"a model"'),
    "a docstring": ("training", '"""Train `model`', '"""Trains `model`'),
    "another data set": ("datasets", "size / 5), uniform", "size / 6), uniform"),
    "a measure that is not used": ("measures", "keepdim=True", "keepdim=False"),
}


@pytest.fixture
def defined(tmp_path, monkeypatch):
    """A function that defines the experiments from edited source, as running a cell again would."""
    monkeypatch.syspath_prepend(tmp_path)

    def define(old: str = "", new: str = ""):
        assert old in EXPERIMENT
        name = f"cells_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(EXPERIMENT.replace(old, new)))
        importlib.invalidate_caches()
        return importlib.import_module(name)

    return define


@pytest.fixture
def of_packaged(defined, tmp_path, monkeypatch):
    """A function: the fingerprint of an experiment under a package that was edited."""
    defined()  # so that all modules in question are imported
    ours = [name for name in sys.modules if name.startswith(HOME.name)]

    def compute(module: str, old: str, new: str):
        tree = tmp_path / f"tree_{next(NUMBERS)}"
        shutil.copytree(HOME, tree / HOME.name, ignore=shutil.ignore_patterns("__pycache__"))
        file = tree / HOME.name / f"{module}.py"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
        with monkeypatch.context() as patch:
            for name in ours:
                patch.delitem(sys.modules, name)
            patch.syspath_prepend(tree)
            edited = importlib.import_module("course_utils._fingerprint")
            return edited.fingerprint(defined().experiment)

    return compute


def test_an_edit_of_the_notebook_counts_if_it_moves_a_number(defined):
    now = fingerprint(defined().experiment)
    for edit, changed in (MOVES | MOVES_NOTHING).items():
        same = fingerprint(defined(*changed).experiment) == now
        assert same == (edit in MOVES_NOTHING), edit


def test_so_does_an_edit_of_the_package(of_packaged):
    now = of_packaged("training", "", "")
    for edit, changed in (PACKAGE_MOVES | PACKAGE_MOVES_NOTHING).items():
        same = of_packaged(*changed) == now
        assert same == (edit in PACKAGE_MOVES_NOTHING), edit


def test_constants_by_value():
    def digest(value):
        return fingerprint(functools.partial(print, value))

    assert digest(np.arange(3)) == digest(np.arange(3)) != digest(np.arange(3.0))
    assert digest(torch.ones(2)) != digest(torch.zeros(2))
    assert digest({"a": (1, 2)}) != digest({"a": [1, 2]})


@dataclass
class Factor:
    value: float

    def method(self, x):
        return x * self.value


def closing_over(value):
    return lambda x: x * value


def defaulting(value):
    return lambda x, *, by=value: x * by


def test_methods_closures_and_shadowed_builtins_count():
    def using(first, second=None):
        def experiment(seed):
            return first(seed), second

        return fingerprint(experiment)

    assert using(Factor(1).method) == using(Factor(1).method) != using(Factor(2).method)
    assert using(closing_over(1)) != using(closing_over(2))
    assert using(closing_over(1), closing_over(1)) != using(closing_over(1), closing_over(2))
    assert using(defaulting(1)) != using(defaulting(2)), "a default that is given by name alone"
    assert using(max) != using(min)
