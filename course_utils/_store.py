"""Stored results: self-describing files, each bound to the experiment that made it.

A stored result is a NetCDF file (version 3, no pickle, readable by xarray, scipy and every
language) whose attributes say what made it: the fingerprint of the experiment, the settings, the
seeds, the versions, the command and the cost. A checksum among them covers every byte: the
format itself would not notice a changed digit.
"""

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from course_utils import _arguments, _files
from course_utils._environment import provenance
from course_utils._fingerprint import fingerprint
from course_utils._runs import Experiment

CHECKSUM = re.compile(rb"sha256:.{64}", re.DOTALL)  # whatever has become of its digits
BLANK = b"sha256:" + b"0" * 64  # in its place while it is computed


class StoreError(RuntimeError):
    """A stored result that cannot be read; the message names the file and the remedy."""


def store_folder() -> Path:
    """Folder of the stored results: the checkout's, or the one that was installed along."""
    package = Path(__file__).resolve().parent
    in_checkout = (package.parent / "data" / "README.md").exists()
    return package.parent / "data" / "store" if in_checkout else package / "store_files"


def store_path(name: str) -> Path:
    """File of the stored result `name`: lower-case letters, digits and underscores."""
    if not re.fullmatch(r"[a-z0-9_]+", _arguments.text("name", name)):
        raise ValueError(f"name must be lower-case letters, digits and underscores, got {name!r}")
    return store_folder() / f"{name}.nc"


def load(name: str) -> xr.Dataset | None:
    """The stored result `name` as it was returned, or None if there is none.

    Raises
    ------
    StoreError
        If the file is truncated, changed, or not a stored result.
    """
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
    wide = {
        key: values.astype(np.int64)
        for key, values in stored.coords.items()
        if values.dtype.kind == "i"
    }
    return stored.assign_coords(wide)


def save(name: str, runs: xr.Dataset, experiment: Experiment) -> Path:
    """Write `runs`, as `sweep` returns them, as the stored result `name` of `experiment`.

    Raises
    ------
    WriteError
        If the file cannot be written; the message names it, and the old file is as it was.
    """
    settings = {key: runs[key].values.tolist() for key in runs.attrs["settings"]}
    attributes = {
        "title": f"{name}: results of {experiment.__name__}",
        "settings": json.dumps(settings),
        "seeds": json.dumps(runs["seed"].values.tolist()),
        "versions": provenance(),
        "command": "make data",
        "cpu_seconds": round(runs.attrs["cpu_seconds"], 1),
        "runs": int(runs.attrs["runs"]),
    }
    bare = runs.drop_attrs().drop_vars("stored", errors="ignore")
    return _write(name, bare.assign_attrs(attributes), experiment)


def stamp_anew(name: str, experiment: Experiment, checked_by: str) -> Path:
    """Bind the stored result `name` to `experiment`, whose runs were found to be the same.

    `checked_by` says how, and stays in the file.
    """
    return _write(name, load(name).assign_attrs(checked_by=checked_by), experiment)


def _write(name: str, runs: xr.Dataset, experiment: Experiment) -> Path:
    """Write a stored result with the fingerprint of `experiment` and a checksum."""
    stamp = {
        "fingerprint": json.dumps(fingerprint(experiment), sort_keys=True),
        "checksum": BLANK.decode(),
    }
    path = store_path(name)
    _files.write(path, _stamped(bytes(runs.assign_attrs(stamp).to_netcdf(engine="scipy"))))
    return path


def _stamped(content: bytes) -> bytes:
    """The file `content` with its own checksum in the place of BLANK."""
    digest = hashlib.sha256(content).hexdigest()
    return content.replace(BLANK, b"sha256:" + digest.encode(), 1)


def _check(content: bytes) -> None:
    """Raise ValueError if a file is not as it was written; one without a checksum passes."""
    found = CHECKSUM.search(content)
    if found and _stamped(content.replace(found[0], BLANK, 1)) != content:
        raise ValueError("the checksum does not fit")


def settings_of(stored: xr.Dataset) -> dict[str, list[Any]]:
    """The settings of a stored result, with their values."""
    return json.loads(stored.attrs["settings"])


def differences(experiment: Experiment, stored: xr.Dataset) -> list[str]:
    """Names of what differs between `experiment` and the one that made `stored`.

    One that cannot be fingerprinted differs in the reason why.
    """
    try:
        now = fingerprint(experiment)
    except TypeError as error:
        return [str(error)]
    then = json.loads(stored.attrs["fingerprint"])
    return sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))


def matches(experiment: Experiment, stored: xr.Dataset) -> bool:
    """Whether `experiment`, as it now stands, is the one that made `stored`."""
    return "fingerprint" in stored.attrs and not differences(experiment, stored)
