"""The package's two floors: public rooms on top of what is behind an underscore; no way back."""

import ast
import graphlib
from pathlib import Path

import course_utils

PACKAGE = Path(course_utils.__file__).parent
ROOMS = {"datasets", "models", "training", "measures", "sweeps", "races", "claims", "figures"}
ROOMS |= {"widgets"}


def imports() -> dict[str, set[str]]:
    """For each module of the package those that it imports, wherever in it."""
    found = {}
    for path in PACKAGE.glob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
        found[path.stem] = {
            name
            for node in froms
            for alias in node.names
            for name in [(f"{node.module}.{alias.name}".split(".") + [""])[1]]
            if node.module.partition(".")[0] == PACKAGE.name
        }
    return found


def test_the_rooms_are_what_a_notebook_may_import():
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert {name for name in modules if not name.startswith("_")} == ROOMS


def test_imports_go_downwards_without_a_circle():
    found = imports()
    assert "_arguments" in found["training"] and "_arguments" in found["measures"]
    tuple(graphlib.TopologicalSorter(found).static_order())  # raises CycleError


def test_nothing_below_imports_a_room_but_the_parts_of_the_widgets():
    """Those show figures, and run the loop; the store, the runs and the workers know no room."""
    widgets = {
        name for name in imports() if name.startswith(("_lab", "_predictions", "_exercises"))
    }
    for module, used in imports().items():
        if module.startswith("_") and module not in widgets:
            assert not used & ROOMS, f"{module} imports {used & ROOMS}"


def test_no_module_knows_a_notebook_and_only_the_store_reads_the_disk():
    for path in PACKAGE.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert ".ipynb" not in text, path.name
        if path.stem not in ("_files", "_store", "_fingerprint", "claims", "datasets"):
            assert "read_bytes(" not in text and "read_text(" not in text
