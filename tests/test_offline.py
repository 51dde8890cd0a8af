"""tools/offline.py: the command runs as it would, but reaches nothing outside this machine."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import offline
import pytest

TOOLS = Path(offline.__file__).parent
INTERFACES = "import socket\nprint(socket.if_nameindex())"
SERVER_HERE = """with socket.create_server(("127.0.0.1", 0)) as server:
    with socket.create_connection(server.getsockname(), timeout=5) as client:
        server.accept()[0].sendall(b"reached")
        print(client.recv(7))"""
OUTSIDE = """try:
    socket.create_connection(("192.0.2.1", 80), timeout=60)
except OSError as error:
    print(repr(error))"""
EXECUTE = """import sys
from pathlib import Path
sys.path.insert(0, {tools!r})
from execution import environment, execute
run = execute(Path({path!r}), environment("read"))
for cell in run.notebook.cells[1:]:
    print(*(output.text for output in cell.outputs), end="")
sys.exit(len(run.problems))"""


def call(*command: str, **options) -> subprocess.CompletedProcess:
    """What became of a command behind tools/offline.py."""
    command = [sys.executable, str(TOOLS / "offline.py"), *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


@pytest.fixture
def possible():
    if reason := offline.why_not():
        pytest.skip(f"the network cannot be cut off here: {reason}")


def test_a_kernel_reaches_this_machine_and_nothing_else(possible, notebook):
    path = notebook("01_asks", "# Asks", INTERFACES, SERVER_HERE, OUTSIDE)
    done = call(sys.executable, "-c", EXECUTE.format(tools=str(TOOLS), path=str(path)))
    assert done.returncode == 0, done.stderr
    interfaces, here, outside = done.stdout.splitlines()
    assert interfaces == "[(1, 'lo')]"
    assert here == "b'reached'"
    assert "unreachable" in outside, "refused at once, and not timed out"


def test_environment_user_and_status_pass_through(possible):
    code = "import os, sys; print(os.environ['COLOUR'], os.getuid(), sys.argv); sys.exit(7)"
    done = call(sys.executable, "-c", code, "-k", "a b", env={**os.environ, "COLOUR": "green"})
    assert done.stdout == f"green {os.getuid()} ['-c', '-k', 'a b']\n" and done.stderr == ""
    assert done.returncode == 7
    killed = call(sys.executable, "-c", "import os; os.kill(os.getpid(), 15)")
    assert killed.returncode == -signal.SIGTERM


def test_an_interrupt_reaches_the_command(possible):
    code = (
        "import signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n    print('waits', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt:\n    print('interrupted'); raise SystemExit(42)"
    )
    command = [sys.executable, str(TOOLS / "offline.py"), sys.executable, "-c", code]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "waits\n"
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (printed, process.returncode) == ("interrupted\n", 42)


@pytest.mark.parametrize("ci", [False, True])
def test_where_it_is_impossible_it_says_so_and_in_ci_it_fails(monkeypatch, capsys, ci):
    started = []
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(offline, "why_not", lambda: cannot())
    monkeypatch.setattr(os, "execvp", lambda program, command: started.append(command))
    monkeypatch.setenv("CI", "true") if ci else monkeypatch.delenv("CI", raising=False)
    status = offline.main(["echo", "hello"])
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "offline: the network cannot be cut off here (darwin has no network namespaces)"
    assert (status, started) == ((1, []) if ci else (None, [["echo", "hello"]]))


def cannot() -> str:
    """What `why_not` finds out in a process of its own, found in this one."""
    with pytest.raises(OSError) as caught:
        offline.cut_off()
    return str(caught.value)


def test_no_command_and_an_unknown_one_are_named(capsys):
    assert offline.main([]) == 2 and "usage" in capsys.readouterr().err
    done = call("no-such-command")
    assert done.returncode == 127 and "no-such-command: No such file" in done.stderr
