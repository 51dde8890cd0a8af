"""The lab of a notebook without the rest of it: definitions, stored grid, and the call of `lab`."""

import ast
from pathlib import Path

from definitions import definitions

# What the cells of a lab need besides definitions.
ALSO = {"03_smaller_not_faster": ["(images, masks)"]}


def own_cells(notebook: Path) -> tuple[str, str]:
    """The source that has to run before the lab of a notebook, and the cell that shows it."""

    def also(cell: str, node: ast.stmt) -> bool:
        named = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in needed
        return named or "stored_grid(" in cell or cell.startswith("lab(")

    needed = ALSO.get(notebook.stem, [])
    found = list(definitions(notebook, also))
    (lab,) = (text for text in found if text.startswith("lab("))
    return "\n\n".join(text for text in found if text is not lab), lab
