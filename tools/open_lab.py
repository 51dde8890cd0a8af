"""Opens the reader's own copy of the course in JupyterLab; `make lab` calls it.

    python tools/open_lab.py [--fresh] [OPTION OF JUPYTERLAB ...]

The copy is the folder mine/, made from notebooks/. Behind the first figure its notebooks show no
outputs: those would answer the questions before the reader has. What the reader changes is never
overwritten; what nobody touched follows the course. `--fresh` renames the copy to mine-1 (or
mine-2, ...) and begins a new one.
"""

import argparse
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from course_utils import _files as files  # imports no torch: the server is to start at once

ROOT = Path(__file__).resolve().parent.parent
START = "00_start_here.ipynb"
COPY = "mine"
RECORD = ".written.json"  # in the copy: the digest of each file as it was written there


def unspoiled(content: bytes) -> bytes:
    """A notebook file without outputs and execution counts behind the cell of its first figure.

    Without its count nbval does not compare a cell.
    """
    notebook, shown = json.loads(content), False
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        if shown:
            cell.update(outputs=[], execution_count=None)
        kinds = [kind for output in cell["outputs"] for kind in output.get("data", ())]
        shown = shown or any(kind.startswith("image/") for kind in kinds)
    return (json.dumps(notebook, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def digest(content: bytes) -> str:
    """A file's SHA-256; a notebook's is without what JupyterLab writes into it on opening it."""
    try:
        notebook = json.loads(content)
        for key in ("kernelspec", "language_info"):  # the reader's kernel and its version
            notebook["metadata"].pop(key, None)
        content = json.dumps(notebook, sort_keys=True).encode("utf-8")
    except (ValueError, LookupError, TypeError, AttributeError):
        pass  # no notebook: a picture, or a broken one
    return hashlib.sha256(content).hexdigest()


def originals(folder: Path) -> dict[str, bytes]:
    """What belongs into a copy of `folder`: its notebooks, and the pictures that they show.

    Raises
    ------
    ValueError
        If a notebook cannot be read.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") for part in name.parts):
            continue
        found[name.as_posix()] = path.read_bytes()
        if path.suffix == ".ipynb":
            try:
                found[name.as_posix()] = unspoiled(path.read_bytes())
            except (ValueError, LookupError, TypeError, AttributeError):
                raise ValueError(
                    f"{path} is no readable notebook: `git checkout {folder.name}/{name}` "
                    "restores it"
                ) from None
    return found


def renew(copy: Path, wanted: dict[str, bytes]) -> list[str]:
    """Make `copy` what is `wanted`, but for what the reader has edited.

    Returns the names of the edited files of which the course has had a newer version since.

    Raises
    ------
    WriteError
        If a file cannot be written; the message names it.
    """
    before = _read_record(copy / RECORD)
    written, newer = dict(before), []
    for name, content in wanted.items():
        path = copy / name
        now, found = digest(content), digest(path.read_bytes()) if path.exists() else None
        if found not in (None, now, before.get(name)):  # neither missing nor ours: it was edited
            newer += [name] if now != before.get(name) else []
            continue
        if found != now:
            files.write(path, content)
        written[name] = now
    if written != before:
        files.write(copy / RECORD, json.dumps(written, indent=1) + "\n")
    return newer


def _read_record(path: Path) -> dict[str, str]:
    """The digests in the record; none if there is no record, so that nothing is overwritten."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def set_aside(copy: Path) -> Path:
    """Rename the folder `copy` to the first name that is free, as mine-1; returns that.

    Raises
    ------
    WriteError
        If it cannot be renamed.
    """
    names = (copy.with_name(f"{copy.name}-{number}") for number in itertools.count(1))
    kept = next(path for path in names if not path.exists())
    try:
        return copy.rename(kept)
    except OSError as error:
        raise files.WriteError(f"{copy} could not be renamed: {error.strerror}") from error


def prepare(root: Path, fresh: bool = False) -> list[str]:
    """Bring the reader's copy in `root` up to date; returns sentences for the reader.

    Raises
    ------
    OSError, ValueError
        If a file cannot be read or written, or a notebook of the course is broken.
    """
    copy, said = root / COPY, []
    wanted = originals(root / "notebooks")
    if fresh and copy.exists():
        said.append(f"Your old copy of the notebooks is kept in {set_aside(copy).name}/.")
    if not copy.exists():
        said.append(f"{COPY}/ is your own copy of the notebooks: what you change there stays.")
    if newer := renew(copy, wanted):
        said.append(
            f"Yours stays, but the course has a newer version of {', '.join(newer)}: "
            "`make lab FRESH=1` begins a new copy and keeps this one."
        )
    return said


def command(root: Path, options: Sequence[str] = ()) -> list[str]:
    """JupyterLab on the reader's copy: it wants its token and listens on this machine only.

    Its root is the whole checkout, so that links from a notebook to ../docs work.
    """
    allowed = ["--allow-root"] if is_root() else []
    where = ["--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={root}", str(root / COPY / START)]
    return [sys.executable, "-m", "jupyterlab", *options, *allowed, *where]


def is_root() -> bool:
    """Whether this is root, whom JupyterLab refuses by itself; containers have no other user."""
    return hasattr(os, "geteuid") and os.geteuid() == 0  # Windows has none


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> None:
    """The command line; see the module's docstring. Becomes JupyterLab if all is well."""
    parser = argparse.ArgumentParser(
        description="Opens your own copy of the course in JupyterLab.",
        epilog="Every other option goes to JupyterLab, as --no-browser.",
        allow_abbrev=False,
    )
    parser.add_argument("--fresh", action="store_true", help="begin a new copy, keep the old one")
    options, others = parser.parse_known_args(arguments)
    try:
        said = prepare(root, options.fresh)
    except OSError as error:
        sys.exit(f"lab: {error}; your copy of the notebooks needs a folder where you may write")
    except ValueError as error:
        sys.exit(f"lab: {error}")
    if is_root():
        said.append("You are root, so JupyterLab is started with --allow-root.")
    print("".join(f"{line}\n" for line in said), end="", flush=True)
    os.chdir(root)
    os.execv(sys.executable, command(root, others))  # this very process: its signals, its status


if __name__ == "__main__":
    main()
