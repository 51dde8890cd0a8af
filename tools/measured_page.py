"""Writes docs/measured.md from what the benchmarks measured, so that no number is typed by hand.

    python tools/measured_page.py [--keep]

`--keep` first takes over what `make bench` left in build/: the files of data/proof/measured/ are
what the page is written from, and a test compares.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import bench
import bench_notebooks
from execution import ROOT

from course_utils import _files as files

MEASURED = ROOT / "data" / "proof" / "measured"
PAGE = ROOT / "docs" / "measured.md"
NAMES = ("notebooks", "bench")
TOP = """# What it costs

`make bench`, on an idle machine, measures this and writes the page.
"""
BESIDE = """
## Beside what you would use instead

The depth sweep of notebook 02 and the width sweep of 01: the same networks, batches and steps.
What is timed stands in `tools/bench_contestants.py`.
"""


def page(folder: Path = MEASURED) -> str:
    """The page, in Markdown, from the files in `folder`."""
    found = {name: json.loads((folder / f"{name}.json").read_text()) for name in NAMES}
    notebooks, against = found["notebooks"], found["bench"]
    parts = [
        TOP,
        f"## A notebook, from a cold kernel\n\n{_where(notebooks)}\n",
        bench_notebooks.tables(notebooks["notebooks"]),
        BESIDE,
        f"{_where(against)} Medians of {against['repetitions']} repetitions.",
    ]
    parts += [f"\n### {name}\n\n{bench.table(rows)}" for name, rows in against["results"].items()]
    return "\n".join(parts) + "\n"


def _where(measured: dict) -> str:
    return f"Measured on {measured['cores']} cores with {measured['provenance']}."


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page; the status is 1 if a file is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--keep", action="store_true", help="take over build/*.json first")
    options = parser.parse_args(arguments)
    for name in NAMES if options.keep else ():
        made = ROOT / "build" / f"{name}.json"
        if made.exists():
            files.write(MEASURED / f"{name}.json", made.read_bytes())
    try:
        files.write(PAGE, page())
    except FileNotFoundError as error:
        print(f"measured_page: {error.filename} is missing: run `make bench`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
