"""`make lab`: the reader's own copy, the server on it, and what make installs before."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import notebook_rules
import open_lab
import pytest
import requests  # JupyterLab brings it along
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from open_lab import COPY, RECORD, ROOT, START, prepare
from servers import running

from course_utils import _files as files

FIRST = f"{COPY}/ is your own copy of the notebooks: what you change there stays."
OPENED = {"language_info": {"name": "python", "version": "3.13.1"}, "kernelspec": {"name": "x"}}


@pytest.fixture
def course(tmp_path) -> Path:
    """A small checkout without a copy."""
    root = tmp_path / "course"
    for folder in ("tools", "notebooks/images", "notebooks/.ipynb_checkpoints"):
        (root / folder).mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "open_lab.py", root / "tools")
    for name in ("notebooks/images/lab.png", "notebooks/.ipynb_checkpoints/old.ipynb"):
        (root / name).write_text("text")
    page = new_notebook(cells=[new_markdown_cell("# Start"), new_code_cell("1 + 1")])
    for name in (START, "01_next.ipynb"):
        nbformat.write(page, root / "notebooks" / name)
    return root


def edit(path: Path, change: Callable[[nbformat.NotebookNode], None]) -> None:
    """Save the notebook at `path` with a change, as JupyterLab would."""
    page = nbformat.read(path, as_version=4)
    change(page)
    nbformat.write(page, path)


def retitle(path: Path, title: str) -> None:
    edit(path, lambda page: page.cells[0].update(source=f"# {title}"))


def title(path: Path) -> str:
    return nbformat.read(path, as_version=4).cells[0].source.splitlines()[0]


def is_newer(said: list[str]) -> bool:
    return len(said) == 1 and f"has a newer version of {START}:" in said[0]


def test_the_copy_gives_away_nothing_behind_the_first_figure(tmp_path):
    for entry in ROOT.iterdir():
        if not entry.name.startswith((COPY, ".")):
            (tmp_path / entry.name).symlink_to(entry)
    prepare(tmp_path)
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        mine = tmp_path / COPY / path.name
        original, copy = nbformat.read(path, as_version=4), nbformat.read(mine, as_version=4)
        (first,) = (n for n, cell in enumerate(copy.cells, 1) if "image/png" in str(cell))
        assert copy.cells[:first] == original.cells[:first] and copy.metadata == original.metadata
        for old, new in zip(original.cells[first:], copy.cells[first:], strict=True):
            cleared = {"outputs": [], "execution_count": None} if "outputs" in old else {}
            assert new == old | cleared
        assert list(notebook_rules.links(copy, mine)) == []


def test_what_nobody_touched_follows_and_what_was_edited_stays(course):
    assert prepare(course) == [FIRST] and prepare(course) == []
    found = {path.relative_to(course / COPY).as_posix() for path in (course / COPY).rglob("*.*")}
    assert found == {START, "01_next.ipynb", "images/lab.png", RECORD}
    mine = course / COPY / START
    retitle(mine, "My thoughts")
    edited = mine.read_bytes()
    assert prepare(course) == []  # the course has nothing newer
    (course / "notebooks" / "images" / "lab.png").write_text("sharper")
    for name in (START, "01_next.ipynb"):
        retitle(course / "notebooks" / name, "Moved")
    for _ in range(2):
        assert is_newer(prepare(course)) and mine.read_bytes() == edited
    assert title(course / COPY / "01_next.ipynb") == "# Moved"
    assert (course / COPY / "images" / "lab.png").read_text() == "sharper"
    mine.unlink()  # the reader wants the course's after all
    assert prepare(course) == [] and title(mine) == "# Moved"


@pytest.mark.parametrize(
    ("change", "counts_as_edited"),
    [
        (lambda mine: edit(mine, lambda page: page.metadata.update(OPENED)), False),
        (lambda mine: edit(mine, lambda page: page.cells[1].update(execution_count=1)), True),
        (lambda mine: mine.with_name(RECORD).unlink(), True),
        (lambda mine: mine.with_name(RECORD).write_text("cut off {"), True),
    ],
    ids=["opened", "run", "no record", "half a record"],
)
def test_opening_is_not_editing_but_what_may_be_the_readers_stays(course, change, counts_as_edited):
    prepare(course)
    mine = course / COPY / START
    change(mine)
    before = mine.read_bytes()
    retitle(course / "notebooks" / START, "Moved")
    assert is_newer(prepare(course)) == counts_as_edited == (mine.read_bytes() == before)


def test_fresh_begins_anew_and_keeps_every_old_copy(course):
    assert prepare(course, fresh=True) == [FIRST]
    for number in (1, 2):
        retitle(course / COPY / START, f"Thoughts {number}")
        old = f"Your old copy of the notebooks is kept in {COPY}-{number}/."
        assert prepare(course, fresh=True) == [old, FIRST]
    kept = [title(course / f"{COPY}{end}" / START) for end in ("-1", "-2", "")]
    assert kept == ["# Thoughts 1", "# Thoughts 2", "# Start"]


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")
def test_git_ignores_every_copy(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    names = [f"{COPY}/{START}", f"{COPY}/{RECORD}", f"{COPY}-12/{START}"]
    ask = ["git", "-C", tmp_path, "check-ignore", "--no-index", *names, f"notebooks/{START}"]
    assert subprocess.run(ask, capture_output=True, text=True).stdout.splitlines() == names


def test_where_nothing_can_be_written_one_sentence_says_so(course, monkeypatch):
    def read_only(path, content):
        raise files.WriteError(f"{path} could not be written: Read-only file system")

    monkeypatch.setattr(files, "write", read_only)
    with pytest.raises(SystemExit, match="could not be written: Read-only .* where you may write$"):
        open_lab.main([], course)


def test_a_broken_notebook_of_the_course_is_named(course):
    for text in ("<<<<<<< HEAD", "{}"):
        (course / "notebooks" / "01_next.ipynb").write_text(text)
        with pytest.raises(SystemExit, match="`git checkout notebooks/01_next.ipynb` restores it"):
            open_lab.main([], course)
    assert not (course / COPY).exists()


@pytest.mark.parametrize(("user", "allowed"), [(0, 1), (1000, 0)])
def test_root_is_allowed_exactly_where_it_is_needed(monkeypatch, user, allowed):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert open_lab.command(ROOT).count("--allow-root") == allowed


def test_the_tool_does_not_wait_for_torch():
    code = "import sys, open_lab\nassert not {'torch', 'nbformat'} & set(sys.modules)"
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    subprocess.run([sys.executable, "-c", code], env=surroundings, check=True)


@pytest.mark.slow
def test_the_server_shows_the_copy_and_leaves_it_untouched_when_it_saves(course, tmp_path):
    command = [sys.executable, str(course / "tools" / "open_lab.py")]
    with running([*command, "--no-browser", "--ServerApp.port=0"], tmp_path) as (_, url, token):
        assert requests.get(f"{url}lab/tree/{COPY}/{START}", headers=token, timeout=60).ok
        file = f"{url}api/contents/{COPY}/{START}"  # the root is the checkout
        opened = requests.get(file, headers=token, timeout=60).json()
        opened["content"]["metadata"] |= OPENED
        before = (course / COPY / START).read_bytes()
        sent = {"type": "notebook", "format": "json", "content": opened["content"]}
        assert requests.put(file, json=sent, headers=token, timeout=60).ok
    after = (course / COPY / START).read_bytes()
    assert after != before and open_lab.digest(after) == open_lab.digest(before)


# ---- what make does ----

LAB = "tools/open_lab.py"
PIP = "-m pip install --disable-pip-version-check -c constraints.txt"
UV = "-m uv pip install --python .venv/bin/python --torch-backend=cpu -c constraints.txt"


@pytest.fixture
def make(tmp_path):
    """Runs our Makefile where .venv's Python notes what it is asked: status, output and those."""
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "pip"):
        program = tmp_path / ".venv" / "bin" / name
        program.write_text('#!/bin/sh\necho "$@" >> asked\n')
        program.chmod(0o755)
    unset = ("MAKE", "TORCH", "FRESH")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(unset)}

    def run(*arguments: str):
        (tmp_path / "asked").write_text("")
        options = {"cwd": tmp_path, "env": clean, "capture_output": True, "text": True}
        done = subprocess.run(["make", *arguments], **options, timeout=60)
        asked = (tmp_path / "asked").read_text().splitlines()
        return done.returncode, done.stdout + done.stderr, asked

    return run


def test_the_choice_of_torch_is_remembered_until_venv_is_removed(make, tmp_path):
    small = [f"{PIP} uv", f"{UV} -e .[dev]"]
    assert make("lab", "TORCH=cpu")[::2] == (0, [*small, LAB])
    assert make("lab", "FRESH=0")[2] == make("lab", "TORCH=cpu")[2] == [LAB]
    newer = time.time() + 10
    os.utime(tmp_path / "constraints.txt", (newer, newer))
    assert make("lab", "FRESH=1")[2] == [*small, f"{LAB} --fresh"]


def test_a_torch_that_is_there_is_not_replaced_and_an_unknown_one_is_named(make):
    assert make("lab")[::2] == (0, [f"{PIP} -e .[dev]", LAB])
    status, printed, asked = make("lab", "TORCH=cpu")
    assert (status, asked) == (0, [LAB]) and "Torch is installed already" in printed
    status, printed, asked = make("test", "TORCH=cuda")
    assert status != 0 and asked == [] and printed.startswith("TORCH is 'cuda': accepted is cpu")
