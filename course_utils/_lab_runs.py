"""The runs that a lab compares: stored, live, and the one before."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

LAST = 10  # steps: the end of a curve is their mean, because a single step is noisy


class Run(NamedTuple):
    """Curves (dimension `step`) at some settings, and what they are called."""

    settings: dict[str, Any]
    data: xr.Dataset
    label: str

    @property
    def diverged_at(self) -> int:
        """The step at which the run diverged, or -1."""
        value = float(self.data.get("diverged_at", -1))
        return int(value) if np.isfinite(value) else -1

    def exists(self, loss: str) -> bool:
        """Whether there is anything to draw for `loss`."""
        return loss in self.data and (
            self.diverged_at >= 0 or bool(self.data[loss].notnull().any())
        )

    def ends(self, loss: str) -> str:
        """In words, how the curve of `loss` begins and ends."""
        values = self.data[loss].values
        finite = values[np.isfinite(values)]
        first = f"{finite[0]:.3g} at first, " if finite.size else ""
        if self.diverged_at >= 0:
            return f"{first}diverged at step {self.diverged_at}"
        return f"{first}{finite[-LAST:].mean():.3g} in the last {LAST} steps"

    def gap(self, other: "Run", losses: Sequence[str]) -> float:
        """The largest difference from `other`: 0 if equal, infinite where only one has a value."""
        gaps = [0.0]
        for loss in losses:
            mine, theirs = self.data[loss].values, other.data[loss].values
            if mine.shape != theirs.shape or (np.isnan(mine) != np.isnan(theirs)).any():
                return np.inf
            gaps.append(np.nanmax(np.abs(mine - theirs), initial=0))
        return float(max(gaps))


def check_run(data: Any, losses: Sequence[str]) -> xr.Dataset:
    """`data` as an experiment returned it, if a lab can draw it."""
    if not isinstance(data, xr.Dataset) or "step" not in data.dims:
        kind = type(data).__name__
        raise TypeError(f"the experiment must return a Dataset over step, got a {kind}")
    for loss in losses:
        if loss not in data:
            has = ", ".join(map(str, data))
            raise ValueError(f"the experiment must return {loss!r}; it returned {has}")
    return data
