"""What a process and all that it started cost: CPU seconds, memory, and who else was busy."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import torch

from course_utils import _files as files

INTERVAL = 0.25  # seconds between two looks at the memory: each look costs the observed a little


@dataclass
class Cost:
    """What a block of code and the processes that it started took.

    seconds, cpu_seconds : of this process and its children, those that have ended included
    peak_mb : largest memory of all children together, in 10**6 bytes; a page that several share
        counts once, where the system says so (Linux)
    others : share of all cores that was busy with something else, 0 to 1
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    others: float = 0.0
    _done: threading.Event = field(default_factory=threading.Event, repr=False)

    def _watch(self) -> None:
        while not self._done.wait(INTERVAL):
            self.peak_mb = max(self.peak_mb, memory_of_children())


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure a block that starts processes; the `Cost` is complete when it is left."""
    cost = Cost()
    watcher = threading.Thread(target=cost._watch, daemon=True)
    started, cpu, busy = time.perf_counter(), _family_seconds(), _busy_seconds()
    watcher.start()
    try:
        yield cost
    finally:
        cost._done.set()
        watcher.join()
        cost.seconds = time.perf_counter() - started
        cost.cpu_seconds = _family_seconds() - cpu
        idle_or_ours = os.cpu_count() * cost.seconds
        cost.others = max(0.0, (_busy_seconds() - busy - cost.cpu_seconds) / idle_or_ours)


def cpu_seconds() -> float:
    """CPU seconds of this process and its living children so far."""
    this, total = psutil.Process(), 0.0
    for process in (this, *this.children(recursive=True)):
        try:
            spent = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # it has just ended
        total += spent.user + spent.system
    return total


def memory_of_children() -> float:
    """Memory of all processes that this one started, in 10**6 bytes."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            memory = process.memory_full_info()
        except psutil.Error:
            continue  # it has just ended
        total += getattr(memory, "pss", memory.uss)  # only Linux shares out what is shared
    return total / 1e6


def keep(file: Path, results: dict | bytes) -> int:
    """Write `results` (a dict as JSON), and say where or why not; call it when they are printed.

    The status of the tool: 0, or 1 if `file` cannot be written.
    """
    content = results if isinstance(results, bytes) else json.dumps(results, indent=1) + "\n"
    try:
        files.write(file, content)
    except files.WriteError as error:
        print(f"\nFAILED: {error}")
        return 1
    print(f"\nkept in {file}")
    return 0


def matrix_rate(threads: int, size: int = 2048) -> float:
    """Floating-point operations a second of torch.mm in float32, the best of five."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        one, other = torch.rand(size, size), torch.rand(size, size)
        times = []
        for _ in range(5):
            started = time.perf_counter()
            torch.mm(one, other)
            times.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(before)
    return 2 * size**3 / min(times)


def _family_seconds() -> float:
    """CPU seconds of this process and of its children, ended or living."""
    times = os.times()
    return cpu_seconds() + times.children_user + times.children_system


def _busy_seconds() -> float:
    """Seconds that all cores together were busy since the machine started."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
