"""Runs notebooks from scratch in kernels of their own and collects what went wrong.

Shared by run_notebooks.py and replicate.py. A run is described by the course's environment
variables (see course_utils._environment); nothing that the shell says about them gets through.
"""

import argparse
import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
CELL_TIMEOUT = 1200  # seconds; one sweep over all seeds on two slow cores stays well below


class Problem(NamedTuple):
    """One thing that went wrong, and where."""

    notebook: str
    cell: str  # "cell 12 `report(...)`", numbered as Run All numbers it; "" when it is no cell's
    message: str

    def __str__(self) -> str:
        where = f"{self.notebook}, {self.cell}" if self.cell else self.notebook
        return f"{where}: " + self.message.strip().replace("\n", "\n    ")


class Run(NamedTuple):
    """A notebook as executed, and what went wrong on the way."""

    path: Path
    notebook: nbformat.NotebookNode
    problems: list[Problem]
    seconds: float


def select(folder: Path, names: Sequence[str]) -> list[Path]:
    """The notebooks of `folder` that `names` mean: paths, file names, or their beginnings ("01").

    No names means all of them.

    Raises
    ------
    ValueError
        If there is no notebook, or a name means none or several.
    """
    available = sorted(folder.glob("*.ipynb"))
    if not available:
        raise ValueError(f"there is no notebook in {folder}")
    chosen = set()
    for name in names:
        stem = Path(name).name.removesuffix(".ipynb")
        matches = [path for path in available if path.stem == stem]
        matches = matches or [path for path in available if stem and path.stem.startswith(stem)]
        if len(matches) != 1:
            stems = ", ".join(path.stem for path in available)
            raise ValueError(f"notebook {name!r} means {len(matches)} of: {stems}")
        chosen.update(matches)
    return sorted(chosen) or available


def add_folders(parser: argparse.ArgumentParser) -> None:
    """The options of the tools that run notebooks: where these are, and where results go."""
    parser.add_argument("--folder", type=Path, default=ROOT / "notebooks", help="of the notebooks")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="of the results")


def environment(mode: str, seeds: str | None = None, claims: Path | None = None) -> dict[str, str]:
    """The environment of a kernel: this process's own, the course's variables replaced."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("COURSE_")}
    variables.pop("MPLBACKEND", None)  # the kernel chooses its own, as it does for a reader
    variables |= {"COURSE_MODE": mode, "TQDM_DISABLE": "1"}
    variables["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # silences the debugger's warning at start
    if seeds is not None:
        variables["COURSE_SEEDS"] = seeds
    if claims is not None:
        variables["COURSE_CLAIMS"] = str(claims.resolve())  # kernels run in the notebooks' folder
    return variables


def execute(
    path: Path, variables: dict[str, str], timeout: int = CELL_TIMEOUT, bar: bool = True
) -> Run:
    """Run the notebook at `path` in a fresh kernel, with a progress `bar` over its cells.

    The file stays as it is. A claim that fails lets the later cells run; any other error ends
    this notebook. A kernel that dies or a cell that takes longer than `timeout` seconds is a
    problem like any other.
    """
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for cell in code:
        cell.outputs, cell.execution_count = [], None
    reached, stopped, started = [], "", time.perf_counter()
    with tqdm(total=len(code), desc=path.stem, unit="cell", disable=None if bar else True) as shown:
        client = _client(notebook, path.parent, timeout)
        client.on_notebook_start = _let_interrupts_through
        client.on_cell_execute = lambda cell, cell_index: reached.append(cell)
        client.on_cell_executed = lambda cell, cell_index, execute_reply: shown.update()
        try:
            client.execute(env=variables, stderr=subprocess.DEVNULL)
        except CellExecutionError:
            pass  # is in the cell's outputs
        except CellTimeoutError:
            stopped = f"did not finish within {timeout} s"
        except RuntimeError as error:  # DeadKernelError, at the start or in a cell
            stopped = f"the kernel died, out of memory? ({error})"
    seconds = time.perf_counter() - started
    if not stopped:
        return Run(path, notebook, errors(path.stem, code), seconds)
    where = _name(len(reached), reached[-1]) if reached else ""
    found = errors(path.stem, reached[:-1])  # the last one's output is our own interruption
    return Run(path, notebook, [*found, Problem(path.stem, where, stopped)], seconds)


def _client(notebook: nbformat.NotebookNode, folder: Path, timeout: int) -> NotebookClient:
    """A client whose kernel is this very Python, whatever kernels the machine has installed."""
    log = logging.getLogger("course.notebooks")
    log.setLevel(logging.CRITICAL)  # what nbclient logs is reported as a problem anyway
    specs = KernelSpecManager(kernel_dirs=[])
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs, log=log)
    client = NotebookClient(
        notebook,
        km=manager,
        log=log,
        timeout=timeout,
        resources={"metadata": {"path": str(folder)}},
        allow_error_names=["ClaimFailed"],
        coalesce_streams=True,
        store_widget_state=False,
        record_timing=False,
    )
    client.owns_km = True  # so that the kernel ends with the run
    return client


def _let_interrupts_through(notebook: nbformat.NotebookNode) -> None:
    """Ctrl-C ends us; nbclient's own handler would end the kernel and leave us an AssertionError.

    The kernel ends when we do: nbclient sees to that.
    """
    with suppress(NotImplementedError):  # Windows, where nbclient has no handler either
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


def errors(stem: str, code: Iterable[nbformat.NotebookNode]) -> list[Problem]:
    """The errors among the outputs of code cells, those that a cell announces by its tag apart."""
    return [
        Problem(stem, _name(number, cell), f"{output.ename}: {output.evalue}")
        for number, cell in enumerate(code, start=1)
        if "raises-exception" not in cell.metadata.get("tags", [])
        for output in cell.outputs
        if output.output_type == "error"
    ]


def _name(number: int, cell: nbformat.NotebookNode) -> str:
    """How a cell is called in a message: its number and its first line."""
    return f"cell {number} `{cell.source.strip().splitlines()[0]}`"


def read_records(claims: Path, run: Path) -> tuple[list[dict], list[Problem]]:
    """The claim records that running the notebook at `run` left in the folder `claims`.

    A notebook that reports claims and leaves none is a problem, and so is a claim that fell short.
    """
    file = claims / f"{run.stem}.json"
    if not file.exists():
        cells = nbformat.read(run, as_version=4).cells
        silent = any(
            cell.cell_type == "code" and re.search(r"\breport\(", cell.source) for cell in cells
        )
        return [], [Problem(run.stem, "", "no claim was recorded")] if silent else []
    try:
        records = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        return [], [Problem(run.stem, "", f"{file} is damaged ({error}): delete it")]
    return records, [
        Problem(
            run.stem,
            f"claim {record['claim']}",
            f"holds for {record['seeds_held']} of {record['seeds']} seeds: {record['sentence']}",
        )
        for record in records
        if not record["held"]
    ]


def conclude(tool: str, summary: str, problems: Sequence[Problem]) -> int:
    """Print how a tool ended, with everything that went wrong; the exit status."""
    if problems:
        print(f"\n{tool}: FAILED, {len(problems)} problem{'s' * (len(problems) != 1)}")
        print(*(f"  {problem}" for problem in problems), sep="\n")
        return 1
    print(f"\n{tool}: {summary}")
    return 0
