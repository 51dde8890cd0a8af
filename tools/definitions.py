"""What a notebook defines, imports, CONSTANTS, functions and classes, without running it."""

import ast
import functools
import hashlib
import importlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import nbformat


class Use(NamedTuple):
    """A call of `sweep` or `stored_grid` in a notebook that names a stored result."""

    notebook: Path
    function: str
    experiment: str
    name: str


def uses(notebook: Path) -> list[Use]:
    """What a notebook takes from the store."""
    calls = [node for source in code(notebook) for node in ast.walk(ast.parse(source))]
    return [
        Use(notebook, call.func.id, call.args[0].id, keyword.value.value)
        for call in calls
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("sweep", "stored_grid")
        for keyword in call.keywords
        if keyword.arg == "name"
    ]


@functools.cache
def load(notebook: Path) -> ModuleType:
    """What a notebook defines, as a module.

    It has a file, because an experiment is compared with a stored one by its source.
    """
    name = f"of_{notebook.stem}_{hashlib.sha256(bytes(notebook.resolve())).hexdigest()[:8]}"
    folder = _folder().name
    Path(folder, f"{name}.py").write_text("\n\n".join(definitions(notebook)), encoding="utf-8")
    sys.path.insert(0, folder)
    try:
        importlib.invalidate_caches()
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    """Of the modules' files; it goes with the process."""
    return tempfile.TemporaryDirectory(prefix="definitions-")


def experiment(use: Use) -> Callable:
    """The experiment behind a stored result, as its notebook defines it."""
    return getattr(load(use.notebook), use.experiment)


def code(notebook: Path) -> list[str]:
    """The sources of the code cells, those with a magic left out."""
    cells = nbformat.read(notebook, as_version=4).cells
    magic = re.compile(r"^\s*%", re.MULTILINE)
    return [c.source for c in cells if c.cell_type == "code" and not magic.search(c.source)]


def definitions(
    notebook: Path, also: Callable[[str, ast.stmt], bool] = lambda cell, statement: False
) -> Iterator[str]:
    """The source of each statement that defines something, or that `also` says yes to.

    `also` sees the source of the cell and the statement.
    """
    for cell in code(notebook):
        lines = cell.splitlines()
        for node in ast.parse(cell).body:
            first = min([node, *getattr(node, "decorator_list", [])], key=lambda n: n.lineno)
            if _defines(node) or also(cell, node):
                yield "\n".join(lines[first.lineno - 1 : node.end_lineno])


def _defines(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]).isupper()
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
