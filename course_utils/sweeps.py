"""An experiment over a grid of settings and seeds, as one labelled array.

An experiment is an ordinary function ``experiment(<settings>, seed)`` that returns a Dataset, such
as that of ``train``, or a dict of numbers. A run depends on its settings and its seed alone: in
which process, in which order and on how many cores it happens does not matter.
"""

import functools
import inspect
import itertools
import math
import os
import threading
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
import xarray as xr
from tqdm.auto import tqdm

from course_utils import _arguments, _files, _store
from course_utils._environment import mode, seeds_from_environment
from course_utils._runs import Experiment, Run, result_of
from course_utils._store import SweepWarning
from course_utils._workers import Outcome, ignore_interrupts, outcomes

KEPT_NAMES = ("run", "seed", "stored")  # of what `sweep` adds to its settings
# `isolated` seeds generators that the threads of a process share: its runs take turns. A sweep
# inside a run is in the same thread, and has the turn already.
APART = 1.0  # difference, of losses or shares, from which two runs do not follow each other
ONE_AT_A_TIME = threading.RLock()
_torches_named: set[str] = set()  # versions of torch that the reader has been told of


def sweep(
    experiment: Experiment,
    grid: Mapping[str, Sequence[Any]],
    seeds: Iterable[int] | None = None,
    *,
    name: str | None = None,
    full: bool = False,
    live: bool = True,
    claimed: bool = True,
    workers: int | None = None,
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
        False: if this very experiment is stored, train no seed here; for long tables, which would
        keep a reader waiting.
    claimed
        False: no claim hangs on these runs. Where claims are judged on other seeds, which takes
        hours, the stored ones are shown.
    workers
        Processes; by default as many as cores, or as the active joblib backend says. A Dask
        cluster (``joblib.parallel_config("dask")``, see docs/cluster.md) uses all that it has.

    Returns
    -------
    Dataset with a dimension for each setting, `seed`, and those of the experiment (`step`, say).
    The coordinate `stored` (seed) says which seeds come from the store; `describe` says it in
    words. What is missing, because a run diverged, failed or was interrupted, is NaN.

    What every run raises is raised; what only some raise becomes a `SweepWarning`.
    """
    seeds, grid = _seeds(seeds), _checked_grid(experiment, grid)
    making = mode() == "data" and name is not None
    if making:
        _files.check_writable(_store.store_path(name).parent)  # now, not after minutes of training
    original, changed = _store.original(experiment, name, grid, claimed)
    if original is not None and not changed and mode() == "claims":
        seeds, live = original["seed"].values.tolist(), False
    found: dict[Run, xr.Dataset] = {}
    if original is not None and not full:
        if not changed:
            found = _store.lookup(original, grid, seeds[1:] if live and not making else seeds)
        elif not making:
            seeds = seeds[:1]  # the stored seeds belong to another experiment
    runs = [(*point, seed) for seed in seeds for point in itertools.product(*grid.values())]
    if making and len(found) < len(runs):
        found = {}  # a stored result is made in one piece
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
        "original": original if changed else None,
    }
    if original is not None:
        here = result.sel(seed=~result["stored"]).drop_vars("stored")
        result.attrs["torch"] = _store.other_torch(original)
        result.attrs["difference"] = _store.difference(here, original)
    if making and trained:
        if result.attrs["missing"]:
            raise RuntimeError(f"{name} is not stored: {result.attrs['missing']} runs are missing")
        _store.save(name, result, experiment)
    return result


def stored_grid(
    experiment: Experiment,
    grid: Mapping[str, Sequence[Any]],
    name: str,
    seed: int = 0,
    workers: int | None = None,
) -> xr.Dataset:
    """The stored curves behind a lab: `experiment` over `grid` at one seed.

    Nothing is trained, except by ``make data``, which writes the file.

    Returns
    -------
    Dataset with a dimension for each setting and those of the experiment. ``attrs["origin"]`` is
    "stored", or "original" if the experiment is no longer the one that made the curves, or
    "missing" if there are none of this seed and these settings.
    """
    grid = _checked_grid(experiment, grid)
    if mode() == "data":
        sweep(experiment, grid, [seed], name=name, workers=workers)
    original = _store.load_or_warn(name)
    settings = set(_store.settings_of(original)) if original is not None else None
    if settings != set(grid) or seed not in original["seed"].values:
        empty = xr.Dataset(coords={**grid, "seed": seed})
        return empty.assign_attrs(settings=list(grid), origin="missing")
    runs = original.sel(seed=seed).reindex(grid)
    origin = "stored" if _store.matches(experiment, original) else "original"
    return runs.assign_attrs(original.attrs, settings=list(grid), origin=origin)


def stored(name: str) -> xr.Dataset | None:
    """The stored result `name` as it was made, whatever the experiment is now; None if missing."""
    return _store.load_or_warn(name)


def join(parts: Sequence[xr.Dataset], dim: str) -> xr.Dataset:
    """Sweeps over different values of the setting `dim` as one, on the seeds that all of them have.

    If one of them was edited, their originals are joined, too. What a part lacks is NaN.
    """
    originals = [part.attrs.get("original") for part in parts]
    edited = any(original is not None for original in originals)
    pairs = zip(parts, originals, strict=True)
    before = [part if one is None else one.reindex({dim: part[dim]}) for part, one in pairs]
    joined, original = (_joined(found, dim) for found in (parts, before))
    return joined.assign_attrs(original=original) if edited else joined


def _joined(parts: Sequence[xr.Dataset], dim: str) -> xr.Dataset:
    shared = functools.reduce(np.intersect1d, (part["seed"].values for part in parts))
    seeds = [seed for seed in parts[0]["seed"].values if seed in shared]  # the live one stays first
    options = {"join": "outer", "data_vars": "all", "coords": "minimal", "compat": "override"}
    same = [part.sel(seed=seeds) for part in parts]
    return xr.concat(same, dim, combine_attrs="drop", **options)


def describe(*sweeps: xr.Dataset) -> str:
    """What sweeps trained here and took from the store, a line each, and whether the two agree."""
    for runs in sweeps:
        if not isinstance(runs, xr.Dataset) or "cpu_seconds" not in runs.attrs:
            raise TypeError(f"runs must be what sweep returns, got a {type(runs).__name__}")
    lines = [" ".join([*_counted(runs), *_edited(runs)]) for runs in sweeps]
    if len(sweeps) == 1:
        return " ".join([*lines, *_agreement(sweeps)])
    names = [runs.attrs["name"] for runs in sweeps]
    lines = [f"{name}: {line}" for name, line in zip(names, lines, strict=True)]
    return "\n".join([*lines, *_agreement(sweeps)])


def _counted(runs: xr.Dataset) -> list[str]:
    """Sentences on how many runs were trained here, are missing, and come from the store."""
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
    return text


def _edited(runs: xr.Dataset) -> list[str]:
    """Sentences on an experiment that is not the stored one."""
    if not runs.attrs["changed"]:
        return []
    text = [
        f"This is not the experiment that made the stored results (it differs in "
        f"{', '.join(runs.attrs['changed'])}), so they are not used; any grey band shows the "
        f"original."
    ]
    here, everything = runs.attrs["runs"], len(seeds_from_environment())
    if len(runs["seed"]) < everything:
        cores = max(1, min(joblib.cpu_count(), everything * here))
        whole = everything * runs.attrs["cpu_seconds"] / cores
        text.append(f"All seeds of yours would take about {whole:.0f} s: add full=True.")
    return text


def _agreement(sweeps: Sequence[xr.Dataset]) -> list[str]:
    """Sentences on how what was trained here agrees with the same runs in the store."""
    same = [runs.attrs for runs in sweeps if not runs.attrs["changed"]]
    differences = [attrs.get("difference", math.nan) for attrs in same]
    difference = max((one for one in differences if not math.isnan(one)), default=math.nan)
    text = []
    if difference == 0:
        text.append("What was trained here equals the stored runs, bit for bit.")
    elif not math.isnan(difference):
        follows = f"follows the stored runs to within {difference:.1g}"
        parts = "parts with some stored runs, as unstable ones magnify the last digit"
        text.append(
            f"What was trained here {follows if difference < APART else parts}: another processor "
            f"or version rounds differently. The claims allow for it."
        )
    for then in {runs.attrs.get("torch", "") for runs in sweeps} - {"", *_torches_named}:
        _torches_named.add(then)
        text.append(f"(They were made with torch {then}; this is {torch.__version__}.)")
    return text


def _listed(seeds: Sequence[int]) -> str:
    whole = len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}-{seeds[-1]}" if whole else ", ".join(str(seed) for seed in seeds)


def _seeds(seeds: Iterable[int] | None) -> list[int]:
    """The seeds asked for, those of the environment by default."""
    if seeds is None:
        return seeds_from_environment()
    seeds = [_arguments.seed(seed) for seed in seeds]
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be distinct, at least one, got {seeds}")
    return seeds


def _checked_grid(
    experiment: Experiment, grid: Mapping[str, Sequence[Any]]
) -> dict[str, list[Any]]:
    """The grid as lists, if it fits the experiment."""
    if not grid:
        raise ValueError("the grid is empty: it needs at least one setting and its values")
    if kept := grid.keys() & set(KEPT_NAMES):
        raise ValueError(f"no setting may be called {min(kept)!r}: the result uses that name")
    signature = inspect.signature(experiment)
    try:
        signature.bind(**dict.fromkeys(grid), seed=0)
    except TypeError as error:
        raise TypeError(
            f"the grid's settings ({', '.join(grid)}) and seed do not fit the experiment, "
            f"which takes ({', '.join(signature.parameters)}): {error}"
        ) from None
    return {key: _setting_values(key, values) for key, values in grid.items()}


def _setting_values(key: str, values: Any) -> list[Any]:
    """The values of one setting as a list of distinct numbers or strings."""
    listed = _arguments.list_of(f"setting {key!r}", values, "values")
    listed = [value.item() if isinstance(value, np.generic) else value for value in listed]
    kinds = (str, bool | int | float)
    if not any(all(isinstance(value, kind) for value in listed) for kind in kinds):
        raise TypeError(f"setting {key!r} must be all numbers or all strings, got {listed}")
    if not listed or len(set(listed)) != len(listed) or any(value != value for value in listed):
        raise ValueError(f"setting {key!r} must have different values, one or more: got {listed}")
    return listed


def _train(
    experiment: Experiment, settings: list[str], runs: list[Run], workers: int | None
) -> dict[Run, tuple[xr.Dataset, float]]:
    """Result and CPU seconds of each run; those that failed or were not reached are left out."""
    if not runs:
        return {}
    done: dict[Run, tuple[xr.Dataset, float]] = {}
    errors: dict[Run, Exception] = {}
    # From the end: grids go from small to large, and a long run started last idles the others.
    results = outcomes(functools.partial(_one_run, experiment, settings), runs[::-1], workers)
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
    # One core for a run; a sweep within it would wait for ever for its turn in other threads.
    with ONE_AT_A_TIME, joblib.parallel_config("sequential"):
        started = time.process_time()
        try:
            outcome = result_of(experiment, settings, run)
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
