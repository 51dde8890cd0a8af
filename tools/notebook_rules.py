"""What every committed notebook keeps to: one function per rule, each returns what breaks it.

The rules need no kernel. `broken` applies them all; tests/test_notebooks.py calls it for each
notebook, and breaks each rule once.
"""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import nbformat
import run_notebooks
from execution import ROOT
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

CELL_LINES = 30  # style.md: code cells of 15 lines as a rule, 30 at most
FILE_BYTES = 1_000_000  # beyond about a megabyte the web previews of notebooks give up
SLIDE_TYPES = {"slide", "subslide", "fragment", "skip", "notes", "-"}
# What Colab ships, so that the set-up cell never has to install a dependency.
COLAB_SHIPS = {
    *("torch", "torchvision", "numpy", "matplotlib", "ipywidgets", "tqdm", "joblib"),
    *("xarray", "pandas", "scipy", "sklearn", "IPython"),
}
ABSOLUTE = re.compile(
    r"(?<![\w.:/~-])/(?:home|Users|root|tmp|private|mnt|opt|usr|var)/|\b[A-Z]:\\\w"
)
STABLE = re.compile(r"\b(report|ask|reveal|tally|lab|exercises\.check)\(")
MARKDOWN_LINK = re.compile(r"(!?)\[([^\]]*)\]\(\s*<?([^)\s>]+)[^)]*\)")
HTML_LINK = re.compile(r"""\b(?:src|href)=["']([^"']+)["']""")


def broken(path: Path) -> list[str]:
    """Everything about the notebook at `path` that breaks a rule; empty if it is in order."""
    if path.stat().st_size >= FILE_BYTES:
        return [f"the file has {path.stat().st_size:,} bytes, {FILE_BYTES:,} are the limit"]
    notebook = nbformat.v4.reads(path.read_text(encoding="utf-8"))  # nbformat.read would repair
    if (notebook.nbformat, notebook.nbformat_minor) != (4, 5):
        return [f"format {notebook.nbformat}.{notebook.nbformat_minor} instead of 4.5"]
    ids = [cell.get("id") for cell in notebook.cells]
    if None in ids or len(set(ids)) < len(ids):
        return ["cell ids are missing or repeated"]
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        return [f"not a valid notebook: {error}"]
    rules = (
        *(
            metadata,
            outputs,
            counts,
            compared,
            pictures,
            pictures_elsewhere,
            shape,
            absolute_paths,
            imports,
            claims,
        ),
        links,
    )
    return [problem for rule in rules for problem in rule(notebook, path)]


def metadata(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """Nothing that differs from machine to machine; the kernel everybody has."""
    if "widgets" in notebook.metadata:
        yield "metadata.widgets is present; `make notebooks` removes it"
    if "version" in notebook.metadata.get("language_info", {}):
        yield "metadata.language_info.version is present; `make notebooks` removes it"
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3"
    for number, cell in enumerate(notebook.cells, start=1):
        if "execution" in cell.metadata:
            yield f"cell {number} carries metadata.execution; `make notebooks` removes it"


def outputs(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """No errors, no warnings, and no saved widget, which shows an error on the web."""
    for number, output in _outputs(notebook):
        if output.output_type == "error":
            yield f"cell {number} shows an error: {output.ename}"
        if output.get("name") == "stderr":
            yield f"cell {number} writes to stderr: {output.text.strip()[:80]}"
        if any("widget-view" in kind for kind in output.get("data", {})):
            yield f"cell {number} saves a widget; `make notebooks` removes it"


def counts(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """Run from top to bottom: 1, 2, 3, ..."""
    for expected, (number, cell) in enumerate(_code(notebook), start=1):
        if cell.execution_count != expected:
            yield f"cell {number} has execution count {cell.execution_count}, not {expected}"


def compared(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """What nbval compares holds no number that a run decides: those move with the processor.

    The calls of `STABLE` say nothing but what their code says, or a majority of the seeds.
    """
    for number, cell in _code(notebook):
        if "nbval-ignore-output" in _tags(cell):
            continue
        for output in cell.outputs:
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            stable = STABLE.search(cell.source) and not _prints(cell.source)
            if re.search(r"\d", text) and not (stable or text.startswith("Figure: ")):
                yield f"cell {number} compares a number that a run decides; ignore its output"
                break
        if re.search(r"\b\d+ of \d+ seeds\b", "".join(o.get("text", "") for o in cell.outputs)):
            yield f"cell {number} compares a count of seeds"


def _prints(source: str) -> bool:
    """Whether code prints or displays something by itself, functions that it defines apart."""
    tree = ast.parse(TransformerManager().transform_cell(source))
    inside = {id(n) for f in tree.body if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    calls = (n for n in ast.walk(tree) if isinstance(n, ast.Call) and id(n) not in inside)
    return any(getattr(call.func, "id", "") in ("print", "display") for call in calls)


def pictures(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """Every picture can be read by those who do not see it."""
    for number, output in _outputs(notebook):
        alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
        if "image/png" in output.get("data", {}) and not alt.strip():
            yield f"the picture of cell {number} has no alternative text"
    for number, cell in _markdown(notebook):
        if any(mark and not alt.strip() for mark, alt, _ in MARKDOWN_LINK.findall(cell.source)):
            yield f"the picture in the text of cell {number} has no alternative text"


def pictures_elsewhere(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """A figure that README or a page shows is the one of the notebook."""
    for name, picture in run_notebooks.pictures(notebook).items():
        file = path.parent / name
        if not file.exists() or file.read_bytes() != picture:
            yield f"{name} is not the figure of its cell; `make notebooks` writes it"


def shape(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """A title, a set-up cell, slides, and cells that fit a screen."""
    first = notebook.cells[0] if notebook.cells else None
    if not first or first.cell_type != "markdown" or not first.source.startswith("# "):
        yield "the first cell is not a title ('# ...')"
    if not any("setup" in _tags(cell) for _, cell in _code(notebook)):
        yield "no code cell is tagged 'setup'"
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.metadata.get("slideshow", {}).get("slide_type") not in SLIDE_TYPES:
            yield f"cell {number} has no slide type"
    for number, cell in _code(notebook):
        if not cell.source.strip():
            yield f"cell {number} is empty"
        if len(cell.source.splitlines()) > CELL_LINES:
            yield f"cell {number} has more than {CELL_LINES} lines"


def absolute_paths(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """No path that exists on one machine only."""
    for number, cell in enumerate(notebook.cells, start=1):
        texts = [cell.source]
        for output in cell.get("outputs", []):
            texts += [output.get("text", ""), *output.get("traceback", [])]
            texts += [
                str(text) for kind, text in output.get("data", {}).items() if "/png" not in kind
            ]
        text = "\n".join(texts)
        if ABSOLUTE.search(text) or f"{ROOT}" in text or f"{Path.home()}/" in text:
            yield f"cell {number} holds an absolute path"


def imports(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """Only what Colab ships and what the package exports."""
    to_python = TransformerManager().transform_cell
    for number, cell in _code(notebook):
        for node in ast.walk(ast.parse(to_python(cell.source))):
            if isinstance(node, ast.Import):
                wanted = [(alias.name, None) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                wanted = [(node.module or "", alias.name) for alias in node.names]
            else:
                continue
            for module, name in wanted:
                if problem := _import_problem(module, name):
                    yield f"cell {number} {problem}"


def _import_problem(module: str, name: str | None) -> str:
    """What is wrong with ``import module`` or ``from module import name``; "" if nothing is."""
    top = module.partition(".")[0]
    if top != "course_utils":
        ships = top in COLAB_SHIPS or top in sys.stdlib_module_names
        return "" if ships else f"imports {module or 'relatively'}, which Colab does not ship"
    if any(part.startswith("_") for part in [*module.split("."), name or ""]):
        return f"imports {module}.{name}, which is private"
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        return f"imports {module}, which does not exist"
    if name is None or _exports(found, name):
        return ""
    try:
        importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return f"imports {name}, which {module} does not export"
    return ""


def _exports(module: ModuleType, name: str) -> bool:
    """Whether a module defines `name` itself, or lists it in ``__all__``."""
    if hasattr(module, "__all__"):
        return name in module.__all__
    value = vars(module).get(name, module)
    return getattr(value, "__module__", module.__name__) == module.__name__ and not isinstance(
        value, ModuleType
    )


def claims(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """A record of claims carries its own notebook's name, or it overwrites another's."""
    for number, cell in _code(notebook):
        for name in re.findall(r"""\breport\(\s*["']([^"']*)["']""", cell.source):
            if name != path.stem:
                yield f"cell {number} reports its claims as {name!r}"


def links(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """Every link to a file of the repository leads to one."""
    for number, cell in _markdown(notebook):
        targets = [target for _, _, target in MARKDOWN_LINK.findall(cell.source)]
        for target in targets + HTML_LINK.findall(cell.source):
            file = unquote(target.partition("#")[0])
            if not file or re.match(r"[a-z][a-z0-9+.-]*:", file):  # this page, or another site
                continue
            if not (path.parent / file).exists():
                yield f"cell {number} links to {target}, which does not exist"


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _code(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """The code cells with their places among all cells, counted from 1."""
    return [(n, cell) for n, cell in enumerate(notebook.cells, start=1) if cell.cell_type == "code"]


def _markdown(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """The text cells with their places among all cells, counted from 1."""
    return [
        (n, cell) for n, cell in enumerate(notebook.cells, start=1) if cell.cell_type == "markdown"
    ]


def _outputs(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """Every output with the place of its cell."""
    return [(number, output) for number, cell in _code(notebook) for output in cell.outputs]
