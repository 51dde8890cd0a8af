"""The workflows may read and no more, and leave out on a system what it cannot run."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = {path.name: path for path in (ROOT / ".github" / "workflows").glob("*.yml")}
OPTION = re.compile(r"--(?:ignore|deselect)=(tests/\w+\.py)(?:::(\w+))?")
# A file that Windows is to run has none of these, but in tests that are left out by name.
UNIX_ONLY = re.compile(
    r"\bfcntl\b|\bos\.(?:killpg|fork|getuid|geteuid)\(|\bSIGKILL\b|STATUS_ZOMBIE|symlink_to|"
    r"start_new_session|\"unshare\"|\bos\.kill\("
)


def left_out(system: str) -> list[tuple[str, str]]:
    """The tests that `system` leaves out: file and name ("" means all)."""
    text = WORKFLOWS["test.yml"].read_text(encoding="utf-8")
    (shell,) = re.findall(rf"^ *{system}\) (.*?);;", text, re.M | re.S)
    return OPTION.findall(shell)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_they_may_read_and_no_more(name):
    text = WORKFLOWS[name].read_text(encoding="utf-8")
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    assert text.count("permissions:") == 1 and "secrets." not in text


def test_every_python_of_the_project_is_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    supported = SpecifierSet(project["requires-python"])
    everywhere = yaml.safe_load(WORKFLOWS["test.yml"].read_text(encoding="utf-8"))["jobs"]
    tested = everywhere["everywhere"]["strategy"]["matrix"]["python-version"]
    assert tested == [f"3.{n}" for n in range(20) if f"3.{n}" in supported]


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
