"""The lab of a notebook without the rest of it: definitions, stored grid, and the call of `lab`."""

import ast
from pathlib import Path

from definitions import code, definitions

# What the cells of a lab need besides definitions.
ALSO = {"03_smaller_not_faster": ["(images, masks)"]}


def own_cells(notebook: Path, number: int = 0) -> tuple[str, str]:
    """The source that has to run before a lab of a notebook, and the cell that shows it."""

    def also(cell: str, node: ast.stmt) -> bool:
        named = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in needed
        return named or "stored_grid(" in cell or cell.startswith("lab(")

    needed = ALSO.get(notebook.stem, [])
    found = list(definitions(notebook, also))
    shown = [text for text in found if text.startswith("lab(")]
    return "\n\n".join(text for text in found if text not in shown), shown[number]


def every_lab() -> list[tuple[Path, int]]:
    """Each lab of the notebooks, and which of its notebook's it is."""
    notebooks = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
    count = {path: sum(cell.startswith("lab(") for cell in code(path)) for path in notebooks}
    return [(path, number) for path in notebooks for number in range(count[path])]
