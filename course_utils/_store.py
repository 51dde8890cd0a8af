"""Stored results: self-describing files, each bound to the experiment that made it.

A stored result is a NetCDF file (version 3, no pickle, readable by xarray, scipy and every
language) whose attributes say what made it: the fingerprint of the experiment, the settings, the
seeds, the versions, the command and the cost. A checksum among them covers every byte: the
format itself would not notice a changed digit.
"""

import hashlib
import io
import itertools
import json
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from course_utils import _files
from course_utils._environment import mode, provenance
from course_utils._fingerprint import fingerprint
from course_utils._runs import Experiment, Run

CHECKSUM = re.compile(rb"sha256:.{64}", re.DOTALL)  # whatever has become of its digits
BLANK = b"sha256:" + b"0" * 64  # in its place while it is computed


class StoreError(RuntimeError):
    """A stored result that cannot be read; the message names the file and the remedy."""


class SweepWarning(UserWarning):
    """A sweep that is incomplete: interrupted, with runs that raised, or with a broken store."""


def store_folder() -> Path:
    """Folder of the stored results: the checkout's, or the one that was installed along."""
    package = Path(__file__).resolve().parent
    in_checkout = (package.parent / "data" / "README.md").exists()
    return package.parent / "data" / "store" if in_checkout else package / "store_files"


def store_path(name: str) -> Path:
    """File of the stored result `name`: lower-case letters, digits and underscores."""
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise ValueError(f"name must be lower-case letters, digits and underscores, got {name!r}")
    return store_folder() / f"{name}.nc"


def load(name: str) -> xr.Dataset | None:
    """The stored result `name` as it was returned, or None if there is none."""
    path = store_path(name)
    if not path.exists():
        return None
    try:
        content = path.read_bytes()
        _check(content)
        stored = xr.load_dataset(io.BytesIO(content), engine="scipy")
        json.loads(stored.attrs["fingerprint"])
        stored.attrs.pop("checksum", None)  # is of the file, and of no other one
    except Exception as error:  # a garbled file can fail anywhere in the reader
        raise StoreError(
            f"{path.name} is not a readable stored result ({type(error).__name__}): restore it "
            f"with `git checkout data/store/{path.name}` or write it anew with `make data`"
        ) from error
    # The format knows no 64-bit integers; labels compare by value, so widen them again.
    whole = [key for key, values in stored.coords.items() if values.dtype.kind == "i"]
    return stored.assign_coords({key: stored[key].astype(np.int64) for key in whole})


def save(name: str, runs: xr.Dataset, experiment: Experiment) -> Path:
    """Write `runs`, as `sweep` returns them, as the stored result `name` of `experiment`."""
    attributes = {
        "title": f"{name}: results of {experiment.__name__}",
        "settings": json.dumps({key: runs[key].values.tolist() for key in runs.attrs["settings"]}),
        "seeds": json.dumps(runs["seed"].values.tolist()),
        "versions": provenance(),
        "command": "make data",
        "cpu_seconds": round(runs.attrs["cpu_seconds"], 1),
        "runs": int(runs.attrs["runs"]),
    }
    bare = runs.drop_attrs().drop_vars("stored", errors="ignore")
    return _write(name, bare.assign_attrs(attributes), experiment)


def stamp_anew(name: str, experiment: Experiment, checked_by: str) -> Path:
    """Bind the stored result `name` to `experiment`, whose runs are the same; by whose word?"""
    return _write(name, load(name).assign_attrs(checked_by=checked_by), experiment)


def _write(name: str, runs: xr.Dataset, experiment: Experiment) -> Path:
    """Write a stored result with the fingerprint of `experiment` and a checksum."""
    now = json.dumps(fingerprint(experiment), sort_keys=True)
    stamped = runs.assign_attrs(fingerprint=now, checksum=BLANK.decode())
    path = store_path(name)
    _files.write(path, _with_checksum(bytes(stamped.to_netcdf(engine="scipy"))))
    return path


def _with_checksum(content: bytes) -> bytes:
    """The file `content` with its own checksum in the place of BLANK."""
    digest = hashlib.sha256(content).hexdigest()
    return content.replace(BLANK, b"sha256:" + digest.encode(), 1)


def _check(content: bytes) -> None:
    """Raise ValueError if a file is not as it was written; one without a checksum passes."""
    found = CHECKSUM.search(content)
    if found and _with_checksum(content.replace(found[0], BLANK, 1)) != content:
        raise ValueError("the checksum does not fit")


def settings_of(stored: xr.Dataset) -> dict[str, list[Any]]:
    """The settings of a stored result, with their values."""
    return json.loads(stored.attrs["settings"])


def differences(experiment: Experiment, stored: xr.Dataset) -> list[str]:
    """What differs between `experiment` and the one that made `stored`, by name, or why it does."""
    try:
        now = fingerprint(experiment)
    except TypeError as error:
        return [str(error)]
    then = json.loads(stored.attrs["fingerprint"])
    return sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))


def matches(experiment: Experiment, stored: xr.Dataset) -> bool:
    """Whether `experiment`, as it now stands, is the one that made `stored`."""
    return "fingerprint" in stored.attrs and not differences(experiment, stored)


# ---- what a sweep takes from the store, and how its own runs compare with what is there ----


def load_or_warn(name: str) -> xr.Dataset | None:
    """The stored result `name`; None, with a warning, if its file is broken: all can be trained."""
    try:
        return load(name)
    except StoreError as error:
        message = f"{error}. Until then it counts as missing"
        warnings.warn(message, SweepWarning, stacklevel=4)
        return None


def original(
    experiment: Experiment, name: str | None, grid: Mapping[str, list], claimed: bool = True
) -> tuple[xr.Dataset | None, list[str]]:
    """The stored result `name`, and in what its experiment or settings differ from these."""
    unused = mode() == "verify" or (mode() == "claims" and claimed)
    found = load_or_warn(name) if name and not unused else None
    if found is None:
        return None, []
    if set(grid) != set(settings_of(found)):  # the others had their defaults
        return found, ["the settings of the grid"]
    return found, differences(experiment, found)


def lookup(
    stored: xr.Dataset, grid: Mapping[str, list], seeds: Sequence[int]
) -> dict[Run, xr.Dataset]:
    """Those of the runs that are in the store."""
    axes = {**grid, "seed": seeds}
    known = [[v for v in values if v in stored[key].values] for key, values in axes.items()]
    return {
        run: stored.sel(dict(zip(axes, run, strict=True)), drop=True)
        for run in itertools.product(*known)
    }


def difference(ours: xr.Dataset, theirs: xr.Dataset) -> float:
    """Largest difference at the labels that both have: infinite where only one of them is NaN.

    NaN if they have no label or not the same variables in common.
    """
    if not set(ours) <= set(theirs):
        return math.nan
    ours, theirs = xr.align(ours, theirs[list(ours)], join="inner")
    if 0 in ours.sizes.values():
        return math.nan
    same = (ours == theirs) | (ours.isnull() & theirs.isnull())
    apart = xr.where(same, 0.0, abs(ours - theirs)).fillna(np.inf)  # NaN on one side only
    return float(max(values.max() for values in apart.data_vars.values()))


def other_torch(stored: xr.Dataset) -> str:
    """The version of torch that made a stored result, if it is not this one; else empty."""
    made = re.search(r"torch ([\d.]+)", stored.attrs["versions"])
    return made[1] if made and made[1] != torch.__version__.partition("+")[0] else ""
