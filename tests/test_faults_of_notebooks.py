"""What readers do to a notebook: edit its experiment, run cells in any order and all again.

Each notebook is edited; the rest is done to the shortest here, and to all of them by `make faults`.
"""

import ast
import os
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from execution import CELL_TIMEOUT, ROOT, environment, execute
from jupyter_client.manager import start_new_kernel
from stale import stale

pytestmark = pytest.mark.slow

EVERY = sorted((ROOT / "notebooks").glob("*.ipynb"))
NOTEBOOKS = EVERY if os.environ.get("COURSE_FAULTS") else EVERY[:1]
SETUP = 2  # the set-up cell and the imports below it

CLEAR = ("NameError: name ", "has not been asked", "has not been added")  # and which


class Reader:
    """A kernel, and the code cells of one notebook."""

    def __init__(self, notebook: Path):
        cells = nbformat.read(notebook, as_version=4).cells
        self.cells = [cell for cell in cells if cell.cell_type == "code"]
        options = {"env": environment("read"), "stderr": subprocess.DEVNULL}
        self.manager, self.client = start_new_kernel(cwd=str(notebook.parent), **options)

    def run(self, source: str) -> list:
        """The outputs of `source`."""
        outputs = []

        def keep(message):
            if message["msg_type"] in ("stream", "error", "display_data", "execute_result"):
                outputs.append(nbformat.v4.output_from_msg(message))

        self.client.execute_interactive(
            source, store_history=False, timeout=CELL_TIMEOUT, output_hook=keep
        )
        return outputs

    def run_all(self) -> list[str]:
        """The cells, run in order, that fail or whose text is not what is committed."""
        wrong = []
        for cell in self.cells:
            outputs = self.run(cell.source)
            free = {"widget", "nbval-ignore-output"} & set(cell.metadata.get("tags", []))
            if errors(outputs) or not free and text(outputs) != text(cell.outputs):
                wrong.append(f"{cell.source}\n{errors(outputs)}\n{text(outputs)}")
        return wrong


def errors(outputs: list) -> list[str]:
    return [f"{o.ename}: {o.evalue}" for o in outputs if o.output_type == "error"]


def text(outputs: list) -> str:
    """What is printed or shown as a table; pictures are for people."""
    shown = [o.text for o in outputs if o.output_type == "stream"]
    data = [o.data for o in outputs if "data" in o and not {"image/png", "text/html"} & set(o.data)]
    return "".join([*shown, *(one["text/plain"] for one in data)])


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem, scope="module")
def reader(request) -> Iterator[Reader]:
    opened = Reader(request.param)
    yield opened
    opened.client.stop_channels()
    opened.manager.shutdown_kernel(now=True)


def test_cells_in_any_order_miss_a_name_and_nothing_else(reader):
    for cell in reader.cells[:SETUP]:
        assert not errors(reader.run(cell.source))
    cells = reader.cells[SETUP:]
    for _ in range(2):  # the second time, most names are there
        for cell in random.Random(1).sample(cells, len(cells)):
            for error in errors(reader.run(cell.source)):
                assert any(words in error for words in CLEAR), f"{error}\n{cell.source}"


def test_run_all_twice_after_that_shows_what_is_committed(reader):
    assert reader.run_all() == []
    assert reader.run_all() == []


# ---- an experiment that was edited: your own result, and the old band in grey

LENGTHS = re.compile(r"(^\w*STEPS = |\bsteps=)(\d{2,})\b", re.MULTILINE)
ALSO = {"02": ("128, 300, 0.02", "128, 30, 0.02")}  # BATCH, STEPS, RATE


def shorter(path: Path, folder: Path) -> Path:
    """A copy of a notebook whose trainings take a tenth of the steps, and nothing else."""
    page = nbformat.read(path, as_version=4)
    for cell in (cell for cell in page.cells if cell.cell_type == "code"):
        cell.source = cell.source.replace(*ALSO.get(path.stem[:2], ("", "")))
        if "def facts(" not in cell.source:  # of 05: gradients, not trainings
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
            if isinstance(statement, ast.Expr) and "show" in names and "forest" not in names:
                found += [place] if "figure" in live else []
    return found


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_an_edited_experiment_gives_its_own_result_over_the_old_band(path, tmp_path):
    copy = shorter(path, tmp_path)
    run = execute(copy, environment("read"))
    assert [one for one in run.problems if not one.message.startswith("ClaimFailed")] == []
    cells = [run.notebook.cells[place] for place in drawn(copy)]
    grey = "in grey: the stored runs of the original"
    assert cells and not [one.source for one in cells if grey not in str(one.outputs)]
