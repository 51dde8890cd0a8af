"""One run by itself: on one thread, from its own seed, and without a trace. All numbers pass here.

The fingerprint of every experiment includes this module's `isolated` and `result_of`.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import xarray as xr

from course_utils import _arguments

Experiment = Callable[..., xr.Dataset]
Run = tuple[Any, ...]  # the value of each setting, then the seed


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Run a block on one thread with all generators seeded, and leave no trace.

    Code that draws from the global generators of Python, numpy or torch (``nn.Linear``'s
    initialisation, say) depends on `seed` alone. One thread, because the order of a parallel sum,
    and with it the last digit, depends on how many there are.
    """
    seed = _arguments.seed(seed)
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


def result_of(experiment: Experiment, settings: Sequence[str], run: Run) -> xr.Dataset:
    """What `experiment` returns at the values that `run` gives to its settings and its seed."""
    with isolated(run[-1]):
        values = experiment(**dict(zip(settings, run[:-1], strict=True)), seed=run[-1])
    if not isinstance(values, Mapping) or not values:
        raise TypeError(
            f"the experiment must return a Dataset or a dict of numbers, got {values!r:.80}"
        )
    return values if isinstance(values, xr.Dataset) else xr.Dataset(values)
