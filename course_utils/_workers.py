"""Worker processes, on this machine or on a Dask cluster: what they compute, as it arrives."""

import multiprocessing
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import BrokenExecutor, as_completed
from importlib import import_module
from typing import Any

import joblib

from course_utils import _arguments

Outcome = tuple[Any, Any, float]  # a run, its result or the error, its CPU seconds


def outcomes(
    function: Callable[[Any], Outcome], runs: Sequence[Any], workers: int | None = None
) -> Generator[Outcome, None, None]:
    """``function(run)`` of all `runs`, in any order, from wherever joblib is set up to compute.

    `function` does not raise. A `BrokenExecutor` says that the workers went away before the last
    run had arrived. For `workers` see `sweep`.
    """
    backend, configured = joblib.parallel.get_active_backend()
    if workers is None:
        workers = joblib.effective_n_jobs(configured or -1)
    workers = _arguments.whole_number("workers", workers, 1)
    if client := getattr(backend, "client", None):
        backend.effective_n_jobs(-1)  # an error if there are no workers
        return _on_cluster(client, function, runs)
    parallel = joblib.Parallel(min(workers, len(runs)), return_as="generator_unordered")
    return parallel(map(joblib.delayed(function), runs))


def ignore_interrupts() -> None:
    """In a worker process: Ctrl-C is for the main process to handle."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if multiprocessing.parent_process() is not None and in_main_thread:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _on_cluster(
    client: Any, function: Callable[[Any], Outcome], runs: Sequence[Any]
) -> Generator[Outcome, None, None]:
    """The outcomes, as they arrive from the Dask cluster of `client`.

    Not by joblib.Parallel: joblib 1.6 is not told of a run that fails outside of the experiment,
    because it killed one worker after the other, say, and waits for ever.
    """
    for worker, answer in client.run(import_module, __name__, on_error="return").items():
        if isinstance(answer, ImportError):
            raise RuntimeError(f"the worker {worker} cannot import course_utils: {answer}")
    client.run(ignore_interrupts, on_error="ignore")  # not possible in a worker's other threads
    packed = _packed(function)
    executor = client.get_executor(pure=False)
    try:
        futures = {executor.submit(_packed_call, packed, run): run for run in runs}
        for future in as_completed(futures):
            if future.cancelled():
                continue
            run = futures.pop(future)  # let go of it, or it is run again if its worker dies later
            try:
                outcome = pickle.loads(future.result())
            except Exception as error:
                outcome = run, error, 0.0
            yield outcome
        if futures:
            raise BrokenExecutor("the connection to the cluster is lost")
    finally:
        if client.status == "running":
            executor.shutdown(wait=False)  # after an interrupt: what waits is cancelled


def _packed(value: Any) -> bytes:
    """Pickled, with what a notebook defines, and opaque to Dask, which hangs on what fails."""
    return pickle.dumps(joblib.wrap_non_picklable_objects(value, keep_wrapper=False))


def _packed_call(function: bytes, run: Any) -> bytes:
    return _packed(pickle.loads(function)(run))
