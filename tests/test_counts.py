"""The counts on unseen seeds: what they multiply to, what they say, and that it is written down."""

import json

import counts
import nbformat
import pytest
from counts import Count

NOTEBOOKS = sorted((counts.ROOT / "notebooks").glob("*.ipynb"))


def test_the_whole_course_is_green_on_seeds_nobody_has_seen():
    found = [one for path in NOTEBOOKS for one in counts.counts(path)[0]]
    observed, with_prior = counts.together((one.held, len(one.seeds)) for one in found)
    assert observed >= counts.OBSERVED and with_prior >= counts.WITH_PRIOR


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_counted_claim_holds_on_98_of_100_and_is_a_claim_still(path):
    found, _ = counts.counts(path)
    assert found and not [one.claim for one in found if one.short]
    kept = json.loads((counts.COUNTED / f"{path.stem}.json").read_text(encoding="utf-8"))["claims"]
    assert {one.claim for one in found} == set(kept), "a count of what is claimed no more"


def test_the_page_is_what_the_counts_say():
    """`python tools/counts.py` writes it."""
    assert counts.PAGE.read_text(encoding="utf-8") == counts.page(NOTEBOOKS)


def test_claims_are_green_together_with_the_product_of_their_chances():
    for rate, chance in ((1, 1), (0, 0), (0.5, 0.5), (0.9, 0.99144)):  # three of five seeds
        assert counts.green(rate) == pytest.approx(chance, abs=1e-5)
    half = counts.green((50 + 0.5) / 101)
    assert counts.together([(50, 100), (50, 100)]) == pytest.approx((0.25, half**2))


@pytest.mark.parametrize(("total", "wanted"), [(100, 98), (49, 48), (10, 9)])
def test_one_seed_in_fifty_may_fall(total, wanted):
    seeds = list(range(total))
    assert not Count("c", "it is so", "above 0", seeds, seeds[wanted:]).short
    assert Count("c", "it is so", "above 0", seeds, seeds[wanted - 1 :]).short


MADE = {"processor": "P", "versions": "torch 1.0"}


def refreshed(notebook, *lines: str):
    """A notebook whose committed output is these lines."""
    path = notebook("01_toy", "# Toy", "report('01_toy', [])")
    page = nbformat.read(path, as_version=4)
    text = "\n".join(lines) + "\n"
    page.cells[1].outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    nbformat.write(page, path)
    return path


def test_a_claim_without_counts_or_with_another_bound_is_pending(notebook, tmp_path):
    path = refreshed(notebook, "HOLDS  up: it rises [above 0.2]", "HOLDS  on: it goes on [below 3]")
    counts.keep(path, [Count("up", "it rises", "above 0.2", [1, 2, 3], [2])], MADE, tmp_path)
    (found,), (pending,) = counts.counts(path, tmp_path)
    assert (found.held, found.seeds, found.fell) == (2, [1, 2, 3], [2])
    assert pending.claim == "on"
    page = counts.page([path], tmp_path)
    assert "| up: it rises | above 0.2 | 2/3 |" in page and "| pending |" in page
    path = refreshed(notebook, "HOLDS  up: it rises [above 0.1]")
    assert [one.claim for one in counts.counts(path, tmp_path)[1]] == ["up"]


def test_seeds_are_counted_once_and_another_bound_begins_anew(notebook, tmp_path):
    path = refreshed(notebook, "HOLDS  up: it rises [above 0.2]")
    for seeds, fell in (([1, 2], [2]), ([2, 3, 5], [2, 5])):
        counts.keep(path, [Count("up", "it rises", "above 0.2", seeds, fell)], MADE, tmp_path)
    ((found,), _) = counts.counts(path, tmp_path)
    assert (found.seeds, found.fell) == ([1, 2, 3, 5], [2, 5])
    counts.keep(path, [Count("up", "it rises", "above 0.1", [9], [])], MADE, tmp_path)
    assert json.loads((tmp_path / "01_toy.json").read_text())["claims"]["up"]["seeds"] == "9"
