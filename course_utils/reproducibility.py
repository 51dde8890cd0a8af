"""Seeds, single-threaded determinism and provenance: what makes a run repeatable.

Everything that a run's numbers may depend on from outside is read here, and only here: the
environment variables COURSE_SEEDS, COURSE_MODE and COURSE_CLAIMS.
"""

import os
import platform
import random
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from course_utils.checks import whole_number

MODES = ("read", "verify", "data")
MOST_SEEDS = 10_000


def parse_seeds(text: str) -> list[int]:
    """Seeds written as a range or a list: ``"0-4"``, ``"3,5,8"`` or ``"0-4,10"``.

    Raises
    ------
    TypeError, ValueError
        If a part is neither a non-negative whole number nor an increasing range of them, a seed
        appears twice or is 2**32 or larger, or there are more than 10,000.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be seeds such as '0-4' or '3,5,8', got {text!r}")
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"seeds {text!r}: expected e.g. '0-4' or '3,5,8', got {part!r}")
        stop = int(last) if dash else int(first)
        if stop < int(first):
            raise ValueError(f"seeds {text!r}: the range {part!r} runs backwards")
        if stop >= 2**32 or len(seeds) + stop - int(first) >= MOST_SEEDS:  # or memory fills up
            raise ValueError(f"seeds {text!r}: expected {MOST_SEEDS:,} at most, below 2**32")
        seeds += range(int(first), stop + 1)
    if len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds {text!r}: each seed may appear once")
    return seeds


def seeds_from_environment() -> list[int]:
    """The seeds of every sweep, from COURSE_SEEDS (default 0-4); the first is trained live."""
    return parse_seeds(os.environ.get("COURSE_SEEDS", "0-4"))


def mode() -> str:
    """How sweeps treat the store, from COURSE_MODE.

    "read" (default) trains one seed and takes the others from the store, "verify" trains all and
    uses nothing stored, "data" trains all and rewrites the store.

    Raises
    ------
    ValueError
        If COURSE_MODE is something else.
    """
    value = os.environ.get("COURSE_MODE", "read")
    if value not in MODES:
        raise ValueError(f"COURSE_MODE is {value!r}; expected one of {', '.join(MODES)}")
    return value


def claims_folder() -> Path | None:
    """Where claim records go, from COURSE_CLAIMS; None (default) means that none are written."""
    folder = os.environ.get("COURSE_CLAIMS")
    return Path(folder) if folder else None


def check_seed(seed: object) -> int:
    """`seed` as an int, or an error that names it.

    Raises
    ------
    TypeError
        If it is not a whole number.
    ValueError
        If it is outside 0 .. 2**32 - 1, what numpy accepts.
    """
    return whole_number("seed", seed, 0, 2**32 - 1)


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Run a block on one thread with all generators seeded, and leave no trace.

    Inside, Python's, numpy's and torch's global generators start from `seed`, so that even code
    which draws from them (``nn.Linear``'s initialisation, say) depends on the seed alone. One
    thread, because the order of a parallel sum, and with it the last digit, depends on how many
    there are. On leaving, generators and thread count are as they were.
    """
    seed = check_seed(seed)
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    threads = torch.get_num_threads()
    with torch.random.fork_rng():
        try:
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            torch.manual_seed(seed)
            torch.set_num_threads(1)
            yield
        finally:
            torch.set_num_threads(threads)
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def provenance() -> str:
    """One line that says what produced a result: versions, instruction set, system."""
    return (
        f"course_utils {version('course_utils')}, Python {platform.python_version()}, "
        f"torch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()}), "
        f"numpy {np.__version__}, {platform.system()} {platform.machine()}"
    )
