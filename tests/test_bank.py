"""The bank of runs that a diagnosis is judged by: its counts, its builders, its verified truth."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from bank.causes import CAUSES, NAMES, PARTS, ROWS
from bank.registry import bank
from bank.runs import Run

BANK = bank("sixth")
SICK, HEALTHY = BANK.SICK, BANK.HEALTHY
VERIFIED = json.loads((Path(__file__).parent / "bank" / "sixth" / "verified.json").read_text())
SPREAD = 17  # every so many of the runs are built here; verify.py builds all


def test_there_are_enough_runs():
    kinds = Counter(entry.kind for entry in HEALTHY.values())
    assert len(SICK) >= 24
    assert len(kinds) >= 24 and set(kinds.values()) == {4}
    assert not SICK.keys() & HEALTHY.keys()


def test_a_third_of_the_sick_runs_have_two_faults():
    two = [entry for entry in SICK.values() if len(entry.planted) == 2]
    assert 3 * len(two) >= len(SICK) and len(two) >= 8


def test_every_cause_is_planted_twice():
    planted = Counter(cause for entry in SICK.values() for cause in entry.planted)
    assert planted == dict.fromkeys(NAMES, 2)
    assert len(NAMES) == len(CAUSES) and {cause.row for cause in CAUSES} == ROWS.keys()


def test_half_of_the_causes_are_foreign_to_the_course():
    assert 2 * sum(cause.foreign for cause in CAUSES) >= len(CAUSES)
    for entry in SICK.values():
        assert entry.foreign == any(NAMES[cause].foreign for cause in entry.planted)
        assert set(entry.planted) <= entry.causes and entry.part in PARTS


def test_weights_count_the_groups_as_published():
    given = BANK.weights()
    assert given.keys() == SICK.keys() and sum(given.values()) == pytest.approx(1)
    whole = {name: {NAMES[cause].row for cause in SICK[name].planted} for name in SICK}
    present = {row: share for row, share in ROWS.items() if any(row in w for w in whole.values())}
    for row, share in present.items():
        only = sum(weight for name, weight in given.items() if whole[name] == {row})
        touched = sum(weight for name, weight in given.items() if row in whole[name])
        assert only <= share / sum(present.values()) + 1e-9 <= touched + 2e-9, row


@pytest.mark.filterwarnings("ignore:Using a target size")  # a fault that is planted
@pytest.mark.parametrize("name", sorted([*SICK, *HEALTHY])[::SPREAD])
def test_it_builds_the_same_run_twice(name):
    builder = (SICK.get(name) or HEALTHY[name]).builder
    run, again = builder(1), builder(1)
    assert isinstance(run, Run)
    for one, other in zip(run.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other) or not one.isfinite().all()
    if name in HEALTHY:  # a sick one may have gone to NaN by now: that is its result
        assert run.loss(run.model, run.batches[0]).isfinite()
        assert run.shown is None or math.isfinite(run.shown)


def test_every_run_is_verified_and_fulfils_its_definition():
    assert VERIFIED.keys() == SICK.keys() | HEALTHY.keys()
    for name, rows in VERIFIED.items():
        assert len(rows) >= 2, name
        assert all(row["fulfils"] for row in rows.values()), name


def test_what_is_verified_follows_from_the_scores():
    def reaches(scores: dict, goal: float) -> bool:
        return scores["score"] is not None and scores["score"] >= goal

    for name, entry in SICK.items():
        for row in VERIFIED[name].values():
            assert reaches(row["twin"], row["goal"]) and not reaches(row["sick"], row["goal"])
            if len(entry.planted) == 2:
                assert set(row["alone"]) == set(entry.planted)
            assert not any(reaches(a, row["goal"]) for a in row.get("alone", {}).values())


def test_nobody_has_diagnosed_within_the_bank():
    """It was made before, and apart from, what it is to judge."""
    for path in (Path(__file__).parent / "bank").rglob("*.py"):
        if not path.stem.startswith("judge"):  # came after both, and builds nothing
            assert "checkup" not in path.read_text(), path.name
