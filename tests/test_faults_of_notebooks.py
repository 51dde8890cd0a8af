"""What readers do to a notebook: edit its experiment, run cells in any order and all again.

Each notebook is edited; the rest is done to the shortest here, and to all of them by `make faults`.
"""

import ast
import copy
import os
import random
import re
from pathlib import Path

import nbformat
import pytest
from execution import ROOT, environment, execute
from stale import stale

pytestmark = pytest.mark.slow

EVERY = sorted((ROOT / "notebooks").glob("*.ipynb"))
NOTEBOOKS = EVERY if os.environ.get("COURSE_FAULTS") else EVERY[:1]
SETUP = 2  # the set-up cell and the imports below it

CLEAR = ("NameError: name ", "has not been asked", "has not been added")  # and which


def text(outputs: list) -> str:
    """What is printed or shown as a table; pictures are for people."""
    shown = [o.text for o in outputs if o.output_type == "stream"]
    data = [o.data for o in outputs if "data" in o and not {"image/png", "text/html"} & set(o.data)]
    return "".join([*shown, *(one["text/plain"] for one in data)])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_in_any_order_and_then_run_all_twice(path, tmp_path):
    """In any order a name is missing, and nothing else; then all is as it is committed."""
    page = nbformat.read(path, as_version=4)
    cells = [cell for cell in page.cells if cell.cell_type == "code"]
    order, rest = random.Random(1), cells[SETUP:]
    wild = [*order.sample(rest, len(rest)), *order.sample(rest, len(rest))]
    page.cells = [copy.deepcopy(cell) for cell in (*cells[:SETUP], *wild, *cells, *cells)]
    for place, cell in enumerate(page.cells):
        cell.id = f"cell-{place}"
        if SETUP <= place < SETUP + len(wild):
            cell.metadata["tags"] = ["raises-exception"]
    nbformat.write(page, tmp_path / path.name)
    run = execute(tmp_path / path.name, environment("read"))
    assert run.problems == []
    for cell in run.notebook.cells[: -2 * len(cells)]:
        for error in (o for o in cell.outputs if o.output_type == "error"):
            assert any(words in f"{error.ename}: {error.evalue}" for words in CLEAR), cell.source
    for cell, committed in zip(run.notebook.cells[-2 * len(cells) :], 2 * cells, strict=True):
        if not {"widget", "nbval-ignore-output"} & set(cell.metadata.get("tags", [])):
            assert text(cell.outputs) == text(committed.outputs), cell.source


# ---- an experiment that was edited: your own result, and the old band in grey

LENGTHS = re.compile(r"""(^\w*STEPS = |\bsteps=|"steps": )(\d{2,})\b""", re.MULTILINE)
ALSO = {
    "02": ("128, 300, 0.02", "128, 30, 0.02"),  # BATCH, STEPS, RATE
    "05": ("steps=16_000", "steps=16000"),  # as the others are written
}


def shorter(path: Path, folder: Path) -> Path:
    """A copy of a notebook whose trainings take a tenth of the steps, and nothing else."""
    page = nbformat.read(path, as_version=4)
    for cell in (cell for cell in page.cells if cell.cell_type == "code"):
        cell.source = cell.source.replace(*ALSO.get(path.stem[:2], ("", "")))
        cell.source = LENGTHS.sub(lambda m: f"{m[1]}{max(10, int(m[2]) // 10)}", cell.source)
    nbformat.write(page, folder / path.name)
    return folder / path.name


def drawn(path: Path) -> list[int]:
    """The cells that show what comes of an edited sweep with live runs, by whatever names."""
    edited = {use.name for use in stale([path])}
    live, found = set(), []
    for place, cell in enumerate(nbformat.read(path, as_version=4).cells):
        live -= {"figure", "axes", "ax"}  # a cell draws a figure and shows it
        for statement in ast.parse(cell.source).body if cell.cell_type == "code" else ():
            nodes = list(ast.walk(statement))
            names = {node.id for node in nodes if isinstance(node, ast.Name)}
            names -= {node.arg for node in nodes if isinstance(node, ast.arg)}
            texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
            sweeps = "sweep" in names and texts & edited and False not in texts  # live=False
            if names & live or sweeps:
                targets = [n for one in getattr(statement, "targets", ()) for n in ast.walk(one)]
                live |= {node.id for node in targets if isinstance(node, ast.Name)}
                live |= {getattr(statement, "name", "figure")}
            if isinstance(statement, ast.Expr) and "show" in names:
                found += [place] if "figure" in live else []
    return found


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_an_edited_experiment_gives_its_own_result_over_the_old_band(path, tmp_path):
    short = shorter(path, tmp_path)
    run = execute(short, environment("read"))
    assert [one for one in run.problems if not one.message.startswith("ClaimFailed")] == []
    cells = [run.notebook.cells[place] for place in drawn(short)]
    grey = "in grey: the stored runs of the original"
    assert cells and not [one.source for one in cells if grey not in str(one.outputs)]
