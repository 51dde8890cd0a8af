"""The same surroundings for every test, whatever the shell says."""

import os

# The kernels that nbval starts inherit these. `make verify` is the one caller with a mode of its
# own; a mode or seeds left over in the shell must not decide what a test computes, or write data.
if os.environ.get("COURSE_MODE") != "verify":
    os.environ.pop("COURSE_CLAIMS", None)
    os.environ.pop("COURSE_MODE", None)
os.environ.pop("COURSE_SEEDS", None)
os.environ.pop("MPLBACKEND", None)  # a kernel chooses its own, as it does for a reader
os.environ["TQDM_DISABLE"] = "1"  # a bar's timing would be a compared output
