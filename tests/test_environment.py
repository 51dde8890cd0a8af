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
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAMED = ("jupyterlab", "torch", "torchvision", "numpy", "matplotlib", "ipywidgets", "nbval")
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
    for line in lines:
        requirement = Requirement(line)
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def pins():
    """The requirements in constraints.txt, by package name; some differ between Pythons."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return requirements(line for line in lines if not line.startswith("#"))


def version(pin):
    """The version that a requirement pins; an error if it is not exactly one."""
    (specifier,) = pin.specifier
    assert specifier.operator == "==", f"{pin} is not a pin"
    return Version(specifier.version)


RUNTIME = requirements(PROJECT["dependencies"])
DEV = requirements(PROJECT["optional-dependencies"]["dev"])
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
PIP = CONDA[-1]["pip"]


def test_pins_are_exact_and_serve_every_machine():
    for name, requirement in ((name, pin) for name, found in pins().items() for pin in found):
        assert requirement.url is None and not requirement.extras
        assert version(requirement).local is None, f"{name} is pinned to one kind of machine"


@pytest.mark.parametrize(
    "requirement",
    [r for group in (RUNTIME, DEV) for found in group.values() for r in found],
    ids=str,
)
def test_range_contains_its_pin(requirement):
    found = pins()[canonicalize_name(requirement.name)]
    assert all(version(pin) in requirement.specifier for pin in found)


def test_everything_that_gets_installed_is_pinned():
    waiting, seen = [*RUNTIME, *DEV], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate(
                default_environment() | {"extra": ""}
            ):
                waiting.append(canonicalize_name(needed.name))
    assert seen - set(pins()) == set()


@pytest.mark.skipif("CI" not in os.environ, reason="you may try other versions; CI uses the pins")
def test_installed_versions_are_the_pins():
    for name, found in pins().items():
        chosen = [pin for pin in found if pin.marker is None or pin.marker.evaluate()]
        try:
            installed = Version(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue  # a CPU-only torch does without the CUDA libraries
        assert [version(pin).public for pin in chosen] == [installed.public], name


def test_torchvision_belongs_to_torch():
    (torch,) = pins()["torch"]
    (wanted,) = requirements(metadata.requires("torchvision"))["torch"]
    assert version(torch) == Version("2.13.0") and version(torch) in wanted.specifier


def test_conda_installs_the_same():
    assert {"-c constraints.txt", "-e .[dev]"} <= set(PIP)
    named = requirements(line for line in PIP if not line.startswith("-"))
    assert tuple(named) == NAMED
    for name, (requirement,) in named.items():
        (expected,) = DEV.get(name) or RUNTIME[name]
        assert requirement.specifier == expected.specifier, name


def test_conda_and_makefile_take_a_supported_python():
    supported = SpecifierSet(PROJECT["requires-python"])
    (python,) = [entry for entry in CONDA if str(entry).startswith("python=")]
    assert python.removeprefix("python=") in supported
    for minor in range(9, 17):
        complaint = check_python.complaint((3, minor), modules_found=True)
        assert (complaint is None) == (f"3.{minor}" in supported), complaint


def test_python_without_venv_is_told_what_to_install():
    assert "python3-venv" in check_python.complaint((3, 12), modules_found=False)


@pytest.mark.parametrize("name", ["pyproject.toml", "environment.yml", "constraints.txt"])
def test_no_file_names_an_index(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text and "index-url " not in text


def test_colab_has_what_the_package_needs():
    for name, (requirement,) in RUNTIME.items():
        assert Version(COLAB[name]) in requirement.specifier, name


def test_package_imports_what_it_declares():
    declared = {MODULES.get(name, name) for name in RUNTIME} | {"course_utils"}
    for path in (ROOT / "course_utils").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            else:
                continue
            unknown = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
            assert unknown <= declared, f"{path.name} imports {unknown - declared}"


# ---- the Makefile, where there is make ----

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


def make(*arguments):
    """The exit status of make and what it printed."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(
        ["make", *arguments], cwd=ROOT, env=clean, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


@needs_make
def test_help_lists_every_target():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", text, flags=re.MULTILINE)) - {"need-seeds"}
    status, printed = make("help")
    lines = [line.split(maxsplit=2) for line in printed.splitlines()]
    assert status == 0 and {name for _, name, _ in lines} == targets
    phony = re.search(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)[1].split()
    assert set(phony) == targets | {"need-seeds"}


@needs_make
def test_replicate_without_seeds_says_what_is_missing():
    status, printed = make("replicate")
    assert status != 0 and "make replicate SEEDS=101-110" in printed
