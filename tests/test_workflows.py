"""What the workflow leaves out on a system is what it cannot run, and is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKFLOW = ROOT / ".github" / "workflows" / "test.yml"
OPTION = re.compile(r"--(?:ignore|deselect)=(tests/\w+\.py)(?:::(\w+))?")
# A file that Windows is to run has none of these, but in tests that are left out by name.
UNIX_ONLY = re.compile(
    r"\bfcntl\b|\bos\.(?:killpg|fork|getuid|geteuid)\(|\bSIGKILL\b|STATUS_ZOMBIE|symlink_to|"
    r"start_new_session|\"unshare\"|\bos\.kill\("
)


def left_out(system: str) -> list[tuple[str, str]]:
    """The tests that `system` leaves out: file and name ("" means all)."""
    text = WORKFLOW.read_text(encoding="utf-8")
    (shell,) = re.findall(rf"^ *{system}\) (.*?);;", text, re.M | re.S)
    return OPTION.findall(shell)


@pytest.mark.parametrize("system", ["macOS", "Windows"])
def test_what_a_system_leaves_out_exists(system):
    assert left_out(system)
    for file, name in left_out(system):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not name or f"def {name}(" in text, f"{file} has no {name}"


def test_windows_leaves_out_every_file_that_it_cannot_run():
    out = {file for file, _ in left_out("Windows")}
    for path in (ROOT / "tests").glob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        if path != Path(__file__) and "mark.browser" not in text and UNIX_ONLY.search(text):
            assert f"tests/{path.name}" in out, UNIX_ONLY.search(text)[0]
