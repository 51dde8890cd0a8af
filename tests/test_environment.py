"""pyproject.toml, environment.yml, constraints.txt and the Makefile say the same thing."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import check_python
import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
# What Colab shipped in August 2026, with Python 3.13, by its own list of installed packages.
COLAB = {
    **{"torch": "2.11.0", "torchvision": "0.26.0", "numpy": "2.1.3", "scipy": "1.16.3"},
    **{"pandas": "2.2.3", "xarray": "2025.12.0", "scikit-learn": "1.6.1", "joblib": "1.5.3"},
    **{"tqdm": "4.67.3", "matplotlib": "3.10.0", "ipywidgets": "7.7.1", "ipython": "7.34.0"},
    "pillow": "8.0.0",  # not looked up: the least that this matplotlib accepts
}
# Where the names of import and package differ.
MODULES = {"scikit-learn": "sklearn", "ipython": "IPython", "pillow": "PIL"}


def requirements(lines):
    """The requirements on each package, by its normalised name."""
    found = {}
    for requirement in map(Requirement, lines):
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def version(pin):
    """The version that a requirement pins; an error if it is not exactly one."""
    (specifier,) = pin.specifier
    assert specifier.operator == "==" and not (pin.url or pin.extras), f"{pin} is not a pin"
    return Version(specifier.version)


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT = tomllib.loads(text("pyproject.toml"))["project"]
RUNTIME = requirements(PROJECT["dependencies"])
DEV = requirements(PROJECT["optional-dependencies"]["dev"])
CONDA = yaml.safe_load(text("environment.yml"))["dependencies"]
# Some differ between Pythons.
PINS = requirements(re.findall(r"^[^#\n].*$", text("constraints.txt"), flags=re.MULTILINE))


def test_pins_are_exact_serve_every_machine_and_lie_in_the_ranges():
    for name, found in PINS.items():
        assert not any(version(pin).local for pin in found), f"{name}: for one kind of machine"
    for name, found in [*RUNTIME.items(), *DEV.items()]:
        for requirement in found:
            assert all(version(pin) in requirement.specifier for pin in PINS[name]), name


def test_everything_that_gets_installed_is_pinned():
    waiting, seen = [*RUNTIME, *DEV], set()
    without_extras = default_environment() | {"extra": ""}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for needed in map(Requirement, metadata.requires(name) or []):
            if needed.marker is None or needed.marker.evaluate(without_extras):
                waiting.append(canonicalize_name(needed.name))
    assert seen - set(PINS) == set()


@pytest.mark.skipif("CI" not in os.environ, reason="you may try other versions; CI uses the pins")
def test_installed_versions_are_the_pins():
    for name, found in PINS.items():
        chosen = [pin for pin in found if pin.marker is None or pin.marker.evaluate()]
        try:
            installed = Version(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue  # a CPU-only torch does without the CUDA libraries
        assert [version(pin).public for pin in chosen] == [installed.public], name


def test_torchvision_belongs_to_torch():
    (torch,) = PINS["torch"]
    (wanted,) = requirements(metadata.requires("torchvision"))["torch"]
    assert version(torch) in wanted.specifier


def test_conda_installs_the_same_with_a_supported_python():
    pip = CONDA[-1]["pip"]
    assert {"-c constraints.txt", "-e .[dev]"} <= set(pip)
    for name, (requirement,) in requirements(line for line in pip if line[0] != "-").items():
        (expected,) = DEV.get(name) or RUNTIME[name]
        assert requirement.specifier == expected.specifier, name
    supported = SpecifierSet(PROJECT["requires-python"])
    (python,) = [entry for entry in CONDA if str(entry).startswith("python=")]
    assert python.removeprefix("python=") in supported
    for minor in range(9, 17):
        complaint = check_python.complaint((3, minor), modules_found=True)
        assert (complaint is None) == (f"3.{minor}" in supported), complaint
    assert "python3-venv" in check_python.complaint((3, 12), modules_found=False)


@pytest.mark.parametrize("name", ["pyproject.toml", "environment.yml", "constraints.txt"])
def test_no_file_names_an_index(name):
    assert "://" not in text(name) and "index-url " not in text(name)


def test_colab_has_what_the_package_needs():
    for name, (requirement,) in RUNTIME.items():
        assert Version(COLAB[name]) in requirement.specifier, name


def test_package_imports_what_it_declares():
    known = {MODULES.get(name, name) for name in RUNTIME} | {"course_utils"}
    known |= sys.stdlib_module_names
    for path in (ROOT / "course_utils").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = [node.module] if isinstance(node, ast.ImportFrom) else []
            named += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert {name.partition(".")[0] for name in named} <= known, f"{path.name}: {named}"


# ---- the Makefile, where there is make ----


def make(*arguments):
    """The exit status of make and what it printed."""
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    options = {"cwd": ROOT, "env": clean, "capture_output": True, "text": True, "timeout": 60}
    done = subprocess.run(["make", *arguments], **options)
    return done.returncode, done.stdout + done.stderr


def test_help_lists_every_target():
    targets = set(re.findall(r"^([a-z][a-z-]*):", text("Makefile"), re.M)) - {"need-seeds"}
    status, printed = make("help")
    assert status == 0 and {line.split()[1] for line in printed.splitlines()} == targets
    phony = re.search(r"^\.PHONY: (.*)$", text("Makefile"), re.M)[1].split()
    assert set(phony) == targets | {"need-seeds"}


def test_replicate_without_seeds_says_what_is_missing():
    status, printed = make("replicate")
    assert status != 0 and "make replicate SEEDS=101-110" in printed
