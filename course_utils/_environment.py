"""What a run finds around it: COURSE_SEEDS, COURSE_MODE and COURSE_CLAIMS, and the versions."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

MODES = ("read", "verify", "claims", "data")


def parse_seeds(text: str) -> list[int]:
    """Seeds written as a range or a list: ``"0-4"``, ``"3,5,8"`` or ``"0-4,10"``."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal()):
            raise ValueError(f"seeds {text!r}: expected e.g. '0-4' or '3,5,8', got {part!r}")
        if not int(first) <= int(last) < 2**32:
            raise ValueError(f"seeds {text!r}: {part!r} must rise, to less than 2**32")
        seeds += range(int(first), int(last) + 1)
    if len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds {text!r}: each seed may appear once")
    return seeds


def seeds_from_environment() -> list[int]:
    """The seeds of every sweep, from COURSE_SEEDS (default 0-4); the first is trained live."""
    return parse_seeds(os.environ.get("COURSE_SEEDS", "0-4"))


def mode() -> str:
    """How sweeps treat the store, from COURSE_MODE.

    "read" (default) trains one seed and takes the others from the store, "verify" trains all and
    uses nothing stored, "claims" does so where a claim hangs on it and reads the rest, "data"
    trains what is missing or stale and stores it.
    """
    value = os.environ.get("COURSE_MODE", "read")
    if value not in MODES:
        raise ValueError(f"COURSE_MODE is {value!r}; expected one of {', '.join(MODES)}")
    return value


def claims_folder() -> Path | None:
    """Where claim records go, from COURSE_CLAIMS; None (default) means that none are written."""
    folder = os.environ.get("COURSE_CLAIMS")
    return Path(folder) if folder else None


def provenance() -> str:
    """One line that says what produced a result: versions, instruction set, system."""
    return (
        f"course_utils {version('course_utils')}, Python {platform.python_version()}, "
        f"torch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()}), "
        f"numpy {np.__version__}, {platform.system()} {platform.machine()}"
    )
