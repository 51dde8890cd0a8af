"""The code that the claims of a notebook hang on, as a digest: moved, it has to be verified anew.

It counts what is computed, not lines, comments or text cells, and it leaves out what cannot move a
number: cells of widgets and exercises, cells that only draw, and the rooms that show things.
"""

import ast
import importlib
import re
import symtable
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from counts import ROOT

from course_utils import _fingerprint as fingerprint

APART = {"setup", "widget", "exercise", "take-home"}  # tags of cells that no claim hangs on
DRAWS = {"show", "new_figure", "display"}  # a cell that calls one of these shows something
SHOWING = {"course_utils.figures", "course_utils.widgets"}  # rooms that decide no number


def digest(notebook: Path) -> str:
    """Of the code of a notebook, of the package as far as it is reached, and of the pins."""
    cells = [fingerprint.bare(cell) for cell in computing_cells(notebook)]
    reached = fingerprint.follow(imported(notebook))
    # Where the checkout lies decides no number; counted, every clone had everything to verify anew.
    here = [name for name in reached if name.endswith(".__file__")]
    package = [f"{name} {of}" for name, of in sorted(reached.items()) if name not in here]
    return fingerprint.digest_of("\0".join([*cells, *package, *pins()]))


def imported(notebook: Path) -> dict[str, Any]:
    """What a notebook imports of the package and its numbers may hang on, by its full name."""
    found = {}
    for node in (node for cell in computing_cells(notebook) for node in ast.walk(ast.parse(cell))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("course_utils."):
            if node.module not in SHOWING:
                module = importlib.import_module(node.module)
                names = [alias.name for alias in node.names]
                found |= {f"{node.module}.{name}": getattr(module, name) for name in names}
    return found


def computing_cells(notebook: Path) -> list[str]:
    """The code cells of a notebook that a claim may hang on, in order."""
    cells = [
        cell.source
        for cell in nbformat.read(notebook, as_version=4).cells
        if cell.cell_type == "code"
        and not APART & set(cell.metadata.get("tags", []))
        and not re.search(r"^\s*%", cell.source, re.MULTILINE)
    ]
    names = [_names(cell) for cell in cells]
    drawing = {place for place, (_, _, called) in enumerate(names) if called & DRAWS}
    while True:  # a drawing cell that binds what a computing one needs computes, too
        needed = set().union(*(names[i][1] for i in range(len(cells)) if i not in drawing))
        used = {place for place in drawing if names[place][0] & needed}
        if not used:
            return [cell for place, cell in enumerate(cells) if place not in drawing]
        drawing -= used


def _names(cell: str) -> tuple[set[str], set[str], set[str]]:
    """What a cell binds, what it takes from other cells, and which functions it calls itself.

    An argument or a local name of a function is neither: only what is global.
    """
    table = symtable.symtable(cell, "cell", "exec")
    bound = {
        one.get_name() for one in table.get_symbols() if one.is_assigned() or one.is_imported()
    }
    needed = {one.get_name() for one in table.get_symbols() if one.is_referenced()}
    inner = table.get_children()
    while inner:
        scope = inner.pop()
        needed |= {one.get_name() for one in scope.get_symbols() if one.is_global()}
        inner += scope.get_children()
    body = ast.parse(cell).body
    inside = {id(n) for f in body if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    called = {
        node.func.id
        for node in ast.walk(ast.Module(body, []))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and id(node) not in inside
    }
    return bound, needed - bound, called


def pins() -> Iterator[str]:
    """The pinned versions of what the package imports."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.match(r"[\w-]+", need)[0].lower() for need in project["dependencies"]}
    for line in sorted((ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()):
        if line.partition("==")[0].lower() in wanted:
            yield line
