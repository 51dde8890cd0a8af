"""`make lab`: the reader's own copy, the server on it, and what make installs before."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import execution
import nbformat
import notebook_rules
import open_lab
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from open_lab import COPY, RECORD, ROOT, START, prepare

from course_utils import _files as files

PICTURE = "iVBORw0KGgo="
NEWER = (
    "Yours stays, but the course has a newer version of {}: "
    "`make lab FRESH=1` begins a new copy and keeps this one."
)
FIRST = f"{COPY}/ is your own copy of the notebooks: what you change there stays."


def figure(alt: str = "a figure"):
    return new_output("display_data", {"image/png": PICTURE, "text/plain": alt})


def said(text: str):
    return new_output("stream", name="stdout", text=text)


def page(title: str = "Start") -> nbformat.NotebookNode:
    """A notebook: an output, the first figure, then two cells whose outputs give things away."""
    cells = [
        new_markdown_cell(f"# {title}\n![a lab](images/lab.png) [cluster](../docs/cluster.md)"),
        new_code_cell("print('before')", execution_count=1, outputs=[said("before\n")]),
        new_code_cell("hero", execution_count=2, outputs=[figure(), said("shown\n")]),
        new_markdown_cell("Now predict. [All about it](../README.md#two-commands)"),
        new_code_cell("report", execution_count=3, outputs=[said("HOLDS\n")]),
        new_code_cell("answer", execution_count=4, outputs=[figure("the answer")]),
    ]
    for place, cell in enumerate(cells):
        cell.id = f"cell-{place}"
    made = new_notebook(cells=cells)
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    return made


def checkout(root: Path) -> Path:
    """A small one: the tool, two notebooks, a picture, pages that the notebooks link to."""
    for folder in ("tools", "notebooks/images", "notebooks/.ipynb_checkpoints", "docs"):
        (root / folder).mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "open_lab.py", root / "tools")
    for name in ("README.md", "docs/cluster.md", "notebooks/.ipynb_checkpoints/old.ipynb"):
        (root / name).write_text("text")
    (root / "notebooks" / "images" / "lab.png").write_bytes(b"\x89PNG")
    nbformat.write(page(), root / "notebooks" / START)
    nbformat.write(page("Next"), root / "notebooks" / "01_next.ipynb")
    return root


@pytest.fixture
def course(tmp_path) -> Path:
    """A small checkout without a copy yet."""
    return checkout(tmp_path / "course")


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """The copy of our own notebooks, in a folder where all the rest of the checkout is linked."""
    root = tmp_path_factory.mktemp("checkout")
    for entry in ROOT.iterdir():
        if not entry.name.startswith((COPY, ".")):
            (root / entry.name).symlink_to(entry)
    assert prepare(root) == [FIRST]
    return root / COPY


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def retitle(path: Path, title: str) -> None:
    """Save the notebook at `path` with another first cell, as JupyterLab would."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = f"# {title}"
    nbformat.write(notebook, path)


# ---- the copy ----


def test_the_copy_gives_away_nothing_behind_the_first_figure(course):
    assert prepare(course) == [FIRST]
    original = nbformat.read(course / "notebooks" / START, as_version=4)
    copy = nbformat.read(course / COPY / START, as_version=4)
    assert copy.cells[:4] == original.cells[:4] and copy.metadata == original.metadata
    for old, new in zip(original.cells[4:], copy.cells[4:], strict=True):
        assert (new.outputs, new.execution_count) == ([], None)
        assert (new.id, new.source, new.metadata) == (old.id, old.source, old.metadata)
    assert names(course / COPY) == {START, "01_next.ipynb", "images/lab.png", RECORD}


def test_a_copy_that_nobody_touched_follows_the_course(course):
    prepare(course)
    assert prepare(course) == []
    retitle(course / "notebooks" / START, "Moved")
    (course / "notebooks" / "images" / "lab.png").write_bytes(b"\x89PNG, sharper")
    shutil.copy(course / "notebooks" / START, course / "notebooks" / "02_new.ipynb")
    assert prepare(course) == []
    for name in (START, "02_new.ipynb"):
        assert nbformat.read(course / COPY / name, as_version=4).cells[0].source == "# Moved"
    assert (course / COPY / "images" / "lab.png").read_bytes() == b"\x89PNG, sharper"


def test_what_the_reader_edited_is_never_overwritten(course):
    prepare(course)
    mine = course / COPY / START
    retitle(mine, "My thoughts")
    edited = mine.read_bytes()
    assert prepare(course) == []  # the course has nothing newer
    retitle(course / "notebooks" / START, "Moved")
    retitle(course / "notebooks" / "01_next.ipynb", "Moved")
    for _ in range(2):
        assert prepare(course) == [NEWER.format(START)]
        assert mine.read_bytes() == edited
    next_one = nbformat.read(course / COPY / "01_next.ipynb", as_version=4)
    assert next_one.cells[0].source == "# Moved"
    mine.unlink()  # the reader wants the course's after all
    assert prepare(course) == [] and mine.exists()


def test_opening_is_not_editing_but_running_is(course):
    prepare(course)
    mine = course / COPY / START
    notebook = nbformat.read(mine, as_version=4)
    notebook.metadata["language_info"] = {"name": "python", "version": "3.13.1"}
    notebook.metadata["kernelspec"]["display_name"] = "Python 3 (ipykernel)"
    nbformat.write(notebook, mine)
    retitle(course / "notebooks" / START, "Moved")
    assert prepare(course) == []
    notebook = nbformat.read(mine, as_version=4)
    assert notebook.cells[0].source == "# Moved"
    notebook.cells[4].update(outputs=[said("mine\n")], execution_count=7)
    nbformat.write(notebook, mine)
    retitle(course / "notebooks" / START, "Moved again")
    assert prepare(course) == [NEWER.format(START)]


@pytest.mark.parametrize("record", [None, "cut off {", "[1]"])
def test_without_its_record_a_copy_counts_as_edited(course, record):
    prepare(course)
    (course / COPY / RECORD).unlink()
    if record:
        (course / COPY / RECORD).write_text(record)
    before = (course / COPY / START).read_bytes()
    retitle(course / "notebooks" / START, "Moved")
    assert prepare(course) == [NEWER.format(START)]
    assert (course / COPY / START).read_bytes() == before
    retitle(course / "notebooks" / "01_next.ipynb", "Moved")  # was unchanged, so it has a record
    assert prepare(course) == [NEWER.format(START)]


def test_fresh_begins_anew_and_keeps_every_old_copy(course):
    assert prepare(course, fresh=True) == [FIRST]
    for number in (1, 2):
        retitle(course / COPY / START, f"Thoughts {number}")
        old = f"Your old copy of the notebooks is kept in {COPY}-{number}/."
        assert prepare(course, fresh=True) == [old, FIRST]
    for number in (1, 2):
        kept = nbformat.read(course / f"{COPY}-{number}" / START, as_version=4)
        assert kept.cells[0].source == f"# Thoughts {number}"
    now = nbformat.read(course / COPY / START, as_version=4)
    assert now.cells[0].source.startswith("# Start")


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")
def test_git_ignores_every_copy(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    ask = ["git", "-C", str(tmp_path), "check-ignore", "-q", "--no-index"]
    for name in (f"{COPY}/{START}", f"{COPY}/{RECORD}", f"{COPY}-12/{START}"):
        assert subprocess.run([*ask, name]).returncode == 0, name
    assert subprocess.run([*ask, f"notebooks/{START}"]).returncode == 1


# ---- our own notebooks, copied ----


def test_every_link_of_the_copied_notebooks_leads_to_a_file(copied):
    found = sorted(copied.glob("*.ipynb"))
    assert [path.name for path in found] == [
        path.name for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
    ]
    for path in found:
        notebook = nbformat.read(path, as_version=4)
        assert list(notebook_rules.links(notebook, path)) == [], path.name


def test_links_to_pictures_and_to_other_folders_work_from_the_copy(course):
    prepare(course)
    path = course / COPY / START
    notebook = nbformat.read(path, as_version=4)
    assert list(notebook_rules.links(notebook, path)) == []
    (course / COPY / "images" / "lab.png").unlink()
    (course / "docs" / "cluster.md").unlink()
    assert len(list(notebook_rules.links(notebook, path))) == 2


def test_our_notebooks_keep_their_first_figure_and_nothing_behind(copied):
    for path in copied.glob("*.ipynb"):
        code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        assert "image/png" in str([cell.outputs for cell in code]), path.name
        last = max(place for place, cell in enumerate(code) if cell.outputs)
        assert str(code[last].outputs).count("image/png") >= 1, path.name
        assert all(cell.execution_count is None for cell in code[last + 1 :]), path.name


@pytest.mark.slow
def test_stored_results_are_found_from_a_kernel_in_the_copy(copied, notebook):
    cell = (
        "from pathlib import Path\nfrom course_utils import _store as store\n"
        "name = sorted(store.store_folder().glob('00_*.nc'))[0].stem\n"
        "print(Path.cwd().name, store.settings_of(store.load(name)) != {})"
    )
    path = shutil.copy(notebook("99_asks", "# Asks", cell), copied)
    run = execution.execute(Path(path), execution.environment("read"), bar=False)
    Path(path).unlink()
    assert run.problems == [] and run.notebook.cells[1].outputs[0].text == f"{COPY} True\n"


@pytest.mark.slow
def test_nbval_does_not_compare_what_was_cleared(course):
    path = course / "notebooks" / START
    notebook = nbformat.read(path, as_version=4)
    show = f"from IPython.display import display\ndisplay({{'image/png': {PICTURE!r}, "
    notebook.cells[2].source = show + "'text/plain': 'a figure'}, raw=True)\nprint('shown')"
    notebook.cells[4].source = "print('something else')"
    notebook.cells[5].source = "1 + 1"
    nbformat.write(notebook, path)
    prepare(course)
    options = ["--nbval", "--nbval-current-env", "-q", "-rf", "-p", "no:cacheprovider"]
    both = [f"{folder}/{START}" for folder in ("notebooks", COPY)]
    command = [sys.executable, "-m", "pytest", *options, *both]
    done = subprocess.run(command, cwd=course, capture_output=True, text=True, timeout=300)
    assert "2 failed, 6 passed" in done.stdout, done.stdout  # four cells each
    assert done.stdout.count("FAILED notebooks/") == 2, done.stdout


# ---- what cannot be read or written ----


def refused(course: Path, capsys, *arguments: str) -> str:
    """The sentence with which the tool ends before any server starts."""
    with pytest.raises(SystemExit) as ended:
        open_lab.main(arguments, course)
    assert capsys.readouterr().out == ""
    return ended.value.code


def test_where_nothing_can_be_written_one_sentence_says_so(course, capsys, monkeypatch):
    def read_only(path, content):
        raise files.WriteError(f"{path} could not be written: Read-only file system")

    def in_use(path, target):
        raise OSError(16, "In use")

    with monkeypatch.context() as patch:
        patch.setattr(files, "write", read_only)
        assert refused(course, capsys) == (
            f"lab: {course / COPY / START} could not be written: Read-only file system; "
            "your copy of the notebooks needs a folder where you may write"
        )
        (course / COPY).mkdir()
        patch.setattr(Path, "rename", in_use)
        assert f"{course / COPY} could not be renamed: In use;" in refused(
            course, capsys, "--fresh"
        )
    prepare(course)
    monkeypatch.setattr(files, "write", read_only)
    assert prepare(course) == []  # up to date: there is nothing to write


@pytest.mark.parametrize("text", ["<<<<<<< HEAD", "[]", "{}", '{"cells": [1]}', "\xff"])
def test_a_broken_notebook_of_the_course_is_named(course, capsys, text):
    path = course / "notebooks" / "01_next.ipynb"
    path.write_text(text, encoding="latin-1")
    assert refused(course, capsys) == (
        f"lab: {path} is no readable notebook: `git checkout notebooks/01_next.ipynb` restores it"
    )
    assert not (course / COPY).exists()


def test_a_notebook_that_the_reader_broke_is_left_alone(course):
    prepare(course)
    (course / COPY / START).write_text("<<<<<<< HEAD")
    retitle(course / "notebooks" / START, "Moved")
    assert prepare(course) == [NEWER.format(START)]
    assert (course / COPY / START).read_text() == "<<<<<<< HEAD"


def test_pictures_have_the_digest_of_their_bytes():
    assert open_lab.digest(b"\x89PNG") == hashlib.sha256(b"\x89PNG").hexdigest()


# ---- the server ----


def test_root_is_allowed_exactly_where_it_is_needed(monkeypatch):
    for user, allowed in ((0, 1), (1000, 0)):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user, raising=False)
        assert open_lab.command(ROOT).count("--allow-root") == allowed
    monkeypatch.delattr(os, "geteuid")  # Windows
    command = open_lab.command(ROOT, ["--no-browser"])
    assert "--allow-root" not in command and "--no-browser" in command
    assert "--ServerApp.ip=127.0.0.1" in command and "oken" not in " ".join(command)


def test_the_tool_does_not_wait_for_torch():
    code = "import sys, open_lab\nprint({'torch', 'nbformat'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.stdout.strip() == b"set()", done.stderr


def started(course: Path, log: Path) -> tuple[subprocess.Popen, str, str]:
    """The tool that make calls, once its server answers, with its address and token."""
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
    own += ("JUPYTERLAB_WORKSPACES_DIR", "JUPYTERLAB_SETTINGS_DIR")
    folders = {name: str(log.parent / name) for name in own}
    environment = {key: value for key, value in os.environ.items() if key != "JUPYTER_TOKEN"}
    command = [sys.executable, str(course / "tools" / "open_lab.py"), "--no-browser"]
    with log.open("w") as out:
        server = subprocess.Popen(
            [*command, "--ServerApp.port=0"],
            cwd=log.parent,
            env=environment | folders,
            stdout=out,
            stderr=out,
        )
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        time.sleep(0.2)
        for file in Path(folders["JUPYTER_RUNTIME_DIR"]).glob(f"jpserver-{server.pid}.json"):
            known = json.loads(file.read_text() or "{}")
            if known and asked(f"{known['url']}api")[0] == 200:
                return server, known["url"], known["token"]
    server.kill()
    server.wait()
    raise RuntimeError(f"the server does not start:\n{log.read_text()}")


def asked(url: str, token: str = "", body: bytes | None = None) -> tuple[int, str, str]:
    """Status, final address and text of a page; with a `body` it is sent there."""
    request = urllib.request.Request(url, data=body, method="PUT" if body else "GET")
    if token:
        request.add_header("Authorization", f"token {token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.url, answer.read().decode("utf-8")
    except HTTPError as error:
        with error:
            return error.code, error.url, ""
    except OSError:  # it does not listen yet
        return 0, url, ""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address, token, log and checkout of a lab."""
    folder = tmp_path_factory.mktemp("lab")
    course, log = checkout(folder / "course"), folder / "log"
    process, url, token = started(course, log)
    try:
        yield url, token, log, course
    finally:
        process.terminate()
        process.wait(timeout=60)


def check_page(url: str, token: str) -> None:
    """The notebook's page is there with the token, and a login is asked for without."""
    assert url.startswith("http://127.0.0.1:") and len(token) >= 32
    address = f"{url}lab/tree/{COPY}/{START}"
    status, at, text = asked(address, token)
    assert status == 200 and at == address and "jupyter-config-data" in text
    _, at, text = asked(address)
    assert "/login?" in at and "jupyter-config-data" not in text
    assert asked(f"{url}api/contents/{COPY}/{START}")[0] == 403


@pytest.mark.slow
def test_the_server_shows_the_copy_and_leaves_it_untouched_when_it_saves(server):
    url, token, _, course = server
    check_page(url, token)
    assert asked(f"{url}api/contents/docs/cluster.md", token)[0] == 200  # the root is the checkout
    file = f"{url}api/contents/{COPY}/{START}"
    opened = json.loads(asked(file, token)[2])
    opened["content"]["metadata"]["language_info"] = {"name": "python", "version": "3.13.1"}
    before = (course / COPY / START).read_bytes()
    sent = {"type": "notebook", "format": "json", "content": opened["content"]}
    assert asked(file, token, json.dumps(sent).encode())[0] == 200
    after = (course / COPY / START).read_bytes()
    assert after != before and open_lab.digest(after) == open_lab.digest(before)


@pytest.mark.slow
@pytest.mark.skipif(not open_lab.is_root(), reason="you are not root, whom JupyterLab refuses")
def test_root_gets_the_page_and_one_line_that_says_why(server):
    url, token, log, _ = server
    check_page(url, token)
    lines = log.read_text().splitlines()
    assert lines[:2] == [FIRST, "You are root, so JupyterLab is started with --allow-root."]
    assert sum("allow-root" in line for line in lines) == 1


# ---- what make does ----

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
PLAIN = '-m pip install --disable-pip-version-check -c constraints.txt -e ".[dev]"'
SMALL = (
    "-m pip install --disable-pip-version-check -c constraints.txt uv",
    "-m uv pip install --python .venv/bin/python --torch-backend=cpu "
    '-c constraints.txt -e ".[dev]"',
)
INSTALLED_ALREADY = "Torch is installed already; to choose its build anew, 'rm -r .venv' first.\n"


@pytest.fixture
def make(tmp_path):
    """A function that runs our Makefile where .venv's Python only notes what it is asked for.

    It returns status, output, and what Python was asked for since the call before.
    """
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
        command = ["make", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=60
        )
        log = tmp_path / "asked"
        asked = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return done.returncode, done.stdout + done.stderr, asked

    run.folder = tmp_path
    return run


@needs_make
@pytest.mark.parametrize("target", ["lab", "test"])
def test_the_command_that_make_builds(make, target):
    for argument, expected in (("TORCH=cpu", SMALL), ("TORCH=", (PLAIN,))):
        status, printed, asked = make("-n", target, argument)
        installs = [line for line in printed.splitlines() if " install " in line]
        joined = [line for line in installs if line.startswith(".venv/bin/python ")]
        assert status == 0 and asked == []
        assert joined == [f".venv/bin/python {line}" for line in expected]
        assert "://" not in "".join(joined)


@needs_make
def test_the_choice_of_torch_is_remembered_until_venv_is_removed(make):
    lab = "tools/open_lab.py"
    small = [line.replace('"', "") for line in SMALL]
    assert make("lab", "TORCH=cpu")[2] == [*small, lab]
    status, printed, asked = make("lab", "TORCH=cpu")
    assert (status, asked) == (0, [lab]) and INSTALLED_ALREADY not in printed
    assert make("lab")[1:] == (f".venv/bin/python {lab} \n", [lab])
    newer = time.time() + 10
    os.utime(make.folder / "constraints.txt", (newer, newer))
    assert make("lab")[2] == [*small, lab]


@needs_make
@pytest.mark.parametrize("old", ["", "\n"])
def test_a_torch_that_is_there_is_not_replaced_and_one_sentence_says_so(make, old):
    (make.folder / ".venv" / "installed").write_text(old)
    status, printed, asked = make("lab", "TORCH=cpu")
    assert status == 0 and printed.count(INSTALLED_ALREADY) == 1
    assert asked == ["tools/open_lab.py"]
    assert INSTALLED_ALREADY not in make("lab")[1]


@needs_make
@pytest.mark.parametrize("target", ["lab", "test"])
@pytest.mark.parametrize("installed", [False, True])
def test_an_unknown_torch_is_named_before_anything_happens(make, target, installed):
    if installed:
        (make.folder / ".venv" / "installed").touch()
    status, printed, asked = make(target, "TORCH=cuda")
    sentence, *rest = printed.splitlines()
    assert sentence == "TORCH is 'cuda': accepted is cpu, the small build, or nothing."
    assert status != 0 and asked == [] and all(line.startswith("make: ***") for line in rest)


@needs_make
@pytest.mark.parametrize(
    ("value", "flag"), [("1", " --fresh"), ("0", ""), ("no", ""), ("", "")], ids=str
)
def test_fresh_reaches_the_tool(make, value, flag):
    (make.folder / ".venv" / "installed").touch()
    assert make("lab", f"FRESH={value}")[2] == [f"tools/open_lab.py{flag}"]
