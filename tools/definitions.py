"""What a notebook defines, imports, CONSTANTS, functions and classes, without running it."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat


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
