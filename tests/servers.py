"""A Jupyter server for a test, with settings of its own."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests  # JupyterLab brings it along


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[tuple[int, str, dict[str, str]]]:
    """A Jupyter server whose settings and log lie in `folder`: process, address, its token."""
    own = ("CONFIG_DIR", "RUNTIME_DIR", "DATA_DIR")
    folders = {f"JUPYTER_{name}": str(folder / name) for name in own}
    surroundings = {**os.environ, **folders, "IPYTHONDIR": str(folder), "JUPYTER_TOKEN": ""}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=surroundings, stdout=log, stderr=log)
    try:
        said = address_and_token(server, folder)
        yield server.pid, said["url"], {"Authorization": f"token {said['token']}"}
    finally:
        server.terminate()
        server.wait(timeout=60)


def address_and_token(server: subprocess.Popen, folder: Path) -> dict[str, str]:
    """What a server says of itself, once it answers."""
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        time.sleep(0.2)
        for file in folder.glob("RUNTIME_DIR/jpserver-*.json"):
            said = json.loads(file.read_text() or "{}")  # some time before it listens
            with suppress(KeyError, requests.ConnectionError):
                requests.get(f"{said['url']}api", timeout=60)
                return said
    raise RuntimeError(f"the server does not start:\n{(folder / 'log').read_text()}")
