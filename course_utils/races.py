"""A fair race: which model is sooner at a target loss, on which axis - or that one cannot tell.

One run of each proves nothing: starts differ, and so does the rate that suits a model. So every
model runs from several seeds at several learning rates; its rate is chosen on one half of the seeds
and judged on the other. (Chosen and judged on the same, the luckiest would win.)
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from numbers import Real

import numpy as np
import pandas as pd
import torch
import xarray as xr
from scipy.stats import quantile_test
from torch import Tensor, nn

from course_utils import _arguments
from course_utils.measures import step_flops, steps_to
from course_utils.sweeps import sweep
from course_utils.training import Loss, train

CONFIDENCE = 0.9  # of each interval; five runs are the fewest that allow it
AXES = ("step", "example", "FLOP", "second")


def race(
    models: Mapping[str, Callable[[], nn.Module]],
    data: Callable[[int], Iterable[tuple[Tensor, Tensor]]],
    loss: Loss,
    target: float,
    rates: Iterable[float],
    seeds: Iterable[int] = range(10),
    *,
    steps: int = 200,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    window: int = 10,
    workers: int | None = None,
    limit: int = 1000,
) -> xr.Dataset:
    """Train every model at every rate from every seed until its loss is at `target`.

    Parameters
    ----------
    models
        Named functions that make a freshly initialised model.
    data
        ``data(seed)``: the batches (inputs, targets) of one run.
    loss
        As for `train`; the target is of its term data_loss if it has one, else of the sum. Other
        terms must not be negative.
    seeds
        Ten or more for two or more rates, five or more for a single one.
    steps
        After so many a run has not reached the target, and counts as infinite.
    optimizer
        ``optimizer(parameters, lr=rate)``.
    window
        Of `steps_to`.
    workers, limit
        Of `sweep`.

    Returns
    -------
    Dataset over model, rate and seed: "step", "example", "FLOP", "second", each what it took to the
    target. Seconds are this machine's, with so many `workers` at once.
    """
    models = dict(_arguments.instance("models", models, Mapping, "a dict of names and functions"))
    rates = list(_arguments.instance("rates", rates, Iterable, "a list of learning rates"))
    seeds = list(_arguments.instance("seeds", seeds, Iterable, "a list of whole numbers"))
    _check(models, data, target, rates, seeds)
    _arguments.function("loss", loss)
    _arguments.function("optimizer", optimizer)
    steps = _arguments.whole_number("steps", steps, 1)
    window = _arguments.whole_number("window", window, 1, steps)

    def run(model: str, rate: float, seed: int) -> dict[str, float]:
        net = models[model]()
        first = next(iter(data(seed)))
        flops = step_flops(net, *first, loss)

        def there(losses: np.ndarray) -> bool:
            return len(losses) >= window and losses[-window:].mean() <= target

        started = time.perf_counter()
        curves = train(
            net, data(seed), loss, optimizer(net.parameters(), lr=rate), steps, stop_when=there
        )
        seconds = (time.perf_counter() - started) / max(1, int(curves["steps_done"]))
        curve = curves.get("data_loss", curves["reported_loss"])
        needed = float(steps_to(curve, target, window))
        per_step = dict(zip(AXES, (1, len(first[0]), flops, seconds), strict=True))
        return {axis: needed * cost for axis, cost in per_step.items()}

    grid = {"model": list(models), "rate": rates}
    return sweep(run, grid, seeds, workers=workers, limit=limit)


def judge(runs: xr.Dataset) -> pd.DataFrame:
    """Who is sooner, axis by axis: the one whose interval lies below all others, or "cannot tell".

    Parameters
    ----------
    runs
        From `race`: over model, rate and seed; infinite is not reached.

    Returns
    -------
    A row for each axis. For each model the median over the judged seeds, its interval of at least
    90 % confidence, which assumes nothing of the distribution (from the binomial one: Conover 1999,
    "Practical nonparametric statistics", 3.2), how many runs were there, and at which rate; under
    "sooner" the verdict.
    """
    _arguments.instance("runs", runs, xr.Dataset, "a Dataset from race")
    if missing := {"model", "rate", "seed"} - set(runs.dims):
        raise ValueError(f"runs must have the dimensions model, rate, seed; missing: {missing}")
    rates, seeds = runs["rate"].values, runs["seed"].values
    _check_seeds(len(seeds), len(rates))
    runs = runs.fillna(math.inf)  # a run that failed was not there either
    half = len(seeds) // 2 if len(rates) > 1 else 0
    tuned, judged = runs.isel(seed=slice(half)), runs.isel(seed=slice(half, None))
    if not half:
        tuned = judged
    best = {name: _best_rate(tuned["step"].sel(model=name)) for name in runs["model"].values}
    rows = {}
    for axis in (name for name in AXES if name in runs):
        found = {name: judged[axis].sel(model=name, rate=rate) for name, rate in best.items()}
        ends = {name: _interval(values.values) for name, values in found.items()}
        row = {
            name: f"{float(values.median()):.3g} [{ends[name][0]:.3g}, {ends[name][1]:.3g}], "
            f"{int(np.isfinite(values).sum())} of {values.size} there, "
            + _at_rate(best[name], rates)
            for name, values in found.items()
        }
        rows[axis] = row | {"sooner": _sooner(ends)}
    return pd.DataFrame.from_dict(rows, orient="index")


def _best_rate(steps: xr.DataArray) -> float:
    """The rate of the smallest median; among equals that at which more runs were there."""
    medians, there = steps.median("seed").values, np.isfinite(steps).sum("seed").values
    return float(steps["rate"].values[np.lexsort((-there, medians))[0]])


def _at_rate(rate: float, rates: np.ndarray) -> str:
    """The chosen rate, and whether a better one may lie beyond those that were tried."""
    text = f"rate {rate:g}"
    if rates.size > 1 and rate in (rates.min(), rates.max()):
        text += ", the smallest tried" if rate == rates.min() else ", the largest tried"
    return text


def _interval(values: np.ndarray) -> tuple[float, float]:
    """Of the median of what `values` were drawn from: two of their order statistics."""
    found = quantile_test(values, p=0.5).confidence_interval(CONFIDENCE)
    return float(found.low), float(found.high)


def _sooner(ends: Mapping[str, tuple[float, float]]) -> str:
    for name, (_, high) in ends.items():
        if all(high < low for other, (low, _) in ends.items() if other != name):
            return name
    return "cannot tell"


def _check(models: Mapping, data: object, target: float, rates: list, seeds: list) -> None:
    if len(models) < 2:
        raise ValueError(f"models must be two or more, got {list(models)}")
    for name, make in models.items():
        if isinstance(make, nn.Module) or not callable(make):
            raise TypeError(
                f"models[{name!r}] must be a function that makes a new model, got {type(make)}"
            )
    if not callable(data):
        raise TypeError(f"data must be a function of the seed, got {type(data)}")
    if not isinstance(target, Real) or not math.isfinite(target):
        raise ValueError(f"target must be a finite number, got {target!r}")
    for rate in rates:
        if not isinstance(rate, Real) or not 0 < rate < math.inf:
            raise ValueError(f"rates must be finite and above 0, got {rate!r}")
    if not rates:
        raise ValueError("rates must be one or more learning rates, got none")
    _check_seeds(len(seeds), len(rates))


def _check_seeds(seeds: int, rates: int) -> None:
    fewest = 5 if rates == 1 else 10
    if seeds < fewest:
        raise ValueError(
            f"{seeds} seeds are too few: {fewest} are needed for "
            + ("a single rate" if rates == 1 else "several rates, half of them to choose the rate")
        )
