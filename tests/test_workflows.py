"""The workflows say what the rest of the course says; nothing here runs them."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = [f"3.{n}" for n in range(20) if f"3.{n}" in SpecifierSet(PROJECT["requires-python"])]
OPTION = re.compile(r"--(?:ignore|deselect)=(tests/\w+\.py)(?:::(\w+))?( # \w.*)?")
# A file that Windows is to run has none of these, but in tests that are left out by name.
UNIX_ONLY = re.compile(
    r"\bfcntl\b|\bos\.(?:killpg|fork|getuid|geteuid)\(|\bSIGKILL\b|STATUS_ZOMBIE|symlink_to|"
    r"start_new_session|\"unshare\"|\bos\.kill\("
)


def read(name: str) -> dict:
    """A workflow, its comments apart; the trigger's key `on` is True in YAML 1.1."""
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))


def steps(workflow: dict) -> list[dict]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def commands(workflow: dict) -> str:
    """All that the steps run, one command a line or more."""
    return "\n".join(step["run"] for step in steps(workflow) if "run" in step)


def requirements(lines: list[str]) -> dict[str, SpecifierSet]:
    return {found.name: found.specifier for found in map(Requirement, lines)}


def left_out(system: str) -> list[tuple[str, str, str]]:
    """The tests that `system` leaves out: file, name ("" means all) and reason of each."""
    (shell,) = re.findall(rf"^ *{system}\) (.*?);;", commands(read("test.yml")), re.M | re.S)
    return OPTION.findall(shell)


def test_they_are_what_the_schema_of_workflows_admits():
    schema = ["--builtin-schema", "vendor.github-workflows"]  # comes with the package: no network
    command = [sys.executable, "-m", "check_jsonschema", *schema, *map(str, WORKFLOWS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert len(WORKFLOWS) == 2 and done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_they_may_read_and_no_more_and_name_what_there_is(path):
    workflow, text = read(path.name), path.read_text(encoding="utf-8")  # with comments
    assert workflow["permissions"] == {"contents": "read"} and "secrets." not in text
    jobs = workflow["jobs"].values()
    assert all("permissions" not in job and "timeout-minutes" in job for job in jobs)
    used = {step["uses"] for step in steps(workflow) if "uses" in step}
    assert used == {"actions/checkout@v4", "actions/setup-python@v5"}
    named = set(re.findall(r"(?:[\w-]+/)*[\w-]+\.(?:py|sh|ipynb|txt|toml|yml)\b", text))
    assert {"constraints.txt", "notebooks/00_start_here.ipynb"} <= named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    called = re.findall(r"^ *make (.+)$", commands(workflow), flags=re.MULTILINE)
    for word in " ".join(called).split():
        name, equals, _ = word.partition("=")
        pattern = rf"\$\(({name})\)" if equals else rf"^{name}:"
        assert re.search(pattern, makefile, flags=re.MULTILINE), f"make knows no {name}"


def test_pythons_and_torches_are_those_of_the_project():
    matrix = read("test.yml")["jobs"]["everywhere"]["strategy"]["matrix"]
    assert matrix["python-version"] == PYTHONS
    rows = read("nightly.yml")["jobs"]["torch"]["strategy"]["matrix"]["include"]
    chosen = {row["age"]: requirements(row["torch"].split()) for row in rows}
    assert {row["python-version"] for row in rows} <= set(PYTHONS)
    ours = requirements(PROJECT["dependencies"])
    for name in ("torch", "torchvision"):
        (oldest,) = [end for end in ours[name] if end.operator == ">="]
        assert chosen["oldest"][name] == SpecifierSet(f"=={oldest.version}.0"), name
        assert chosen["newest"][name] == SpecifierSet(), name


@pytest.mark.parametrize("system", ["macOS", "Windows"])
def test_what_a_system_leaves_out_exists_and_has_its_reason(system):
    assert left_out(system)
    for file, name, reason in left_out(system):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert reason, f"{file} is left out on {system}, and why?"
        assert not name or f"def {name}(" in text, f"{file} has no {name}"


def test_windows_leaves_out_every_file_that_it_cannot_run():
    out = {file for file, _, _ in left_out("Windows")}
    for path in (ROOT / "tests").glob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        if path != Path(__file__) and "mark.browser" not in text and UNIX_ONLY.search(text):
            assert f"tests/{path.name}" in out, UNIX_ONLY.search(text)[0]
