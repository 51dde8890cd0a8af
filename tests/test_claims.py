"""Claims: hold and fail by the median of their seeds, in text, record and verdict table."""

import json

import numpy as np
import pytest
import xarray as xr

from course_utils.claims import (
    Claim,
    ClaimFailed,
    Trial,
    claim_table,
    measured,
    on_shared_seeds,
    report,
    trial,
    verdict_table,
)

NAN, INF = np.nan, np.inf


def per_seed(*values: float) -> xr.DataArray:
    return xr.DataArray(list(values), {"seed": range(len(values))})


HOLDS = Claim("up", "it rises", per_seed(0.3, 0.4, 0.5), above=0.2)
FAILS = Claim("down", "it falls", HOLDS.values, below=0.2)


@pytest.mark.parametrize(
    ("values", "bound", "held"),
    [
        ((0.3, 0.4), {"above": 0.2}, True),
        ((0.3, 0.1), {"above": 0.2}, False),
        ((0.2, 0.3), {"above": 0.2}, False),
        ((0.3, 0.4), {"below": 0.5}, True),
        ((0.3, 0.4), {"below": 0.35}, False),
        ((0.3, INF), {"below": 0.5}, False),
        ((1, 1, 1, 0, 0), {"above": 0.5}, True),
        ((1, 1, 0, 0, 0), {"above": 0.5}, False),
        ((0, NAN, 1, 1, 1), {"above": 0.5}, True),
        ((NAN, NAN, NAN, 1, 1), {"above": 0.5}, False),
        ((True, True, False), {"above": 0}, True),
    ],
)
def test_a_claim_holds_where_the_median_of_its_seeds_does(values, bound, held):
    assert Claim("c", "so it is", per_seed(*values), **bound).held is held


def test_the_text_holds_no_digit_that_moves(capsys):
    report("00_toy", [HOLDS])
    first = capsys.readouterr().out
    report("00_toy", [Claim("up", "it rises", per_seed(0.31, 0.1, 0.57, 0.6), above=0.2)])
    assert capsys.readouterr().out == first == "HOLDS  up: it rises [above 0.2]\n"


def test_a_claim_that_fails_fails_the_cell_and_all_are_reported(capsys):
    with pytest.raises(ClaimFailed, match=r"^FAILS  down: it falls \[below 0.2\] on 0 of 3 seeds$"):
        report("00_toy", [FAILS, HOLDS])
    assert "HOLDS  up" in capsys.readouterr().out


def test_the_record_is_appended_and_complete(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CLAIMS", str(tmp_path / "claims"))
    report("00_toy", [HOLDS])
    odd = xr.DataArray([1, NAN, INF], {"seed": [3, 5, 4]})
    report("00_toy", [Claim("odd", "it is a number", odd, above=0)])
    first, second = json.loads((tmp_path / "claims" / "00_toy.json").read_text())
    assert first["values"] == {"0": 0.3, "1": 0.4, "2": 0.5}
    assert (first["claim"], first["bound"], first["direction"]) == ("up", 0.2, "above")
    assert (first["held"], first["seeds_held"], first["seeds"]) == (True, 3, 3)
    assert second["values"] == {"3": 1, "5": "nan", "4": "inf"} and second["held"]
    assert [path.name for path in (tmp_path / "claims").iterdir()] == ["00_toy.json"]


def test_without_the_variable_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_CLAIMS", raising=False)
    monkeypatch.chdir(tmp_path)
    report("00_toy", [HOLDS])
    assert not list(tmp_path.iterdir())


def test_a_verdict_is_withdrawn_unless_all_of_its_claims_hold():
    evidence = [("up",), ("up", "down"), ()]
    trials = [trial("it grows", "watch it", HOLDS.values, "partly", *ids) for ids in evidence]
    table = verdict_table(trials, [HOLDS, FAILS])
    withdrawn = "partly? NOT CONFIRMED IN THIS RUN"
    assert table["verdict"].tolist() == ["partly", withdrawn, "partly"]
    assert table["rests on"].tolist() == ["up", "up, down", "measured, no claim"]
    assert table["what came out"].iloc[0] == "+0.4 [+0.3, +0.5], 3 seeds"
    with pytest.raises(ValueError, match="'it grows' rests on unknown claims: {'down'}"):
        verdict_table(trials, [HOLDS])


def test_what_came_out_is_told_by_the_claims_of_the_evidence():
    share = Claim("share", "a share", per_seed(0.91, 0.95, NAN), above=0.5)
    nats = Claim("up", "it rises", HOLDS.values, above=0.2, unit="nats")
    told = [trial("e", "c", "so it was", "partly", "up", "share"), trial("e", "c", "", "partly")]
    came_out = verdict_table(told, [nats, share])["what came out"].tolist()
    missing = "a share: 0.93 [0.91, 0.95] (1 of 3 missing)"
    assert came_out == [f"so it was; it rises: 0.4 [0.3, 0.5] nats; {missing}", ""]
    first, second = claim_table([nats, share]).to_dict("records")
    assert first == {
        "claim": "it rises",
        "measured": "0.4 [0.3, 0.5] nats",
        "bound": "above 0.2",
        "holds on": "3 of 3 seeds",
        "id": "up",
    }
    assert second["holds on"] == "2 of 3 seeds"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((1, NAN, 3), "2 [1, 3] (1 of 3 missing)"),
        ((1, INF, INF), "inf [1, inf]"),
        ((NAN, NAN), "nan [nan, nan] (2 of 2 missing)"),
    ],
)
def test_what_is_measured_has_median_range_and_what_is_missing(values, text):
    assert measured(per_seed(*values)) == text


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"values": [1.0]}, TypeError, "values must be a DataArray over 'seed', got list"),
        ({"values": xr.DataArray([[1.0]], dims=("width", "seed"))}, TypeError, "'width', 'seed'"),
        ({"values": per_seed("a")}, TypeError, "values must be numbers"),
        ({"values": per_seed()}, ValueError, "there is no seed to judge it by"),
        ({"below": 1.0}, ValueError, "give either above= or below="),
        ({"above": NAN}, ValueError, "the bound must be finite, got nan"),
    ],
)
def test_bad_claims_are_named(change, error, words):
    with pytest.raises(error, match=words):
        Claim(**({"id": "c", "sentence": "s", "values": per_seed(1.0), "above": 0.0} | change))


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ([], "at least one"),
        ([HOLDS, HOLDS], "distinct ids"),
        ([HOLDS, Claim("two", "s", per_seed(1, 2), above=0)], "'two' is over 2 seeds, 'up' over 3"),
    ],
)
def test_bad_lists_and_trials_are_named(claims, words):
    with pytest.raises(ValueError, match=words):
        report("00_toy", claims)
    with pytest.raises(ValueError, match="verdict must be one of supported, partly, refuted"):
        Trial("e", "c", HOLDS.values, "true")


def test_claims_on_shared_seeds_are_those_that_an_edited_experiment_has():
    one = Claim("one", "it is so", per_seed(9.0), above=1)
    kept = on_shared_seeds([HOLDS, one])
    assert [claim.values.values.tolist() for claim in kept] == [[0.3], [9.0]]
    assert [claim.id for claim in kept] == ["up", "one"] and kept[0].held
