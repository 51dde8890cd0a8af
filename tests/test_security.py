"""Nothing that the course opens can run code, and no server of it listens beyond this machine."""

import ipaddress
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import execution
import open_lab
import psutil
import pytest
import requests  # JupyterLab brings it along
from servers import running

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


def test_nothing_opens_a_pickle():
    for path in (*CODE, *NOTEBOOKS):
        if path.name != "_workers.py":  # what a sweep's own processes say to each other, no file
            assert not UNPICKLING.search(path.read_text(encoding="utf-8")), path.name


def test_the_search_finds_what_opens_a_pickle_and_nothing_else():
    imported = ("import cloudpickle as cp", "from shelve import open", "from torch import load")
    called = ("torch.load(path)", "np.load(path, allow_pickle=True)", "joblib.load(path)")
    for source in (*imported, *called):
        assert UNPICKLING.search(source), source
    for source in ("torch.load(path, weights_only=True)", "np.load(path, allow_pickle=False)"):
        assert not UNPICKLING.search(source), source


def test_stored_results_are_of_a_format_that_holds_numbers_and_text_only():
    beginnings = {path.read_bytes()[:4] for path in STORED}
    assert beginnings and beginnings <= {b"CDF\x01", b"CDF\x02"}  # NetCDF 3


# ---- servers ----


@pytest.fixture
def server(tmp_path) -> Iterator[tuple[psutil.Process, str, dict[str, str]]]:
    """The lab, its settings in a folder of its own: process, address, and the token to give."""
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    open_lab.prepare(tmp_path)
    command = open_lab.command(tmp_path, ["--no-browser", "--ServerApp.port=0"])
    with running(command, tmp_path) as (number, url, token):
        yield psutil.Process(number), url, token


def heard_at(process: psutil.Process) -> set[str]:
    """The addresses beyond this machine's own at which a process and its children listen."""
    sockets = []
    for member in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # helpers come and go
            sockets += member.net_connections("inet")
    heard = {one.laddr.ip for one in sockets if one.status in ("LISTEN", "NONE")}
    assert heard, "it does not listen at all"
    return {address for address in heard if not ipaddress.ip_address(address).is_loopback}


def test_the_kernels_of_the_tools_listen_on_this_machine_only(notebook):
    cell = "import psutil\nprint(*{s.laddr.ip for s in psutil.Process().net_connections('inet')})"
    run = execution.execute(notebook("01_asks", "# Asks", cell), execution.environment("read"))
    assert run.notebook.cells[1].outputs[0].text == "127.0.0.1\n"


def test_the_lab_listens_on_this_machine_only_and_wants_its_token(server):
    process, url, token = server
    for headers, status in (({}, 403), (token, 201)):
        asked = requests.post(f"{url}api/kernels", data=b"{}", headers=headers, timeout=60)
        assert asked.status_code == status
    assert heard_at(process) == set()
    with socket.create_server(("", 0)):  # the search finds one on every address
        assert heard_at(psutil.Process()) == {"0.0.0.0"}
