"""The labs of the notebooks at random settings: each picture is drawn, and memory is bounded."""

import gc
import importlib
import os
import random
from html import unescape

import psutil
import pytest
from labs import every_lab, own_cells
from test_lab import STORED, shows

from course_utils._runs import isolated

pytestmark = pytest.mark.slow

EXAMPLES = 500 if os.environ.get("COURSE_FAULTS") == "1" else 40
# Bytes that a lab may take after its warm-up. A picture's buffer has 1.6 MB: 80 would be 130 MB.
GROWTH = 20e6


@pytest.fixture(params=every_lab(), ids=lambda lab: f"{lab[0].stem}-{lab[1]}")
def knobs(request, tmp_path, monkeypatch):
    """A lab of a notebook over its stored grid; nothing is trained."""
    notebook, number = request.param
    name = f"lab_{number}_of_{notebook.stem}"  # a file: an experiment is compared by its source
    source = "\n\nknobs = ".join(own_cells(notebook, number))
    (tmp_path / f"{name}.py").write_text(source, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with isolated(0):  # on one thread: a lab may time a step
        shown = importlib.import_module(name).knobs
    yield shown
    shown.close()


def visit(knobs, places: dict[str, int]) -> None:
    """Move all controls there; each move must draw the curve, and none may raise."""
    for key, place in places.items():
        control, before = knobs.controls[key], knobs.image.value
        moved, control.index = control.index != place, place
        assert knobs.last_error is None, knobs.status.value
        assert (knobs.image.value is not before) == moved, f"{key} did not draw a new picture"
    assert shows(knobs, STORED), knobs.status.value
    assert knobs.plan.in_words(knobs.chosen()) in unescape(knobs.status.value)


def test_every_random_setting_is_drawn_and_memory_stays_bounded(knobs):
    assert not knobs.plan.missing and not knobs.edited
    controls = {key: control for key, control in knobs.controls.items() if key != "seed"}
    start = {key: control.index for key, control in controls.items()}
    for key, control in controls.items():  # these are the warm-up, too
        for end in (0, len(control.options) - 1):
            visit(knobs, start | {key: end})
    gc.collect()
    process, draw = psutil.Process(), random.Random(0)
    before = process.memory_info().rss
    for _ in range(EXAMPLES):
        places = {key: draw.randrange(len(control.options)) for key, control in controls.items()}
        visit(knobs, places)
    gc.collect()
    assert process.memory_info().rss - before < GROWTH
