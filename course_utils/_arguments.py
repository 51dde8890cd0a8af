"""What arguments of many functions have to be: errors name argument, value and what is accepted."""

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import Any

import torch


def whole_number(name: str, value: Any, least: int, most: float = math.inf) -> int:
    """`value` as an int between `least` and `most`; numpy's integers are whole, 2.0 is not."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {value!r:.80}") from None
    if not least <= number <= most:
        accepted = f"{least} or larger" if most == math.inf else f"between {least} and {most}"
        raise ValueError(f"{name} must be {accepted}, got {number}")
    return number


def seed(value: Any) -> int:
    """`value` as an int from 0 to 2**32 - 1, the seeds that numpy accepts."""
    return whole_number("seed", value, 0, 2**32 - 1)


def number(name: str, value: Any, least: float = -math.inf) -> float:
    """`value`, if it is a finite number, `least` or larger."""
    instance(name, value, Real, "a number")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    if value < least:
        raise ValueError(f"{name} must be {least:g} or larger, got {value}")
    return value


def positive(name: str, value: Any) -> float:
    """`value`, if it is a finite number above 0."""
    if number(name, value) <= 0:
        raise ValueError(f"{name} must be above 0, got {value}")
    return value


def instance(name: str, value: Any, kind: Any, accepted: str) -> Any:
    """`value`, if it is of the type `kind`; `accepted` says in words what that is."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {accepted}, got {value!r:.80}")
    return value


def text(name: str, value: Any) -> str:
    """`value`, if it is text, and not empty."""
    if not instance(name, value, str, "text").strip():
        raise ValueError(f"{name} must be text that is not empty, got {value!r}")
    return value


def function(name: str, value: Any, accepted: str = "a function") -> Any:
    """`value`, if it can be called."""
    return instance(name, value, Callable, accepted)


def list_of(name: str, value: Any, accepted: str, kind: Any = object) -> list:
    """`value` as a list of nothing but `kind`; a text is no list of its letters."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a list of {accepted}, got {value!r:.80}")
    listed = list(value)
    for part in listed:
        instance(f"each of {name}", part, kind, f"one of the {accepted}")
    return listed


def one_of(name: str, value: Any, options: Sequence[Any]) -> Any:
    """`value`, if it is among the `options`."""
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(str, options))}; got {value!r:.80}")
    return value


def examples(first: str, inputs: Any, second: str, targets: Any) -> None:
    """Raise an error unless two tensors, by these names, hold equally many examples."""
    for name, value in ((first, inputs), (second, targets)):
        instance(name, value, torch.Tensor, "a tensor")
    counts = len(inputs), len(targets)
    if not counts[0] == counts[1] > 0:
        raise ValueError(f"{first} and {second} must be equally many, 1 or more; got {counts}")
