"""A fair race: which model is sooner at a target loss, on which axis - or that one cannot tell.

One run of each proves nothing: starts differ, and so does the rate that suits a model. So every
model runs from several seeds at several learning rates; its rate is chosen on one half of the seeds
and judged on the other. (Chosen and judged on the same, the luckiest would win.)
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping

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
        A run that needs more has not reached the target, and counts as infinite.
    optimizer
        ``optimizer(parameters, lr=rate)``.
    window, workers
        Of `steps_to` and of `sweep`.

    Returns
    -------
    Dataset over model, rate and seed: "step", "example", "FLOP", "second", each what it took to the
    target. Seconds are this machine's, with that many `workers` at once.
    """
    if len(models) < 2:
        raise ValueError(f"models must be two or more, got {list(models)}")
    for name, make in models.items():
        if isinstance(make, nn.Module):
            kind = type(make).__name__
            raise TypeError(f"models[{name!r}] must be a function that makes a model, got a {kind}")
    _arguments.number("target", target)
    _arguments.whole_number("window", window, 1, _arguments.whole_number("steps", steps, 1))
    rates = [_arguments.positive("each of rates", rate) for rate in rates]
    seeds = list(seeds)
    _check_seeds(len(seeds), len(rates))

    def run(model: str, rate: float, seed: int) -> dict[str, float]:
        net = models[model]()
        first = next(iter(data(seed)))
        flops = step_flops(net, *first, loss)

        def there(losses: np.ndarray) -> bool:
            return len(losses) >= window and losses[-window:].mean() <= target

        descent = optimizer([part for part in net.parameters() if part.requires_grad], lr=rate)
        started = time.perf_counter()
        curves = train(net, data(seed), loss, descent, steps, stop_when=there)
        seconds = (time.perf_counter() - started) / max(1, int(curves["steps_done"]))
        curve = curves.get("data_loss", curves["reported_loss"])
        needed = float(steps_to(curve, target, window))
        per_step = dict(zip(AXES, (1, len(first[0]), flops, seconds), strict=True))
        return {axis: needed * cost for axis, cost in per_step.items()}

    grid = {"model": list(models), "rate": rates}
    return sweep(run, grid, seeds, workers=workers)


def judge(runs: xr.Dataset) -> pd.DataFrame:
    """Who is sooner, axis by axis: the one whose interval lies below all others, or "cannot tell".

    `runs` come from `race`; infinite means that the target was not reached.

    Returns
    -------
    A row for each axis. For each model the median over the judged seeds, its interval of at least
    90 % confidence, which assumes nothing of the distribution (from the binomial one: Conover 1999,
    "Practical nonparametric statistics", 3.2), how many runs were there, and at which rate. A model
    that never arrived where rates are chosen has none of these. Under "sooner" the verdict.
    """
    if missing := {"model", "rate", "seed", "step"} - {*runs.dims, *runs}:
        raise ValueError(f"runs must have model, rate, seed and step; missing: {missing}")
    rates, seeds = runs.sizes["rate"], runs.sizes["seed"]
    _check_seeds(seeds, rates)
    runs = runs.fillna(math.inf)  # a run that failed was not there either
    half = seeds // 2 if rates > 1 else 0
    tuned = runs["step"].isel(seed=slice(half or None))
    best = {name: _best_rate(tuned.sel(model=name)) for name in runs["model"].values}
    rows = {axis: _row(runs[axis], best, half) for axis in AXES if axis in runs}
    return pd.DataFrame.from_dict(rows, orient="index")


def _best_rate(steps: xr.DataArray) -> float | None:
    """The rate of the smallest median; None if no run was there at any rate.

    Among equals the one at which more runs arrived, then one that is not at an end.
    """
    medians, there = steps.median("seed").values, np.isfinite(steps).sum("seed").values
    rates = steps["rate"].values
    at_an_end = np.isin(rates, [rates.min(), rates.max()])
    return float(rates[np.lexsort((at_an_end, -there, medians))[0]]) if there.any() else None


def _row(values: xr.DataArray, best: Mapping[str, float | None], half: int) -> dict[str, str]:
    """What is said of each model on one axis, from the seeds after the first `half`."""
    row, ends = {}, {}
    for name, rate in best.items():
        tried = values.sel(model=name)
        if rate is None:
            row[name] = f"did not arrive: {int(np.isfinite(tried).sum())} of {tried.size} there"
            ends[name] = float(tried.min()), math.inf
            continue
        judged = tried.sel(rate=rate).values[half:]
        low, high = ends[name] = _interval(judged)
        there = f"{np.isfinite(judged).sum()} of {judged.size} there"
        middle = f"{np.median(judged):.3g} [{low:.3g}, {high:.3g}]"
        row[name] = f"{middle}, {there}, {_at_rate(rate, values['rate'].values)}"
    return row | {"sooner": _sooner(ends)}


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


def _check_seeds(seeds: int, rates: int) -> None:
    fewest, why = (5, "a rate") if rates < 2 else (10, "several rates, half of them to choose it")
    if seeds < fewest:
        raise ValueError(f"{seeds} seeds are too few: {fewest} are needed for {why}")
