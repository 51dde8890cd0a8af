"""What arguments of many functions have to be: errors name argument, value and what is accepted."""

import math
import operator
from numbers import Real
from typing import Any

import torch


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """`value` as an int between `least` and `most`.

    Raises
    ------
    TypeError
        If it is not a whole number (2.0 is not, numpy's integers are).
    ValueError
        If it is outside the bounds.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {value!r}") from None
    if number < least or (most is not None and number > most):
        accepted = f"{least} or larger" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be {accepted}, got {number}")
    return number


def number(name: str, value: object, least: float = -math.inf, most: float = math.inf) -> float:
    """`value`, if it is a finite number between `least` and `most`.

    Raises
    ------
    TypeError, ValueError
        If it is not a number, or not such a one.
    """
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not math.isfinite(value) or not least <= value <= most:
        bound = "" if least == -math.inf else f"{least:g} or larger and "
        accepted = f"{bound}finite" if most == math.inf else f"between {least:g} and {most:g}"
        raise ValueError(f"{name} must be {accepted}, got {value}")
    return value


def instance(name: str, value: Any, kind: Any, accepted: str) -> Any:
    """`value`, if it is of the type `kind`; `accepted` says in words what that is.

    Raises
    ------
    TypeError
        If it is not.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {accepted}, got {value!r:.80}")
    return value


def flag(name: str, value: object) -> bool:
    """`value`, if it is True or False: the text "no" would count as true.

    Raises
    ------
    TypeError
        If it is neither.
    """
    return instance(name, value, bool, "True or False")


def function(name: str, value: Any, accepted: str = "a function") -> Any:
    """`value`, if it can be called.

    Raises
    ------
    TypeError
        If it cannot.
    """
    if not callable(value):
        raise TypeError(f"{name} must be {accepted}, got {value!r:.80}")
    return value


def tensor(name: str, value: Any, axes: int = 1, numbers: bool = True) -> torch.Tensor:
    """`value`, if it is a tensor of `axes` or more axes that holds `numbers`.

    Raises
    ------
    TypeError, ValueError
        If it is not, or has fewer; if it is on the device "meta", where tensors hold nothing.
    """
    instance(name, value, torch.Tensor, "a tensor")
    if value.ndim < axes:
        shape = tuple(value.shape)
        raise ValueError(f"{name} must be a tensor with {axes} or more axes, got shape {shape}")
    if numbers and value.is_meta:
        raise ValueError(f"{name} must be on a device that holds numbers, got {value.device}")
    return value


def examples(first: str, inputs: Any, second: str, targets: Any) -> None:
    """Raise an error unless two tensors hold the same number of examples, on one device.

    Raises
    ------
    TypeError, ValueError
        Naming `first` and `second`, what the two are called.
    """
    tensor(first, inputs)
    tensor(second, targets)
    if not len(inputs) == len(targets) > 0:
        raise ValueError(
            f"{first} and {second} must be equally many, 1 or more; "
            f"got {len(inputs)}, {len(targets)}"
        )
    if inputs.device != targets.device:
        raise ValueError(
            f"{first} and {second} must be on one device, got {inputs.device}, {targets.device}"
        )
