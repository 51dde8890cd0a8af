"""pyproject.toml, environment.yml and constraints.txt say the same thing."""

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import check_python
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

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
    """What is required of each package, by its normalised name."""
    return {canonicalize_name(one.name): one.specifier for one in map(Requirement, lines)}


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT = tomllib.loads(text("pyproject.toml"))["project"]
RUNTIME = requirements(PROJECT["dependencies"])
DEV = requirements(PROJECT["optional-dependencies"]["dev"])
CONDA = yaml.safe_load(text("environment.yml"))["dependencies"]
PINS = requirements(re.findall(r"^[^#\n].*$", text("constraints.txt"), flags=re.MULTILINE))


def test_everything_that_gets_installed_is_pinned():
    waiting, seen = {*RUNTIME, *DEV}, set()
    without_extras = default_environment() | {"extra": ""}
    while waiting:
        name = waiting.pop()
        seen.add(name)
        needed = map(Requirement, metadata.requires(name) or [])
        used = [one for one in needed if not one.marker or one.marker.evaluate(without_extras)]
        waiting |= {canonicalize_name(one.name) for one in used} - seen
    assert seen - set(PINS) == set()


def test_conda_installs_the_same_with_a_supported_python():
    pip = CONDA[-1]["pip"]
    assert {"-c constraints.txt", "-e .[dev]"} <= set(pip)
    named = requirements(line for line in pip if line[0] != "-")
    assert named.items() <= (RUNTIME | DEV).items()
    supported = SpecifierSet(PROJECT["requires-python"])
    (python,) = [entry for entry in CONDA if str(entry).startswith("python=")]
    assert python.removeprefix("python=") in supported
    for minor in range(9, 17):
        complaint = check_python.complaint((3, minor), modules_found=True)
        assert (complaint is None) == (f"3.{minor}" in supported), complaint


def test_no_file_names_an_index():
    for name in ("pyproject.toml", "environment.yml", "constraints.txt"):
        assert "://" not in text(name) and "index-url " not in text(name)


def test_colab_has_what_the_package_needs():
    for name, accepted in RUNTIME.items():
        assert COLAB[name] in accepted, name


def test_package_imports_what_it_declares():
    known = {MODULES.get(name, name) for name in RUNTIME} | sys.stdlib_module_names
    for path in (ROOT / "course_utils").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = [node.module] if isinstance(node, ast.ImportFrom) else []
            named += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            used = {name.partition(".")[0] for name in named} - {"course_utils"}
            assert used <= known, f"{path.name}: {used}"
