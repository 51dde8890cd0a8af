"""What readers do to a notebook: edit its experiment, run cells in any order, interrupt them.

Each notebook is edited; the rest is done to the shortest here, and to all of them by `make faults`.
"""

import ast
import os
import random
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

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

# Strikes when the main thread is in the function of this name, on a fast machine and a slow one.
# Imports nothing under a name that a notebook might take for itself.
INTERRUPT = """
def interrupt(inside):
    import os, signal, sys, threading, time
    def running():
        frame = sys._current_frames()[threading.main_thread().ident]
        while frame and frame.f_code.co_name != inside:
            frame = frame.f_back
        return frame
    while not running():
        time.sleep(0.005)
    os.kill(os.getpid(), signal.SIGINT)

def interrupt_in(name):
    import threading
    threading.Thread(target=interrupt, args=[name], daemon=True).start()
"""
# The lab's own button, pressed while no cell is running: then a kernel ignores interrupts, so the
# lab itself has to listen to this one.
RUN_LIVE = """
import gc, signal as signals
(knobs,) = [thing for thing in gc.get_objects() if type(thing).__name__ == "Lab" and thing.comm]
before = signals.signal(signals.SIGINT, signals.SIG_IGN)
interrupt_in("train")
knobs.run.click()
signals.signal(signals.SIGINT, before)
print(knobs.status.value)
"""


class Reader:
    """A kernel, and the code cells of one notebook."""

    def __init__(self, notebook: Path):
        cells = nbformat.read(notebook, as_version=4).cells
        self.cells = [cell for cell in cells if cell.cell_type == "code"]
        surroundings = environment("read")
        self.manager, self.client = start_new_kernel(
            cwd=str(notebook.parent), env=surroundings, stderr=subprocess.DEVNULL
        )

    def run(self, source: str) -> list:
        """The outputs of `source`."""
        outputs = []

        def keep(message):
            if message["msg_type"] in ("stream", "error", "execute_result", "display_data"):
                outputs.append(nbformat.v4.output_from_msg(message))

        asked = self.client.execute(source, store_history=False)
        deadline = time.monotonic() + CELL_TIMEOUT
        while time.monotonic() < deadline:
            try:
                message = self.client.get_iopub_msg(timeout=0.2)
            except Empty:
                assert self.manager.is_alive(), f"the kernel died in: {source}"
                continue
            if message["parent_header"].get("msg_id") != asked:
                continue
            keep(message)
            if message["content"].get("execution_state") == "idle":
                return outputs
        raise TimeoutError(source)

    def run_all(self) -> list[str]:
        """What went wrong when every cell is run in order: errors, and outputs that moved."""
        wrong = []
        for number, cell in enumerate(self.cells, start=1):
            outputs = self.run(cell.source)
            tags = cell.metadata.get("tags", [])
            wrong += [f"cell {number}: {error}" for error in errors(outputs)]
            if not {"widget", "nbval-ignore-output"} & set(tags) and text(outputs) != text(
                cell.outputs
            ):
                wrong.append(f"cell {number} now shows {text(outputs)!r}")
        return wrong


def errors(outputs: list) -> list[str]:
    return [f"{o.ename}: {o.evalue}" for o in outputs if o.output_type == "error"]


def text(outputs: list) -> str:
    """What is printed or shown as a table; pictures are for people."""
    shown = [o.text for o in outputs if o.output_type == "stream"]
    pictures = ("image/png", "text/html")
    shown += [
        o.data["text/plain"]
        for o in outputs
        if "data" in o and not any(kind in o.data for kind in pictures)
    ]
    return "".join(shown)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem, scope="module")
def reader(request) -> Iterator[Reader]:
    opened = Reader(request.param)
    yield opened
    opened.client.stop_channels()
    opened.manager.shutdown_kernel(now=True)


def test_cells_in_any_order_miss_a_name_and_nothing_else(reader):
    for cell in reader.cells[:SETUP]:
        assert not errors(reader.run(cell.source))
    order, unclear = random.Random(1), []
    for _ in range(2):  # the second time, most names are there
        for cell in order.sample(reader.cells[SETUP:], len(reader.cells) - SETUP):
            for error in errors(reader.run(cell.source)):
                if not any(words in error for words in CLEAR):
                    unclear.append(f"{error}\n{cell.source}")
    assert not unclear, "\n\n".join(unclear)


def test_an_interrupted_sweep_and_an_interrupted_live_run_leave_a_kernel_that_works(reader):
    sweeps = [cell.source for cell in reader.cells if "sweep(" in cell.source.replace("import", "")]
    reader.run(INTERRUPT)
    for cell in reader.cells:  # what the sweep and the lab need; cells that show runs miss them
        if cell.source == sweeps[0]:
            interrupted = reader.run("interrupt_in('_train')\n" + cell.source)
            said = errors(interrupted) + [o.get("text", "") for o in interrupted]
            assert any("KeyboardInterrupt" in line or "interrupted" in line for line in said), said
        elif cell.source not in sweeps:
            reader.run(cell.source)
    live = reader.run(RUN_LIVE)
    assert not errors(live) and "Interrupted" in text(live)


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
    bare, cells = [], drawn(copy)
    for place in cells:
        outputs = run.notebook.cells[place].outputs
        texts = [str(output.get("data", {}).get("text/plain", "")) for output in outputs]
        if not any("in grey: the stored runs of the original" in text for text in texts):
            bare.append(run.notebook.cells[place].source)
    assert cells and not bare, "\n\n".join(bare)
