"""What other machines computed is committed, and no claim falls on any of them."""

import arithmetic
import computed
import numpy as np
import pytest
import xarray as xr
from counts import ROOT, Claimed, claimed

from course_utils.claims import Claim

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_claim_falls_on_any_machine_and_the_stored_seeds_carry_each(path):
    assert not computed.short(claimed(path), computed.load(path.stem), arithmetic.WANTED)


def entry(*values, bound="above 0"):
    seeds = map(str, range(len(values)))
    return {"claims": {"up": {"bound": bound, "values": dict(zip(seeds, values, strict=True))}}}


UP = [Claimed("up", "it rises", "above 0")]


@pytest.mark.parametrize(
    ("machines", "problem"),
    [
        ({"stored": entry(-1, 1, 1, 1, -1)}, None),
        ({"stored": entry(1, 1, 1, -1, -1)}, "up hangs on the seed that a reader trains"),
        ({"stored": entry(1, 1, -1, -1, "nan")}, "up does not hold on stored"),
        ({"stored": entry(1, 1, 1, 1, 1), "avx2": entry(1, 1, 1, -1, -1)}, None),
        ({"stored": entry(1, 1, 1, 1, 1), "avx2": entry(1, 1, 0, -1, -1)}, "not hold on avx2"),
        ({"stored": entry(1, 1, 1, 1, 1, bound="above 1")}, "up is not computed on stored"),
        ({}, "nothing is computed on stored: `make arithmetic` is due"),
    ],
)
def test_what_falls_is_named(machines, problem):
    found = computed.short(UP, machines, ["stored"])
    assert (problem is None and not found) or (problem in found[0] and len(found) == 1)


@pytest.mark.parametrize(
    ("was", "now", "share"),
    [
        (3, 4, 0.5),
        ("inf", "inf", 0),
        ("nan", "nan", 0),
        ("nan", 3, np.inf),
        ("inf", "-inf", np.inf),
    ],
)
def test_how_far_a_value_moved_is_a_share_of_its_margin(was, now, share):
    before, after = entry(was, bound="above 1"), entry(now, bound="above 1")
    assert computed.moved(before, after) == {"up": share}


@pytest.mark.parametrize("bound", [{"above": 0}, {"below": 0}])
def test_a_value_that_is_not_finite_is_judged_as_in_the_notebook(bound):
    """A run that never reaches its target has infinite steps: slower than one that does."""
    values = ["-inf", -1, 1, "inf", "nan"]
    of_seeds = xr.DataArray(np.array(values, float), {"seed": range(5)})
    claim = Claim("c", "it is so", of_seeds, **bound)
    ((side, limit),) = bound.items()
    found = [computed.beyond(f"{side} {limit}", value) for value in values]
    assert found == (claim.margins > 0).values.tolist()
