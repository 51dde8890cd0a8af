"""What each notebook costs a reader: seconds, memory, its sweeps and a live run of its lab.

    python tools/bench_notebooks.py [NOTEBOOK ...] [--folder FOLDER] [--build FOLDER]

Each is run from a cold kernel, as Run All does, in a copy with a first cell that notes what
happens and a last one that presses Run live. Prints tables in Markdown and writes
build/notebooks.json. The lab's answer to a key is measured by tests/test_browser.py.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from bench_measuring import Cost, keep, measured
from execution import add_folders, environment, execute, select
from nbformat.v4 import new_code_cell

from course_utils import _files as files
from course_utils._environment import provenance

# Puts notes between the notebook and what it imports; the notebook's own cells stay as they are.
NOTES = """
import functools as _functools, json as _json, time as _time
from pathlib import Path as _Path
import course_utils.figures, course_utils.sweeps, course_utils.widgets
_noted = {"figures": [], "sweeps": [], "labs": []}

def _noting(module, name, note):
    original = getattr(module, name)
    @_functools.wraps(original)
    def wrapped(*arguments, **options):
        started = _time.perf_counter()
        result = original(*arguments, **options)
        note(result, options, _time.perf_counter() - started)
        return result
    setattr(module, name, wrapped)

def _note_sweep(runs, options, seconds):
    cost = {key: float(runs.attrs[key]) for key in ("runs", "cpu_seconds")}
    _noted["sweeps"].append({"name": options.get("name"), "seconds": seconds, **cost})

_noting(course_utils.figures, "show", lambda *_: _noted["figures"].append(_time.time()))
_noting(course_utils.sweeps, "sweep", _note_sweep)
_noting(course_utils.widgets, "lab", lambda lab, *_: _noted["labs"].append(lab))
"""
LAST = """
_ended, _live = _time.time(), []
for _lab in _noted.pop("labs"):
    _started = _time.perf_counter()
    _lab.run.click()
    _live.append(_time.perf_counter() - _started)
    assert _lab.last_error is None and _lab.live is not None
_Path({file!r}).write_text(_json.dumps({{**_noted, "ended": _ended, "live": _live}}))
"""


def costs(path: Path) -> dict:
    """What running the notebook at `path` from a cold kernel takes.

    Raises
    ------
    RuntimeError
        If it does not run through.
    """
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes.json"
        copy = Path(folder) / path.name
        page = nbformat.read(path, as_version=4)
        page.cells.insert(0, new_code_cell(NOTES))
        page.cells.append(new_code_cell(LAST.format(file=str(notes))))
        nbformat.write(page, copy)
        started = time.time()
        with measured() as cost:
            run = execute(copy, environment("read"))
        if run.problems:
            raise RuntimeError(f"{path.stem} did not run: {run.problems[0]}")
        noted = json.loads(notes.read_text())
    return _summary(noted, started, cost)


def _summary(noted: dict, started: float, cost: Cost) -> dict:
    first = min(noted["figures"], default=None)
    return {
        "seconds": noted["ended"] - started,
        "first_figure": None if first is None else first - started,
        "peak_mb": cost.peak_mb,
        "live": noted["live"][0] if noted["live"] else None,
        "cpu_seconds": cost.cpu_seconds,
        "others": cost.others,
        "sweeps": noted["sweeps"],
    }


def tables(found: dict[str, dict]) -> str:
    """A row for each cost, then every sweep that trained something."""

    def seconds(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f} s" if value < 10 else f"{value:.0f} s"

    rows = {
        "": [stem[:2] for stem in found],
        "Run All, as a reader": [seconds(f["seconds"]) for f in found.values()],
        "first figure": [seconds(f["first_figure"]) for f in found.values()],
        "peak memory, kernel and workers": [f"{f['peak_mb'] / 1e3:.1f} GB" for f in found.values()],
        "lab: a live run at the starting settings": [seconds(f["live"]) for f in found.values()],
    }
    lines = [f"| {head} | {' | '.join(cells)} |" for head, cells in rows.items()]
    lines.insert(1, "|---" * (len(found) + 1) + "|")
    lines += ["", "| sweep | runs here | seconds | CPU seconds |", "|---|---|---|---|"]
    for one in [one for f in found.values() for one in f["sweeps"] if one["runs"]]:
        name, runs = one["name"] or "(not stored)", int(one["runs"])
        lines.append(f"| {name} | {runs} | {one['seconds']:.1f} | {one['cpu_seconds']:.1f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK")
    add_folders(parser)
    options = parser.parse_args(arguments)
    try:
        paths = select(options.folder, options.notebooks)
        files.check_writable(options.build)
    except (ValueError, files.WriteError) as error:
        parser.error(str(error))
    found = {path.stem: costs(path) for path in paths}
    kept = {"provenance": provenance(), "cores": os.cpu_count(), "notebooks": found}
    others = max(one["others"] for one in found.values())
    print(f"{tables(found)}\n\nUp to {others:.0%} of the cores did something else meanwhile.")
    return keep(options.build / "notebooks.json", kept)


if __name__ == "__main__":
    sys.exit(main())
