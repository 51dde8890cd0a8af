"""tools/offline.sh: the command runs as it would, but reaches nothing outside this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "tools" / "offline.sh"
ASKS = """import os, socket, sys
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname(), timeout=5).close()
try:
    socket.create_connection(("192.0.2.1", 80), timeout=60)
except OSError as error:
    print(error.strerror, os.getuid(), os.environ["COLOUR"], *sys.argv[1:])
sys.exit(7)"""


def call(*command: str, **variables: str) -> tuple[int, str, str]:
    """Status, output and errors of a command behind tools/offline.sh."""
    options = {"env": {**os.environ, "CI": "", "COLOUR": "green"} | variables, "timeout": 120}
    done = subprocess.run(["/bin/sh", SCRIPT, *command], capture_output=True, text=True, **options)
    return done.returncode, done.stdout, done.stderr


def test_a_command_reaches_this_machine_and_nothing_else():
    status, printed, errors = call(sys.executable, "-c", ASKS, "-k", "a b")
    if "cannot be cut off here" in errors and "CI" not in os.environ:
        pytest.skip(errors)
    # Refused at once, and not timed out; user, environment and arguments are as they were.
    expected = f"Network is unreachable {os.getuid()} green -k a b\n"
    assert (status, printed, errors) == (7, expected, "")


@pytest.mark.parametrize(("ci", "expected"), [("", (0, "hello\n")), ("true", (1, ""))])
def test_where_it_is_impossible_it_says_so_and_in_ci_it_fails(tmp_path, ci, expected):
    status, printed, errors = call("/bin/echo", "hello", CI=ci, PATH=str(tmp_path))
    assert (status, printed) == expected
    assert errors.startswith("offline: the network cannot be cut off here (")
