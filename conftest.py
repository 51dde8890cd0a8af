"""The same surroundings for every test, whatever the shell says, and kernels that may die."""

import os
import time
from queue import Empty

from nbval.kernel import RunningKernel

WAIT = 1.0  # seconds between two looks at whether a silent kernel still lives

# The kernels that nbval starts inherit these. `make verify` is the one caller with a mode of its
# own; a mode or seeds left over in the shell must not decide what a test computes, or write data.
if os.environ.get("COURSE_MODE") != "verify":
    os.environ.pop("COURSE_CLAIMS", None)
    os.environ.pop("COURSE_MODE", None)
os.environ.pop("COURSE_SEEDS", None)
os.environ.pop("MPLBACKEND", None)  # a kernel chooses its own, as it does for a reader
os.environ["TQDM_DISABLE"] = "1"  # a bar's timing would be a compared output

_get_message = RunningKernel.get_message


def _get_message_of_the_living(kernel, stream, timeout=None):
    """nbval waits out its full timeout, 20 minutes, for a kernel that is dead; look each second."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = WAIT if deadline is None else deadline - time.monotonic()
        try:
            return _get_message(kernel, stream, timeout=max(0, min(WAIT, left)))
        except Empty:
            if not kernel.is_alive():
                raise RuntimeError("the kernel died, out of memory?") from None
            if left <= WAIT:
                raise


RunningKernel.get_message = _get_message_of_the_living
