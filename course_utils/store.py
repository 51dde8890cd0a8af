"""Stored results: self-describing files, each bound to the experiment that made it.

A stored result is a NetCDF file (version 3, no pickle, readable by xarray, scipy and every
language) whose attributes say what made it: the fingerprint of the experiment, the settings, the
seeds, the versions, the command and the cost.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from course_utils.fingerprint import fingerprint
from course_utils.reproducibility import provenance

Experiment = Callable[..., xr.Dataset]


class StoreError(RuntimeError):
    """A stored result that cannot be read; the message names the file and the remedy."""


def store_folder() -> Path:
    """Folder of the stored results: the checkout's, or the one that was installed along."""
    package = Path(__file__).resolve().parent
    in_checkout = (package.parent / "data" / "README.md").exists()
    return package.parent / "data" / "store" if in_checkout else package / "store_files"


def store_path(name: str) -> Path:
    """File of the stored result `name`.

    Raises
    ------
    ValueError
        If `name` is not made of lower-case letters, digits and underscores.
    """
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise ValueError(f"name must be lower-case letters, digits and underscores, got {name!r}")
    return store_folder() / f"{name}.nc"


def load(name: str) -> xr.Dataset | None:
    """The stored result `name` as it was returned, or None if there is none.

    Raises
    ------
    StoreError
        If the file is truncated or is not a stored result.
    """
    path = store_path(name)
    if not path.exists():
        return None
    try:
        stored = xr.load_dataset(path, engine="scipy")
        json.loads(stored.attrs["fingerprint"])
    except Exception as error:  # a garbled file can fail anywhere in the reader
        raise StoreError(
            f"{path.name} is not a readable stored result ({type(error).__name__}): "
            f"restore it with `git checkout` or write it anew with `make data`"
        ) from error
    # The format knows no 64-bit integers; labels compare by value, so widen them again.
    wide = {
        key: values.astype(np.int64)
        for key, values in stored.coords.items()
        if values.dtype.kind == "i"
    }
    return stored.assign_coords(wide)


def save(name: str, runs: xr.Dataset, experiment: Experiment) -> Path:
    """Write `runs` as the stored result `name` of `experiment`; a crash leaves the old file."""
    path = store_path(name)
    settings = {key: runs[key].values.tolist() for key in runs.attrs["settings"]}
    attributes = {
        "title": f"{name}: results of {experiment.__name__}",
        "fingerprint": json.dumps(fingerprint(experiment), sort_keys=True),
        "settings": json.dumps(settings),
        "seeds": json.dumps(runs["seed"].values.tolist()),
        "versions": provenance(),
        "command": "make data",
        "cpu_seconds": round(runs.attrs["cpu_seconds"], 1),
        "runs": int(runs.attrs["runs"]),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".nc.partial")
    try:
        runs.drop_attrs().drop_vars("stored", errors="ignore").assign_attrs(attributes).to_netcdf(
            temporary, engine="scipy"
        )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def settings_of(stored: xr.Dataset) -> dict[str, list]:
    """The settings of a stored result, with their values."""
    return json.loads(stored.attrs["settings"])


def differences(experiment: Experiment, stored: xr.Dataset) -> list[str]:
    """Names of what differs between `experiment` and the one that made `stored`.

    Raises
    ------
    TypeError
        If `experiment` cannot be fingerprinted.
    """
    now, then = fingerprint(experiment), json.loads(stored.attrs["fingerprint"])
    return sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))


def matches(experiment: Experiment, stored: xr.Dataset) -> bool:
    """Whether `experiment`, as it now stands, is the one that made `stored`."""
    try:
        return "fingerprint" in stored.attrs and not differences(experiment, stored)
    except TypeError:
        return False
