"""An experiment over a grid of settings and seeds, as one labelled array.

An experiment is an ordinary function ``experiment(<settings>, seed)`` that returns a Dataset, such
as the one of ``train``, or a dict of numbers. A run depends on its settings and its seed alone, so
it does not matter in which process, in which order or on how many cores it happens.
"""

import inspect
import itertools
import math
import os
import threading
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from functools import partial
from typing import Any

import joblib
import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from course_utils import files, store
from course_utils.checks import flag, instance, whole_number
from course_utils.reproducibility import check_seed, isolated, mode, seeds_from_environment
from course_utils.store import Experiment
from course_utils.workers import MOST_WORKERS, Outcome, ignore_interrupts, outcomes

Run = tuple[Any, ...]  # the value of each setting, then the seed
GRID_LIMIT = 10_000  # runs behind a lab: hours of `make data`, and as much as a file should hold
KEPT_NAMES = ("run", "seed", "stored")  # of what `sweep` adds to its settings
# `isolated` seeds generators that the threads of a process share: its runs take turns. Of one
# thread's nested runs none waits for the other.
ONE_AT_A_TIME = threading.RLock()


class SweepWarning(UserWarning):
    """A sweep that is incomplete: interrupted, or with runs that raised an error."""


def sweep(
    experiment: Experiment,
    grid: Mapping[str, Sequence[Any]],
    seeds: Iterable[int] | None = None,
    *,
    name: str | None = None,
    full: bool = False,
    live: bool = True,
    workers: int | None = None,
    limit: int = 1000,
) -> xr.Dataset:
    """Results of `experiment` for every combination of settings and every seed.

    Parameters
    ----------
    grid
        For each setting of the experiment the values to try: numbers or strings.
    seeds
        By default those of COURSE_SEEDS (0-4).
    name
        Of a stored result. If it was made by this very experiment, the first seed is trained here
        and the others are read from the store; what the store lacks is trained.
    full
        Train every run, even if the experiment differs from the stored one or is stored.
    live
        False: if this very experiment is stored, train no seed here; for the long tables that a
        reader's minute has no room for.
    workers
        Processes; by default as many as cores, or as the active joblib backend says. A Dask
        cluster (``joblib.parallel_config("dask")``, see docs/cluster.md) uses all that it has.
    limit
        More runs than this are refused.

    Returns
    -------
    Dataset with a dimension for each setting, `seed`, and those of the experiment (`step`, say).
    The coordinate `stored` (seed) says which seeds come from the store; `describe` says it in
    words. What is missing, because a run diverged, failed or was interrupted, is NaN.

    Raises
    ------
    TypeError, ValueError
        If the grid does not fit the experiment, is empty or too large. An error that every run
        raises is raised; one that only some raise becomes a `SweepWarning`.
    """
    seeds, full, live = _seeds(seeds), flag("full", full), flag("live", live)
    grid = _checked_grid(experiment, grid, seeds, whole_number("limit", limit, 1))
    if name is not None:
        path = store.store_path(name)
        if mode() == "data":
            files.check_writable(path.parent)  # now, and not after minutes of training
    original, changed = _original(experiment, name, grid)
    found: dict[Run, xr.Dataset] = {}
    if original is not None and mode() == "read" and not full:
        if changed:
            seeds = seeds[:1]  # the stored seeds belong to another experiment
        else:
            found = _lookup(original, grid, seeds[1:] if live else seeds)
    runs = [(*point, seed) for seed in seeds for point in itertools.product(*grid.values())]
    trained = _train(experiment, list(grid), [run for run in runs if run not in found], workers)
    result = _assemble({run: data for run, (data, _) in trained.items()} | found, grid, seeds)
    from_store = {run[-1] for run in found}
    result.coords["stored"] = ("seed", [seed in from_store for seed in seeds])
    result.attrs = {
        "settings": list(grid),
        "name": name or "",
        "changed": changed,
        "partly_stored": sorted(from_store & {run[-1] for run in runs if run not in found}),
        "runs": len(trained),
        "missing": len(runs) - len(trained) - len(found),
        "cpu_seconds": sum(seconds for _, seconds in trained.values()),
        "difference": _difference(result, original),
    }
    if mode() == "data" and name:
        if result.attrs["missing"]:
            raise RuntimeError(f"{name} is not stored: {result.attrs['missing']} runs are missing")
        store.save(name, result, experiment)
    return result


def stored_grid(
    experiment: Experiment,
    grid: Mapping[str, Sequence[Any]],
    name: str,
    seed: int = 0,
    workers: int | None = None,
) -> xr.Dataset:
    """The stored curves behind a lab: `experiment` over `grid` at one seed.

    Nothing is trained, except by ``make data``, which rewrites the file.

    Returns
    -------
    Dataset with a dimension for each setting and those of the experiment. ``attrs["origin"]`` is
    "stored", or "original" if the experiment is no longer the one that made the curves, or
    "missing" if none are stored of this seed and these settings, and then there is no curve.

    Raises
    ------
    TypeError, ValueError
        If the grid does not fit the experiment, or another argument is not of its type.
    """
    if workers is not None:
        workers = whole_number("workers", workers, 1, MOST_WORKERS)
    grid = _checked_grid(experiment, grid, [check_seed(seed)], limit=GRID_LIMIT)
    if mode() == "data":
        sweep(experiment, grid, [seed], name=name, workers=workers, limit=GRID_LIMIT)
    original = _stored(name)
    settings = set(store.settings_of(original)) if original is not None else None
    if settings != set(grid) or seed not in original["seed"].values:
        empty = xr.Dataset(coords={**grid, "seed": seed})
        return empty.assign_attrs(settings=list(grid), origin="missing")
    runs = original.sel(seed=seed).reindex(grid)
    origin = "stored" if store.matches(experiment, original) else "original"
    return runs.assign_attrs(original.attrs, settings=list(grid), origin=origin)


def describe(runs: xr.Dataset) -> str:
    """What a sweep trained here, what it took from the store, and whether the two agree.

    Raises
    ------
    TypeError
        If `runs` is not what `sweep` returned.
    """
    if not isinstance(runs, xr.Dataset) or "cpu_seconds" not in runs.attrs:
        raise TypeError(f"runs must be what sweep returns, got a {type(runs).__name__}")
    seeds, stored = runs["seed"].values, runs["stored"].values
    here, missing, cost = (runs.attrs[key] for key in ("runs", "missing", "cpu_seconds"))
    partly = runs.attrs["partly_stored"]
    noun = "run" if here == 1 else "runs"
    text = ["Nothing was trained here."]
    if here + missing:
        trained = _listed(seeds[~stored | np.isin(seeds, partly)])
        text = [f"{here} {noun} trained here (seed {trained}), {cost:.0f} CPU seconds."]
    if missing:
        text.append(f"Not finished: {missing} of {missing + here}; they are NaN.")
    if stored.any():
        come = "Seeds {} come" if stored.sum() > 1 else "Seed {} comes"
        but = ", but for settings that it lacks" if partly else ""
        text.append(f"{come.format(_listed(seeds[stored]))} from the store{but}.")
    difference = runs.attrs["difference"]
    if runs.attrs["changed"]:
        text.append(
            f"This is not the experiment that made the stored results (it differs in "
            f"{', '.join(runs.attrs['changed'])}), so they are not used; any stored band shows the "
            f"original."
        )
        everything = len(seeds_from_environment())
        if len(seeds) < everything:
            whole = everything * cost / max(1, min(joblib.cpu_count(), everything * here))
            text.append(f"All seeds of yours would take about {whole:.0f} s: add full=True.")
    elif difference == 0:
        text.append("What was trained here equals the stored runs, bit for bit.")
    elif not math.isnan(difference):
        text.append(
            f"What was trained here follows the stored runs to within {difference:.1g}: another "
            f"processor or version rounds differently. The claims allow for it."
        )
    return " ".join(text)


def original_runs(runs: xr.Dataset) -> xr.Dataset | None:
    """The stored runs of the original experiment, if `runs` come from an edited one, else None.

    Raises
    ------
    TypeError
        If `runs` is not a Dataset.
    """
    instance("runs", runs, xr.Dataset, "what sweep returns")
    return _stored(runs.attrs["name"]) if runs.attrs.get("changed") else None


def _listed(seeds: Sequence[int]) -> str:
    whole = len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}-{seeds[-1]}" if whole else ", ".join(str(seed) for seed in seeds)


def _seeds(seeds: Iterable[int] | None) -> list[int]:
    """The seeds asked for, those of the environment by default."""
    if seeds is None:
        return seeds_from_environment()
    if not isinstance(seeds, Iterable):
        raise TypeError(f"seeds must be a list of whole numbers, got {seeds!r}")
    seeds = [check_seed(seed) for seed in seeds]
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be distinct, at least one, got {seeds}")
    return seeds


def _setting_values(key: str, values: Any) -> list[Any]:
    """The values of one setting as a list of distinct numbers or strings."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"setting {key!r} needs a list of values, got {values!r}")
    listed = [value.item() if isinstance(value, np.generic) else value for value in values]
    if not listed:
        raise ValueError(f"setting {key!r} has no values: give at least one")
    for value in listed:
        if not isinstance(value, bool | int | float | str):
            raise TypeError(f"setting {key!r}: expected numbers or strings, got {value!r}")
    if any(value != value for value in listed):
        raise ValueError(f"setting {key!r} must not be NaN, which labels nothing: {listed}")
    if len({isinstance(value, str) for value in listed}) > 1:
        raise TypeError(f"setting {key!r} must be all numbers or all strings, got {listed}")
    if len(set(listed)) != len(listed):
        raise ValueError(f"setting {key!r} has a value twice: {listed}")
    return listed


def _checked_grid(
    experiment: Experiment, grid: Mapping[str, Sequence[Any]], seeds: list[int], limit: int
) -> dict[str, list[Any]]:
    """The grid as lists, if it fits the experiment."""
    if not callable(experiment):
        raise TypeError(f"experiment must be a function of settings and seed, got {experiment!r}")
    if not isinstance(grid, Mapping):
        raise TypeError(f"grid must be a dict of settings and their values, got {grid!r}")
    if not grid:
        raise ValueError("the grid is empty: it needs at least one setting and its values")
    if kept := grid.keys() & set(KEPT_NAMES):
        raise ValueError(f"no setting may be called {min(kept)!r}: the result uses that name")
    grid = {key: _setting_values(key, values) for key, values in grid.items()}
    try:
        inspect.signature(experiment).bind(**dict.fromkeys(grid), seed=0)
    except TypeError as error:
        accepted = ", ".join(inspect.signature(experiment).parameters)
        raise TypeError(
            f"the grid's settings ({', '.join(grid)}) and seed do not fit the experiment, "
            f"which takes ({accepted}): {error}"
        ) from None
    count = len(seeds) * math.prod(len(values) for values in grid.values())
    if count > limit:
        way_out = "it has to be smaller" if limit == GRID_LIMIT else f"pass limit={count} to go on"
        raise ValueError(f"{count} runs are more than limit={limit}; {way_out}")
    return grid


def _original(
    experiment: Experiment, name: str | None, grid: Mapping[str, list]
) -> tuple[xr.Dataset | None, list[str]]:
    """The stored result `name`, and in what its experiment or settings differ from these."""
    original = _stored(name) if name and mode() == "read" else None
    if original is None:
        return None, []
    if set(grid) != set(store.settings_of(original)):  # the others had their defaults
        return original, ["the settings of the grid"]
    try:
        return original, store.differences(experiment, original)
    except TypeError as error:
        return original, [str(error)]


def _stored(name: str) -> xr.Dataset | None:
    """The stored result `name`; None, with a warning, if its file is broken: all can be trained."""
    try:
        return store.load(name)
    except store.StoreError as error:
        message = f"{error}. Until then it counts as missing"
        warnings.warn(message, SweepWarning, stacklevel=4)
        return None


def _lookup(
    original: xr.Dataset, grid: Mapping[str, list], seeds: Sequence[int]
) -> dict[Run, xr.Dataset]:
    """Those of the runs that are in the store."""
    axes = {**grid, "seed": seeds}
    known = [[v for v in values if v in original[key].values] for key, values in axes.items()]
    return {
        run: original.sel(dict(zip(axes, run, strict=True)), drop=True)
        for run in itertools.product(*known)
    }


def _train(
    experiment: Experiment, settings: list[str], runs: list[Run], workers: int | None
) -> dict[Run, tuple[xr.Dataset, float]]:
    """Result and CPU seconds of each run; those that failed or were not reached are left out."""
    if not runs:
        return {}
    done: dict[Run, tuple[xr.Dataset, float]] = {}
    errors: dict[Run, Exception] = {}
    # From the end: grids go from small to large, and a long run started last idles the others.
    results = outcomes(partial(_one_run, experiment, settings), runs[::-1], workers)
    # tqdm's own variable, which its notebook bar ignores; set where outputs are compared.
    quiet = bool(os.environ.get("TQDM_DISABLE"))
    bar = tqdm(results, total=len(runs), unit="run", leave=False, disable=quiet)
    try:
        for run, outcome, seconds in bar:
            if isinstance(outcome, Exception):
                errors[run] = outcome
            else:
                done[run] = (outcome, seconds)
    except (KeyboardInterrupt, BrokenExecutor) as stop:
        results.close()
        if not done:
            raise
        why = str(stop) or "interrupted"  # or a worker died, of too little memory perhaps
        message = f"{len(done)} of {len(runs)} runs are finished, the others are NaN: {why}"
        warnings.warn(message, SweepWarning, stacklevel=3)
    if not done:
        raise next(iter(errors.values()))
    for run, error in errors.items():
        where = ", ".join(f"{k}={v!r}" for k, v in zip([*settings, "seed"], run, strict=True))
        message = f"the run at {where} raised {type(error).__name__}: {error}"
        warnings.warn(message, SweepWarning, stacklevel=3)
    return done


def _one_run(experiment: Experiment, settings: list[str], run: Run) -> Outcome:
    """One run by itself, in whatever process; an error is a result, not the end of the others."""
    ignore_interrupts()
    # A run has one core; and a sweep within it would wait for ever for its turn in other threads.
    with ONE_AT_A_TIME, joblib.parallel_config("sequential"):
        started = time.process_time()
        try:
            with isolated(run[-1]):
                values = experiment(**dict(zip(settings, run[:-1], strict=True)), seed=run[-1])
            if not isinstance(values, Mapping) or not values:
                raise TypeError(
                    f"the experiment must return a Dataset or a dict of numbers, got {values!r}"
                )
            outcome = values if isinstance(values, xr.Dataset) else xr.Dataset(values)
            if taken := {*settings, *KEPT_NAMES} & {*outcome.variables, *outcome.dims}:
                raise ValueError(
                    f"the experiment must not return anything called {min(taken)!r}, which is "
                    f"the name of a setting or of what sweep adds"
                )
        except Exception as error:
            outcome = error
        return run, outcome, time.process_time() - started


def _assemble(
    results: Mapping[Run, xr.Dataset], grid: Mapping[str, list], seeds: Sequence[int]
) -> xr.Dataset:
    """Single runs joined along the settings and `seed`, in the order asked for."""
    runs = list(results)
    joined = xr.concat(
        results.values(),
        dim="run",
        data_vars="all",
        coords="minimal",
        compat="override",
        join="outer",
        combine_attrs="drop",
    )
    index = pd.MultiIndex.from_tuples(runs, names=[*grid, "seed"])
    joined = joined.assign_coords(xr.Coordinates.from_pandas_multiindex(index, "run"))
    labelled = joined.unstack("run").reindex({**grid, "seed": list(seeds)})
    return labelled.transpose(*grid, "seed", ...)


def _difference(result: xr.Dataset, original: xr.Dataset | None) -> float:
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
