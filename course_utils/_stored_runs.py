"""What a sweep takes from the store, and how its own runs compare with what is there."""

import itertools
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from course_utils import _store
from course_utils._environment import mode
from course_utils._runs import Experiment, Run


class SweepWarning(UserWarning):
    """A sweep that is incomplete: interrupted, with runs that raised, or with a broken store."""


def stored(name: str) -> xr.Dataset | None:
    """The stored result `name`; None, with a warning, if its file is broken: all can be trained."""
    try:
        return _store.load(name)
    except _store.StoreError as error:
        message = f"{error}. Until then it counts as missing"
        warnings.warn(message, SweepWarning, stacklevel=4)
        return None


def original(
    experiment: Experiment, name: str | None, grid: Mapping[str, list]
) -> tuple[xr.Dataset | None, list[str]]:
    """The stored result `name`, and in what its experiment or settings differ from these."""
    found = stored(name) if name and mode() != "verify" else None
    if found is None:
        return None, []
    if set(grid) != set(_store.settings_of(found)):  # the others had their defaults
        return found, ["the settings of the grid"]
    return found, _store.differences(experiment, found)


def lookup(
    original: xr.Dataset, grid: Mapping[str, list], seeds: Sequence[int]
) -> dict[Run, xr.Dataset]:
    """Those of the runs that are in the store."""
    axes = {**grid, "seed": seeds}
    known = [[v for v in values if v in original[key].values] for key, values in axes.items()]
    return {
        run: original.sel(dict(zip(axes, run, strict=True)), drop=True)
        for run in itertools.product(*known)
    }


def difference(result: xr.Dataset, original: xr.Dataset | None) -> float:
    """Largest difference between runs trained here and the same runs in the store; NaN if none."""
    if original is None or not set(result.data_vars) <= set(original.data_vars):
        return math.nan
    here = result.sel(seed=~result["stored"]).drop_vars("stored")
    ours, theirs = xr.align(here, original[list(result.data_vars)], join="inner")
    if 0 in ours.sizes.values():
        return math.nan
    same = (ours == theirs) | (ours.isnull() & theirs.isnull())
    apart = xr.where(same, 0.0, abs(ours - theirs)).fillna(np.inf)  # NaN on one side only
    return float(max(values.max() for values in apart.data_vars.values()))


def other_torch(original: xr.Dataset | None) -> str:
    """The version of torch that made a stored result, if it is not this one; else empty."""
    made: Any = original is not None and re.search(r"torch ([\d.]+)", original.attrs["versions"])
    return made[1] if made and made[1] != torch.__version__.partition("+")[0] else ""
