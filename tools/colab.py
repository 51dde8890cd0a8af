"""Stamps the repository's address into the notebooks' Colab badges and set-up cells.

    python tools/colab.py OWNER/NAME [BRANCH]    stores the address in pyproject.toml, and stamps it
    python tools/colab.py ""                     forgets it: no badges, set-up cells that only tell
    python tools/colab.py                        stamps what is stored, into a new notebook say

`make colab REPO=owner/name` calls it. Running it twice changes nothing.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from course_utils import _files as files

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?/(?!.*\.git$)[A-Za-z0-9._-]+")
BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
# What every set-up cell begins with: it acts only where the package is missing.
MISSING = 'import importlib.util\n\nif importlib.util.find_spec("course_utils") is None:\n    '


class Address(NamedTuple):
    """Where the course is published: "owner/name", empty if undecided, and a branch or tag."""

    repository: str
    branch: str


def read_address(pyproject: str) -> Address:
    """The address stored in the text of pyproject.toml; errors as `checked`."""
    course = tomllib.loads(pyproject)["tool"]["course"]
    return checked(Address(course["repository"], course["branch"]))


def checked(address: Address) -> Address:
    """The address itself; ValueError if it cannot be one."""
    if address.repository and not REPOSITORY.fullmatch(address.repository):
        raise ValueError(
            f'REPO is {address.repository!r}: accepted are "owner/name" as on GitHub, without '
            "https:// and .git, or nothing to remove the address"
        )
    if not BRANCH.fullmatch(address.branch):
        raise ValueError(f"BRANCH is {address.branch!r}: accepted is the name of a branch or tag")
    return address


def write_address(pyproject: str, address: Address) -> str:
    """The text of pyproject.toml with another address in its [tool.course]."""
    before, table, rest = pyproject.partition("[tool.course]\n")
    for key, value in checked(address)._asdict().items():
        rest = re.sub(rf'^{key} = "[^"]*"', f'{key} = "{value}"', rest, count=1, flags=re.MULTILINE)
    return before + table + rest


def setup_source(git_url: str | None) -> str:
    """The set-up cell: three lines that do nothing where the package is installed.

    Elsewhere they install it from `git_url` ("https://...@branch"; any URL that git understands),
    by itself, so that nothing installed changes; without a URL they say what to do.
    """
    if git_url is None:
        message = (
            "course_utils is missing: choose the course's kernel (.venv or course), or see README."
        )
        return f'{MISSING}print("{message}")'
    # Not editable: the running kernel could not import an editable install before a restart.
    return f'{MISSING}%pip install --quiet --no-deps "git+{git_url}"'


def badge_source(address: Address, path: str) -> str:
    """The text of the badge that opens the notebook at `path` ("notebooks/01_x.ipynb") in Colab."""
    site = "https://colab.research.google.com"
    picture = f"![Open in Colab]({site}/assets/colab-badge.svg)"
    return f"[{picture}]({site}/github/{address.repository}/blob/{address.branch}/{path})"


def stamp(notebook: NotebookNode, path: str, address: Address) -> None:
    """Write the address into a notebook's set-up cell and badge, in place.

    The set-up cell is the code cell tagged "setup"; the badge is the cell tagged "badge", placed
    after the title. ValueError unless there is exactly one set-up cell.
    """
    setup = [cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", [])]
    if len(setup) != 1 or setup[0].cell_type != "code":
        raise ValueError(f'{path} has {len(setup)} cells tagged "setup": one code cell is needed')
    url = f"https://github.com/{address.repository}@{address.branch}"
    setup[0].source = setup_source(url if address.repository else None)
    badges = [cell for cell in notebook.cells if "badge" in cell.metadata.get("tags", [])]
    notebook.cells = [cell for cell in notebook.cells if cell not in badges]
    if address.repository:
        badge = badges[0] if badges else nbformat.v4.new_markdown_cell(id="badge")
        badge.metadata = {"slideshow": {"slide_type": "skip"}, "tags": ["badge"]}
        badge.source = badge_source(address, path)
        notebook.cells.insert(1, badge)


def stamped(text: str, path: str, address: Address) -> str:
    """The text of a notebook file with the address stamped into it; arguments as in `stamp`."""
    notebook = nbformat.reads(text, as_version=nbformat.NO_CONVERT)
    stamp(notebook, path, address)
    return nbformat.writes(notebook, indent=1, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> None:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Stamps the repository's address.")
    parser.add_argument("repository", nargs="?", help='"owner/name", or "" to remove the address')
    parser.add_argument("branch", nargs="?", default="main", help="branch or tag (main)")
    options = parser.parse_args(arguments)
    texts = {root / "pyproject.toml": (root / "pyproject.toml").read_text(encoding="utf-8")}
    try:
        if options.repository is not None:
            address = Address(options.repository, options.branch)
            texts = {path: write_address(text, address) for path, text in texts.items()}
        address = read_address(*texts.values())
        for path in notebooks(root):
            name = f"notebooks/{path.name}"
            texts[path] = stamped(path.read_text(encoding="utf-8"), name, address)
    except ValueError as error:
        sys.exit(f"colab: {error}")
    # Only now, so that an error leaves everything as it was.
    try:
        for path, text in texts.items():
            if text != path.read_text(encoding="utf-8"):
                files.write(path, text)
    except files.WriteError as error:
        sys.exit(f"colab: {error}")
    print(f"address: {address.repository or 'none'}; notebooks: {len(texts) - 1}")


def notebooks(root: Path = ROOT) -> list[Path]:
    """Every notebook of the course."""
    return sorted((root / "notebooks").glob("*.ipynb"))


if __name__ == "__main__":
    main()
