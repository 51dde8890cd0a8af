"""The labs of the notebooks at random settings: every picture is drawn, and memory stays bounded.

40 settings of each lab, or 500 where COURSE_FAULTS=1; and before those, both ends of each control.
"""

import gc
import importlib
import os
from html import unescape
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labs import own_cells
from test_lab import STORED, shows
from test_stored_results import NOTEBOOKS

from course_utils._runs import isolated

pytestmark = pytest.mark.slow

EXAMPLES = 500 if os.environ.get("COURSE_FAULTS") == "1" else 40
# A picture's buffer has 1.6 MB, the picture as a PNG 32 kB: 40 settings, with about 80 pictures,
# that kept their buffers would take 130 MB, and 500, with 700, that kept their PNGs 22 MB.
GROWTH = 20e6  # bytes that a lab may take after its warm-up


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem, scope="module")
def knobs(request, tmp_path_factory):
    """The lab of a notebook over its stored grid; nothing is trained."""
    name, folder = f"lab_of_{request.param.stem}", tmp_path_factory.mktemp("labs")
    before, lab = own_cells(request.param)
    (folder / f"{name}.py").write_text(f"{before}\n\nknobs = {lab}", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, isolated(0):  # on one thread: a lab may time a step
        patch.syspath_prepend(folder)  # a file, because an experiment is compared by its source
        shown = importlib.import_module(name).knobs
    yield shown
    shown.close()


def selectors(knobs) -> dict[str, Any]:
    """The controls that choose among options: all but the seed."""
    return {key: control for key, control in knobs.controls.items() if key != "seed"}


def visit(knobs, places: dict[str, int], seed: int) -> None:
    """Move all controls there; each move must draw the curve, and none may raise."""
    knobs.controls["seed"].value = seed
    for key, control in selectors(knobs).items():
        before = knobs.image.value
        moved = control.index != places[key]
        control.index = places[key]
        assert knobs.last_error is None, knobs.status.value
        assert (knobs.image.value is not before) == moved, f"{key} did not draw a new picture"
    assert shows(knobs, STORED), knobs.status.value
    assert knobs.plan.in_words(knobs.chosen()) in unescape(knobs.status.value)


def ends(knobs) -> list[dict[str, int]]:
    """Each control at its first and at its last option, the others as they are at the start."""
    start = {key: control.index for key, control in selectors(knobs).items()}
    last = {key: len(control.options) - 1 for key, control in selectors(knobs).items()}
    return [start | {key: place} for key in start for place in (0, last[key])]


def test_every_random_setting_is_drawn_and_memory_stays_bounded(knobs):
    process, last_seed = psutil.Process(), knobs.controls["seed"].max
    assert not knobs.plan.missing() and not knobs.edited
    for places in ends(knobs):  # these are the warm-up, too
        visit(knobs, places, seed=0)
        visit(knobs, places, seed=last_seed)
    gc.collect()
    before = process.memory_info().rss

    places = {key: st.integers(0, len(c.options) - 1) for key, c in selectors(knobs).items()}

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,  # the same settings each time: a failure is a change
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.fixed_dictionaries(places), st.integers(0, last_seed))
    def anywhere(places, seed):
        visit(knobs, places, seed)

    anywhere()
    gc.collect()
    assert process.memory_info().rss - before < GROWTH
