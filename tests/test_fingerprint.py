"""What a stored result is bound to: whatever decides its numbers, and nothing else."""

import functools
import importlib
import itertools
import shutil
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

import course_utils
from course_utils._fingerprint import bare, fingerprint

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
        return x * by

    def helper(x):
        # the middle man
        if x is None:
            raise ValueError(f"no {x}")
        return scaled(x) + FACTORS["slow"] + Settings().depth

    unused = 1

    def experiment(width, seed):
        block = Block(width)
        unused = 3  # a local with the name of a global

        def again():
            return unused + 1

        x = torch.full((width,), 2.0) * math.pi
        return {"value": float(helper(block(x)).detach().sum()) + width + 0 * again()}

    def packaged(width, seed):
        model = Block(width)
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
        loss = lambda model, x, y: {"data": model(x).sum(), "penalty": weight_penalty(model, 1.0)}
        return train(model, [volumes(seed)[:2]], loss, optimizer, 3)
"""
MOVES = {  # an edit of the notebook that decides numbers
    "a helper of a helper": ("return x * by", "return x * by * 1.5"),
    "a constant": ("RATE = 0.1", "RATE = 0.2"),
    "a nested constant": ("[2, 3]", "[2, 4]"),
    "a class": ("torch.relu(self.layer(x))", "torch.tanh(self.layer(x))"),
    "the fields of a class": ("depth: int = 2", "depth: int = 3"),
    "a guard": ("if x is None", "if x is True"),
    "the experiment": ("+ width +", "- width +"),
}
MOVES_NOTHING = {
    "a comment": ("# the middle man", "# the man in the middle"),
    "a blank line": ("unused = 1", "\n\n    unused = 1"),
    "a docstring": ("def helper(x):", 'def helper(x):\n        "What it does."'),
    "an unused name": ("unused = 1", "unused = 2"),
    "a line wrapped anew": (
        "return x * by",
        "return (\n            x\n            * by\n        )",
    ),
    "the message of an error": ('f"no {x}"', '"nothing", x'),
    "an annotation": ("def helper(x):", "def helper(x: torch.Tensor) -> float:"),
}
PACKAGE_MOVES = {  # module, what it was, what it becomes
    "the isolation of a run": ("_runs", "torch.set_num_threads(1)", "torch.set_num_threads(2)"),
    "the seeding of a run": ("_runs", "torch.manual_seed(seed)", "torch.manual_seed(seed + 1)"),
    "a line of the data set": ("datasets", "< 0.8  #", "< 0.9  #"),
    "a helper of the data set": ("datasets", "size * (0.28 + 0.12", "size * (0.28 + 0.13"),
    "a constant of the loop": ("training", "CHECK_EVERY = 25", "CHECK_EVERY = 26"),
    "the loop": ("training", "total.backward()", "(2 * total).backward()"),
    "a helper of a measure": ("models", "if p.ndim >= 2", "if p.ndim >= 1"),
}
PACKAGE_MOVES_NOTHING = {
    "a helper of files": ("_files", "def check_writable", "def check_folder"),
    "a message": ("training", "batches ended before the last step", "there are too few batches"),
    "words for a message": ("training", "pairs (inputs, targets), more", "two things, more"),
    "what a check calls its argument": ("training", '"a torch.nn.Module"', '"a model"'),
    "the note of an error": ("training", "from loss at step", "in loss, step"),
    "a docstring": ("training", '"""Train `model`', '"""Trains `model`'),
    "another data set": ("datasets", "size / 5), uniform", "size / 6), uniform"),
    "a measure that is not used": ("measures", "keepdim=True", "keepdim=False"),
    "a figure": ("figures", "DPI = 100", "DPI = 90"),
    "the loop wrapped anew": (
        "training", "total.backward()", "(\n                total.backward()\n            )",
    ),
}  # fmt: skip


@pytest.fixture
def defined(tmp_path, monkeypatch):
    """A function that defines the experiments from edited source, as running a cell again would."""
    monkeypatch.syspath_prepend(tmp_path)
    numbers = itertools.count()

    def define(old: str = "", new: str = ""):
        assert old in EXPERIMENT
        name = f"cells_{next(numbers)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(EXPERIMENT.replace(old, new)))
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield define
    for name in [name for name in sys.modules if name.startswith("cells_")]:
        del sys.modules[name]


@pytest.fixture
def of_packaged(defined, tmp_path, monkeypatch):
    """A function: the fingerprint of an experiment under a package that was edited."""
    home = Path(course_utils.__file__).parent

    def compute(module: str, old: str, new: str):
        before = {name: sys.modules[name] for name in sys.modules if name.startswith(home.name)}
        copy = tmp_path / f"tree{len(list(tmp_path.glob('tree*')))}"
        shutil.copytree(home, copy / home.name, ignore=shutil.ignore_patterns("__pycache__"))
        file = copy / home.name / f"{module}.py"
        text = file.read_text()
        assert text.count(old) >= 1, old
        file.write_text(text.replace(old, new))
        for name in before:
            del sys.modules[name]
        monkeypatch.syspath_prepend(copy)
        try:
            found = importlib.import_module("course_utils._fingerprint")
            assert Path(found.__file__).is_relative_to(copy)
            return found.fingerprint(defined().packaged)
        finally:
            for name in [name for name in sys.modules if name.startswith(home.name)]:
                del sys.modules[name]
            sys.modules.update(before)

    return compute


@pytest.mark.parametrize("edit", [*MOVES, *MOVES_NOTHING])
def test_an_edit_of_the_notebook_counts_if_it_moves_a_number(defined, edit):
    changed = (MOVES | MOVES_NOTHING)[edit]
    same = fingerprint(defined().experiment) == fingerprint(defined(*changed).experiment)
    assert same == (edit in MOVES_NOTHING)


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
    assert digest(torch.nn.Linear(1, 1, bias=False).double().half) is not None


class Factory:
    """Makes helpers that close over a value, and has methods that use one of its own."""

    def __init__(self, value):
        self.value = value

    def method(self, x):
        return x * self.value

    def closure(self):
        factor = self.value

        def helper(x):
            return x * factor

        return helper


def test_methods_closures_and_shadowed_builtins_count():
    def using(first, second=None):
        def experiment(seed):
            return first(seed), second

        return fingerprint(experiment)

    assert using(Factory(1).method) == using(Factory(1).method) != using(Factory(2).method)
    assert using(Factory(1).closure()) != using(Factory(2).closure())
    both = [using(Factory(1).closure(), Factory(value).closure()) for value in (1, 2)]
    assert both[0] != both[1], "two closures over one name"
    assert using(max) != using(min)

    def defaulting(value):
        def helper(x, *, by=value):
            return x * by

        return helper

    assert using(defaulting(1)) != using(defaulting(2)), "a default that is given by name alone"


def test_what_refers_to_itself_comes_to_an_end():
    def countdown(n):
        return n and countdown(n - 1)

    knot = Factory(1)
    knot.value = knot

    def experiment(seed):
        return countdown(3), knot

    assert fingerprint(experiment) == fingerprint(experiment)


def test_what_cannot_be_compared_is_named():
    generator = torch.Generator()

    def experiment(seed):
        return torch.rand(1, generator=generator)

    with pytest.raises(TypeError, match="generator' is a Generator, which cannot be compared"):
        fingerprint(experiment)


def test_a_digest_does_not_depend_on_the_version_of_python():
    """The form of ``ast.dump`` does; this one is written down here."""
    spelled = bare("def f(x: int) -> int:\n    'why'\n    raise ValueError(f'{x}')")
    assert spelled == (
        "Module(body=[FunctionDef(name='f', args=arguments(args=[arg(arg='x')]), "
        "body=[Raise(exc=Name(id='ValueError'))])])"
    )
