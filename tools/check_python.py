"""What stops this Python from running the course, in one sentence; silent when nothing does.

Run by the Makefile before it makes `.venv`: `python3 tools/check_python.py`. It must run on old
Python 3 too.
"""

import importlib.util
import sys

OLDEST, NEWEST = (3, 11), (3, 13)  # requires-python in pyproject.toml; a test keeps them equal


def complaint(version, modules_found):
    """One sentence, or None: `version` is (major, minor), `modules_found` says venv works."""
    if not OLDEST <= version <= NEWEST:
        return (
            "The course needs Python 3.11, 3.12 or 3.13, and this one is {}.{}: "
            "install one of them and name it, as in `make PYTHON=python3.12 lab`."
        ).format(*version)
    if not modules_found:
        return (
            "This Python cannot make a virtual environment: on Debian and Ubuntu "
            "`sudo apt install python3-venv` brings what is missing."
        )
    return None


if __name__ == "__main__":
    found = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
    sys.exit(complaint(sys.version_info[:2], found))
