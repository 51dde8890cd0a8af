"""Trains some runs of an experiment and prints a digest of each: python tools/runs_of.py < JOB

With the package and the notebook of whatever tree is on the path; `stale.py` asks two trees the
same. JOB is JSON: notebook, experiment, seed, and the settings of each run.
"""

import hashlib
import json
import sys
from pathlib import Path

import xarray as xr
from definitions import load

from course_utils.sweeps import sweep


def digest(runs: xr.Dataset) -> str:
    """Of every bit of every variable, by name."""
    text = hashlib.sha256()
    for name in sorted(runs.variables):
        values = runs[name].values
        text.update(f"{name} {values.dtype} {values.shape}".encode() + values.tobytes())
    return text.hexdigest()


def main() -> None:
    job = json.load(sys.stdin)
    experiment = getattr(load(Path(job["notebook"])), job["experiment"])
    for settings in job["runs"]:
        grid = {key: [value] for key, value in settings.items()}
        runs = sweep(experiment, grid, [job["seed"]], workers=1)
        print(digest(runs.drop_vars(["stored", "seed", *settings])), flush=True)


if __name__ == "__main__":
    main()
