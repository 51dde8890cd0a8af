"""The package's two floors: public rooms on top of what is behind an underscore; no way back."""

import ast
import graphlib
from pathlib import Path

import course_utils

PACKAGE = Path(course_utils.__file__).parent
ROOMS = {path.stem for path in PACKAGE.glob("[!_]*.py")}


def imports() -> dict[str, set[str]]:
    """For each module of the package those that it imports, wherever in it."""
    found = {path.stem: set() for path in PACKAGE.glob("*.py")}
    for module, used in found.items():
        for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))):
            for alias in node.names if isinstance(node, ast.ImportFrom) else ():
                package, name = f"{node.module}.{alias.name}".split(".")[:2]
                used |= {name} if package == PACKAGE.name else set()
    return found


def test_imports_go_downwards_without_a_circle():
    found = imports()
    assert "_arguments" in found["training"] and "_arguments" in found["measures"]
    tuple(graphlib.TopologicalSorter(found).static_order())  # raises CycleError


def test_nothing_below_imports_a_room_but_the_parts_of_the_widgets():
    """Those show figures, and run the loop; the store, the runs and the workers know no room."""
    for module, used in imports().items():
        if module not in ROOMS and not module.startswith(("_lab", "_predictions", "_exercises")):
            assert not used & ROOMS, f"{module} imports {used & ROOMS}"
