"""Nothing that the course opens can run code, and no server of it listens beyond this machine."""

import ast
import ipaddress
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.error import HTTPError

import execution
import nbformat
import open_lab
import psutil
import pytest
from IPython.core.inputtransformer2 import TransformerManager

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CODE = [*sorted((ROOT / "course_utils").glob("*.py")), *sorted((ROOT / "tools").glob("*.py"))]
STORED = sorted((ROOT / "data" / "store").iterdir())

UNPICKLERS = {"pickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve"}  # modules
READING = {"load", "loads", "Unpickler", "open", "Shelf"}  # what is in them, and opens a pickle
UNPICKLING = {f"{module}.{name}" for module in UNPICKLERS for name in READING}
UNPICKLING |= {"joblib.load", "joblib.Memory", "pandas.read_pickle"}
SWITCHED_OFF = re.compile(
    r"(IdentityProvider|ServerApp|NotebookApp|LabApp)\.(token|password)|disable_check_xsrf"
    r"|allow_remote_access|allow_origin|0\.0\.0\.0|\bip=['\"]?(\*|::)|password_required"
)


def imported(tree: ast.AST) -> dict[str, str]:
    """What each name stands for that a file imports: {"np": "numpy", "read": "torch.load"}."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return names


def unpickling(source: str) -> list[str]:
    """What in a Python source would open a pickle, or a file that can hold one."""
    tree = ast.parse(source)
    names = imported(tree)
    found = [name for name in names.values() if name in UNPICKLING]  # from pickle import load
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):  # called, or handed to somebody who calls it
            first, *rest = ast.unparse(node).split(".")
            used = ".".join([names.get(first, first), *rest])
            found += [f"{used}, line {node.lineno}"] if used in UNPICKLING else []
        if not isinstance(node, ast.Call):
            continue
        first, *rest = ast.unparse(node.func).split(".")
        called = ".".join([names.get(first, first), *rest])
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        whole = called == "torch.load" and options.get("weights_only") != "True"
        if whole or options.get("allow_pickle", "False") != "False":
            found.append(f"{called}, line {node.lineno}")
    return found


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.name)
def test_no_code_opens_a_pickle(path):
    found = unpickling(path.read_text(encoding="utf-8"))
    if path.name == "workers.py":  # what a sweep's own processes say to each other, and no file
        found = [name for name in found if not name.startswith("pickle.loads, ")]
    assert found == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_no_notebook_opens_a_pickle(path):
    as_python = TransformerManager().transform_cell  # turns %magics into calls
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert unpickling(as_python(cell.source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(file)",
        "import cloudpickle as cp\nread = cp.loads",
        "from shelve import open",
        "import torch as t\nt.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "from torch import load as read\nread(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import pandas\ndef f():\n    return pandas.read_pickle(path)",
        "import joblib\njoblib.load(path)",
    ],
)
def test_the_check_finds_what_opens_a_pickle(source):
    assert len(unpickling(source)) == 1


def test_the_check_lets_what_is_safe_pass():
    safe = "import pickle, torch, numpy as np\npickle.dumps(1)\nnp.load(path)\n"
    safe += "torch.load(path, weights_only=True)"
    assert unpickling(safe) == []


def test_stored_results_are_of_a_format_that_holds_numbers_and_text_only():
    beginnings = {path.name: path.read_bytes()[:4] for path in STORED}
    assert beginnings and set(beginnings.values()) <= {b"CDF\x01", b"CDF\x02"}  # NetCDF 3


# ---- servers ----


def lab_command(root: Path) -> list[str]:
    """What `make lab` runs, on a copy of the notebooks in `root`; no browser, a free port."""
    (root / "notebooks").symlink_to(ROOT / "notebooks")
    open_lab.prepare(root)
    return open_lab.command(root, ["--no-browser", "--ServerApp.port=0"])


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
    assert unless_ended(process.cmdline) == []


def test_the_kernels_of_the_tools_listen_on_this_machine_only(notebook):
    cell = "import psutil\nprint(*{s.laddr.ip for s in psutil.Process().net_connections('inet')})"
    run = execution.execute(notebook("01_asks", "# Asks", cell), execution.environment("read"))
    addresses = set(run.notebook.cells[1].outputs[0].text.split())
    assert addresses and not outside(addresses)


def test_the_lab_listens_on_this_machine_only_and_wants_its_token(tmp_path):
    command = lab_command(tmp_path)
    assert "--ServerApp.ip=127.0.0.1" in command
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
    environment = {**os.environ, **{name: str(tmp_path / name) for name in own}}
    environment.pop("JUPYTER_TOKEN", None)
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        address, token = started(server, tmp_path / "JUPYTER_RUNTIME_DIR")
        kernels = urllib.request.Request(f"{address}api/kernels", data=b"{}")
        with pytest.raises(HTTPError) as refused:
            urllib.request.urlopen(kernels, timeout=60)
        refused.value.close()
        assert refused.value.code == 403
        kernels.add_header("Authorization", f"token {token}")
        urllib.request.urlopen(kernels, timeout=60).close()
        process = psutil.Process(server.pid)
        running = [" ".join(unless_ended(child.cmdline)) for child in process.children()]
        assert any("ipykernel" in command for command in running)
        assert heard_at(process) and not outside(heard_at(process))
    finally:
        server.terminate()
        server.wait(timeout=60)


def started(server: subprocess.Popen, runtime: Path) -> tuple[str, str]:
    """Address and token of a Jupyter server, once it says them and answers there."""
    for _ in range(600):
        # It writes the file some time before it listens.
        for file in runtime.glob("jpserver-*.json"):
            said = json.loads(file.read_text() or "{}")
            if said and listens(said["port"]):
                return said["url"], said["token"]
        if server.poll() is not None:
            break
        time.sleep(0.2)
    raise RuntimeError("the server does not start")


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionRefusedError:
        return False
    return True


def test_the_search_for_listeners_finds_one_on_every_address():
    code = "import socket; s = socket.create_server(('', 0)); print(flush=True); input()"
    listener = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    listener.stdout.readline()
    found = heard_at(psutil.Process(listener.pid))
    listener.communicate(b"\n")
    assert outside(found) == {"0.0.0.0"}


def test_no_guard_of_a_server_is_switched_off():
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    texts = [*CODE, *NOTEBOOKS, *documents, ROOT / "Makefile", ROOT / "environment.yml"]
    found = {path.name for path in texts if SWITCHED_OFF.search(path.read_text(encoding="utf-8"))}
    assert found == set()
    browser = (ROOT / "tests" / "test_browser.py").read_text(encoding="utf-8")
    assert SWITCHED_OFF.search(browser), "its own server, for a minute, goes without a token"
