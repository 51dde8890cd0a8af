"""Runs the notebooks from scratch: for readers, for the store, for the commit.

    python tools/run_notebooks.py course    readable pages in build/, nothing stored is used
    python tools/run_notebooks.py data      makes the store what the notebooks need
    python tools/run_notebooks.py refresh   rewrites the notebooks' own outputs

Names of notebooks, or their beginnings ("01"), may follow. Whatever went wrong is listed at the
end, with notebook, cell and claim, and makes the exit status non-zero.
"""

import argparse
import json
import re
import sys
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path

import nbformat
from execution import (
    Problem,
    Run,
    add_folders,
    conclude,
    environment,
    execute,
    read_records,
    select,
)
from machine import MADE, processor
from nbconvert import HTMLExporter

from course_utils import _files as files

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def course(paths: Sequence[Path], build: Path) -> tuple[str, list[Problem]]:
    """Recompute everything and write each notebook as a page that needs no server."""
    claims = _empty_claims(build / "claims" / "course")
    problems, total = [], 0
    for path in paths:
        run = execute(path, environment("verify", claims=claims))
        records, fallen = read_records(claims, path)
        page = build / f"{path.stem}.html"
        problems += run.problems or fallen  # a failed claim is already named by its cell
        problems += _written(page, html(run))
        total += len(records)
        print(f"{path.stem}: {len(records)} claims, {run.seconds:.0f} s, {page}")
    return f"{_count(len(paths), 'notebook')}, {_count(total, 'claim')}", problems


def data(paths: Sequence[Path], build: Path) -> tuple[str, list[Problem]]:
    """Make the store what the notebooks need; they stay as they are.

    What is stale is tried first, and stamped anew where nothing moved; what moved, or is missing,
    is recomputed.
    """
    from stale import stale, try_again  # imports torch: not for --help

    from course_utils._store import store_folder  # imports torch: not for --help

    files.check_writable(store_folder())
    found = stale(paths)
    left, problems = try_again(found), []
    for path in paths:
        due = [use.name for use in left if use.notebook == path]
        if due:
            run = execute(path, environment("data"))
            problems += run.problems or _made_here(due)
            print(f"{path.stem}: {', '.join(due)} recomputed in {run.seconds:.0f} s")
    stamped = len(found) - len(left)
    return (
        f"{len(found)} results were stale, {stamped} stamped anew, {len(left)} recomputed",
        problems,
    )


def _made_here(names: Sequence[str]) -> list[Problem]:
    """Write down on which processor these stored results were made."""
    known = json.loads(MADE.read_text(encoding="utf-8")) if MADE.exists() else {}
    known |= dict.fromkeys(names, processor())
    return _written(MADE, json.dumps(known, indent=1, sort_keys=True) + "\n")


def refresh(paths: Sequence[Path], build: Path) -> tuple[str, list[Problem]]:
    """Run as a reader does and write each notebook that ran without an error back, cleaned."""
    files.check_writable(paths[0].parent)
    problems = []
    for path in paths:
        run = execute(path, environment("read"))
        failed = run.problems or _written(path, nbformat.writes(clean(run.notebook)) + "\n")
        for name, picture in {} if failed else pictures(run.notebook).items():
            failed += _written(path.parent / name, picture)
        problems += failed
        print(f"{path.stem}: {run.seconds:.0f} s, {'unchanged' if failed else 'written'}")
    return f"{_count(len(paths), 'notebook')} written", problems


COMMANDS = {"course": course, "data": data, "refresh": refresh}


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """What is committed of an executed notebook: nothing that differs from run to run.

    Of a widget only its text and picture stay: a saved widget shows an error on the web.
    """
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    notebook.metadata.kernelspec = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    count = 0
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        if not cell.source.strip():
            continue
        count += 1
        cell.execution_count = count
        for output in cell.outputs:
            output.pop("transient", None)
            output.get("data", {}).pop(WIDGET_VIEW, None)
            if output.output_type == "execute_result":
                output.execution_count = count
    return notebook


def pictures(notebook: nbformat.NotebookNode) -> dict[str, bytes]:
    """The figures that pages elsewhere show, by the file that the cell's metadata name."""
    return {
        cell.metadata["picture"]: b64decode(output.data["image/png"])
        for cell in notebook.cells
        if "picture" in cell.metadata
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    }


def html(run: Run) -> str:
    """The executed notebook as one page, figures inside, widgets replaced by a sentence."""
    from course_utils._environment import provenance  # imports torch: not for --help

    for cell in run.notebook.cells:
        if cell.cell_type == "markdown":  # the other pages lie beside this one
            cell.source = re.sub(r"\]\((\w+)\.ipynb", r"](\1.html", cell.source)
        for output in cell.get("outputs", []):
            if WIDGET_VIEW in output.get("data", {}):
                output.data["text/plain"] = "Interactive: open the notebook to use it."
    template = Path(__file__).with_name("page.html.j2").read_text(encoding="utf-8")
    resources = {"metadata": {"name": run.path.stem}, "provenance": provenance()}
    return HTMLExporter(raw_template=template).from_notebook_node(run.notebook, resources)[0]


def _written(path: Path, text: str | bytes) -> list[Problem]:
    """Write a result whole or not at all; why not is a problem, and not the end of the others."""
    try:
        files.write(path, text)
    except files.WriteError as error:
        return [Problem(path.stem, "", str(error))]
    return []


def _count(number: int, noun: str) -> str:
    """ "1 claim", "2 claims"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def _empty_claims(claims: Path) -> Path:
    """The folder of claim records, without those of an earlier run."""
    files.check_writable(claims)  # now, and not after the first notebook's minutes
    for record in claims.glob("*.json"):
        record.unlink()
    return claims


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the status is 0 if nothing went wrong, 1 otherwise, 2 for bad input."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK")
    add_folders(parser)
    options = parser.parse_args(arguments)
    try:
        paths = select(options.folder, options.notebooks)
    except ValueError as error:
        parser.error(str(error))
    try:
        summary, problems = COMMANDS[options.command](paths, options.build)
    except files.WriteError as error:
        summary, problems = "", [Problem(options.command, "", str(error))]
    return conclude(options.command, summary, problems)


if __name__ == "__main__":
    sys.exit(main())
