"""What widgets need of the front end: callbacks in the main thread, and an end without remains.

JupyterLab lets widgets speak to a thread of their own in the kernel (a "subshell"). A live run
there could not be interrupted, because an interrupt arrives in the main thread, and it would share
torch's random generator with the cell that is running just then: both would get other numbers.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ipywidgets as widgets
from IPython import get_ipython


def in_main_thread(action: Callable[[], None]) -> None:
    """Call `action`: at once in the main thread, from any other as soon as no cell is running."""
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None or threading.current_thread() is threading.main_thread():
        action()
    else:
        kernel.io_loop.add_callback(action)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let an interrupt raise KeyboardInterrupt, which a kernel ignores while no cell is running."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def close(*trees: widgets.Widget) -> None:
    """Close widgets with all that they hold: ipywidgets leaves children, layouts, styles open."""
    for widget in trees:
        close(*getattr(widget, "children", ()))
        for part in ("layout", "style"):
            if widget.has_trait(part):
                getattr(widget, part).close()
        widget.close()
