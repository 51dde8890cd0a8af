"""Nothing that the course opens can run code, and no server of it listens beyond this machine."""

import ipaddress
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import execution
import open_lab
import psutil
import pytest
import requests  # JupyterLab brings it along

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CODE = [*sorted((ROOT / "course_utils").glob("*.py")), *sorted((ROOT / "tools").glob("*.py"))]
STORED = sorted((ROOT / "data" / "store").iterdir())

UNPICKLING = re.compile(  # what opens a pickle, or a file that can hold one
    r"\b(import|from)\b[\w., ]*\b(_?pickle|cloudpickle|dill|marshal|shelve)\b|read_pickle"
    r"|\btorch(\.load\((?!.*weights_only=True)|\b.*import.*\bload\b)|allow_pickle=(?!False)"
    r"|\bjoblib(\.|\b.*import.*\b)(load|Memory)\b"
)
SWITCHED_OFF = re.compile(
    r"(IdentityProvider|ServerApp|NotebookApp|LabApp)\.(token|password)|disable_check_xsrf"
    r"|allow_remote_access|allow_origin|0\.0\.0\.0|\bip=['\"]?(\*|::)|password_required"
)


def test_nothing_opens_a_pickle():
    own = "_workers.py"  # what a sweep's own processes say to each other, and no file
    texts = [path for path in (*CODE, *NOTEBOOKS) if path.name != own]
    assert len(texts) == len(CODE) + len(NOTEBOOKS) - 1
    for path in texts:
        assert not UNPICKLING.search(path.read_text(encoding="utf-8")), path.name


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("import cloudpickle as cp", True),
        ("from shelve import open", True),
        ("torch.load(path)", True),
        ("torch.load(path, weights_only=True)", False),
        ("from torch import load as read", True),
        ("np.load(path, allow_pickle=True)", True),
        ("np.load(path, allow_pickle=False)", False),
        ("joblib.load(path)", True),
        ("from torch import nn  # needs no pickle", False),
    ],
)
def test_the_search_finds_what_opens_a_pickle_and_nothing_else(source, is_found):
    assert bool(UNPICKLING.search(source)) == is_found


def test_stored_results_are_of_a_format_that_holds_numbers_and_text_only():
    beginnings = {path.read_bytes()[:4] for path in STORED}
    assert beginnings and beginnings <= {b"CDF\x01", b"CDF\x02"}  # NetCDF 3


# ---- servers ----


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[tuple[int, str, dict[str, str]]]:
    """A Jupyter server whose settings and log lie in `folder`: process, address, its token."""
    own = ("CONFIG_DIR", "RUNTIME_DIR", "DATA_DIR")
    folders = {f"JUPYTER_{name}": str(folder / name) for name in own}
    surroundings = {**os.environ, **folders, "IPYTHONDIR": str(folder), "JUPYTER_TOKEN": ""}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=surroundings, stdout=log, stderr=log)
    try:
        url, token = started(server, folder)
        yield server.pid, url, {"Authorization": f"token {token}"}
    finally:
        server.terminate()
        server.wait(timeout=60)


def started(server: subprocess.Popen, folder: Path) -> tuple[str, str]:
    """Address and token of a server, once it says them and answers there."""
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        time.sleep(0.2)
        for file in folder.glob("RUNTIME_DIR/jpserver-*.json"):
            said = json.loads(file.read_text() or "{}")  # some time before it listens
            with suppress(KeyError, requests.ConnectionError):
                requests.get(f"{said['url']}api", timeout=60)
                return said["url"], said["token"]
    raise RuntimeError(f"the server does not start:\n{(folder / 'log').read_text()}")


def unless_ended(ask: Callable[[], list]) -> list:
    """What a process answers, or nothing: a server's helpers come and go while we look."""
    try:
        return ask()
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # the latter for others' zombies
        return []


def heard_at(process: psutil.Process) -> set[str]:
    """The addresses at which a process and its descendants listen."""
    family = [process, *process.children(recursive=True)]
    asked = [partial(member.net_connections, "inet") for member in family]
    known = [one for ask in asked for one in unless_ended(ask)]
    return {one.laddr.ip for one in known if one.status in ("LISTEN", "NONE")}


def outside(addresses: set[str]) -> set[str]:
    return {address for address in addresses if not ipaddress.ip_address(address).is_loopback}


def test_a_process_that_has_ended_answers_nothing():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    process = psutil.Process(ended.pid)
    while process.status() != psutil.STATUS_ZOMBIE:  # nobody has waited for it yet
        time.sleep(0.01)
    assert unless_ended(process.cmdline) == [] and heard_at(process) == set()
    ended.wait()


def test_the_kernels_of_the_tools_listen_on_this_machine_only(notebook):
    cell = "import psutil\nprint(*{s.laddr.ip for s in psutil.Process().net_connections('inet')})"
    run = execution.execute(notebook("01_asks", "# Asks", cell), execution.environment("read"))
    addresses = set(run.notebook.cells[1].outputs[0].text.split())
    assert addresses and not outside(addresses)


def test_the_lab_listens_on_this_machine_only_and_wants_its_token(tmp_path):
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    open_lab.prepare(tmp_path)
    command = open_lab.command(tmp_path, ["--no-browser", "--ServerApp.port=0"])
    with running(command, tmp_path) as (pid, url, token):
        for headers, status in (({}, 403), (token, 201)):
            asked = requests.post(f"{url}api/kernels", data=b"{}", headers=headers, timeout=60)
            assert asked.status_code == status
        process = psutil.Process(pid)
        children = [" ".join(unless_ended(child.cmdline)) for child in process.children()]
        assert any("ipykernel" in command for command in children)
        assert heard_at(process) and not outside(heard_at(process))


def test_the_search_for_listeners_finds_one_on_every_address():
    with socket.create_server(("", 0)):
        assert "0.0.0.0" in outside(heard_at(psutil.Process()))


def test_no_guard_of_a_server_is_switched_off():
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    texts = [*CODE, *NOTEBOOKS, *documents, ROOT / "Makefile", ROOT / "environment.yml"]
    found = {path.name for path in texts if SWITCHED_OFF.search(path.read_text(encoding="utf-8"))}
    assert found == set()
    browser = (ROOT / "tests" / "test_browser.py").read_text(encoding="utf-8")
    assert SWITCHED_OFF.search(browser), "its own server, for a minute, goes without a token"
