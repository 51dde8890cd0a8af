"""One run of every stored result, trained again: equal to its stored twin, or in its place.

Which one is drawn from the commit's hash, so that nobody chooses. On a processor of the kind that
made the stored result the two are equal, bit for bit; on another one digits move, and the claims
have to hold with the new run in the place of the stored one.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import xarray as xr
from counts import ROOT
from definitions import Use, experiment, uses
from execution import Problem, environment, execute, read_records
from machine import MADE, kind, processor

from course_utils import _files as files
from course_utils import _store as store
from course_utils._environment import provenance
from course_utils.sweeps import sweep


class Sample(NamedTuple):
    """A stored run, by name and labels, and the same run as it came out here."""

    use: Use
    labels: dict[str, Any]
    run: xr.Dataset


def drawn(text: str, values: Sequence[Any]) -> Any:
    """One of the values, decided by `text`."""
    return values[int(hashlib.sha256(text.encode()).hexdigest(), 16) % len(values)]


def train(use: Use, labels: dict[str, Any]) -> Sample:
    """Train one stored run again, through the course's own `sweep`."""
    grid = {key: [value] for key, value in labels.items() if key != "seed"}
    runs = sweep(experiment(use), grid, [labels["seed"]], workers=1)
    return Sample(use, labels, runs.sel(labels, drop=True).drop_vars("stored", errors="ignore"))


def samples(notebooks: Sequence[Path], commit: str, workers: int) -> list[Sample]:
    """A run of every stored result of these notebooks, those of the labs included."""
    jobs = []
    for use in (use for notebook in notebooks for use in uses(notebook)):
        stored = store.load(use.name)
        axes = [*store.settings_of(stored), "seed"]
        labels = {
            key: drawn(f"{commit} {use.name} {key}", stored[key].values.tolist()) for key in axes
        }
        jobs.append(joblib.delayed(train)(use, labels))
    return joblib.Parallel(workers)(jobs)


def made_on(name: str) -> str:
    """The kind of processor on which a stored result was made; "" if nobody wrote it down."""
    known = json.loads(MADE.read_text(encoding="utf-8")) if MADE.exists() else {}
    return kind(known.get(name, ""), store.load(name).attrs["versions"])


def equal(sample: Sample) -> bool:
    """Whether a run has every bit of its stored twin."""
    stored = store.load(sample.use.name)
    for name, theirs in stored.isel(place_of(stored, sample), drop=True).data_vars.items():
        ours = sample.run[name].reindex_like(theirs)
        same = np.asarray(ours.values).astype(theirs.dtype)
        if not np.array_equal(same, theirs.values, equal_nan=theirs.dtype.kind == "f"):
            return False
    return True


def judge(found: Sequence[Sample]) -> tuple[list[Problem], list[Sample]]:
    """What differs though its twin is of this kind of processor; and what has no such twin."""
    here = kind(processor(), provenance())
    problems, others = [], []
    for sample in found:
        if made_on(sample.use.name) != here:
            others.append(sample)
        elif not equal(sample):
            message = f"{sample.use.name} at {sample.labels} is not what is stored"
            problems.append(Problem(sample.use.notebook.stem, "", message))
    return problems, others


def in_its_place(found: Sequence[Sample]) -> Iterator[Problem]:
    """What goes wrong when notebooks are run with these runs in the place of the stored ones.

    In a copy of the package whose store has them; the grids of labs carry no claim.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / "course_utils", copy / "course_utils")
        shutil.copytree(ROOT / "data" / "store", copy / "data" / "store")
        shutil.copy(ROOT / "data" / "README.md", copy / "data")  # by this it is a checkout
        replaced: dict[str, xr.Dataset] = {}
        judged = [sample for sample in found if sample.use.function == "sweep"]
        for sample in judged:
            replace(replaced.setdefault(sample.use.name, store.load(sample.use.name)), sample)
        for name, runs in replaced.items():
            content = bytes(runs.to_netcdf(engine="scipy"))  # without a checksum, which is optional
            files.write(copy / "data" / "store" / f"{name}.nc", content)
        for notebook in sorted({sample.use.notebook for sample in judged}):
            claims = copy / "claims"
            variables = environment("read", claims=claims) | {"PYTHONPATH": str(copy)}
            run = execute(notebook, variables)
            fallen = read_records(claims, notebook)[1]
            yield from run.problems or fallen  # a failed claim is already named by its cell


def replace(stored: xr.Dataset, sample: Sample) -> None:
    """Put a run into the place of its twin among the stored ones."""
    place = place_of(stored, sample)
    for name in stored.data_vars:
        twin = stored[name].isel(place, drop=True)
        stored[name][place] = sample.run[name].reindex_like(twin).transpose(*twin.dims).values


def place_of(stored: xr.Dataset, sample: Sample) -> dict[str, int]:
    """Where a run stands among the stored ones; by position, since True selects otherwise."""
    return {key: stored[key].values.tolist().index(value) for key, value in sample.labels.items()}
