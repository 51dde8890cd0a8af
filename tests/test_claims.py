"""Claims: hold and fail by the median of their seeds, in text, record and verdict table."""

import json

import numpy as np
import pytest
import xarray as xr

from course_utils.claims import Claim, ClaimFailed, Trial, report, verdict_table


def per_seed(*values: float) -> xr.DataArray:
    return xr.DataArray(list(values), {"seed": range(len(values))})


HOLDS = Claim("up", "it rises", per_seed(0.3, 0.4, 0.5), above=0.2)


@pytest.mark.parametrize(
    ("values", "bound", "held"),
    [
        ((0.3, 0.4), {"above": 0.2}, True),
        ((0.3, 0.1), {"above": 0.2}, False),
        ((0.2, 0.3), {"above": 0.2}, False),
        ((0.3, 0.4), {"below": 0.5}, True),
        ((0.3, 0.4), {"below": 0.35}, False),
        ((0.3, np.nan), {"above": 0.2}, False),
        ((0.3, np.inf), {"below": 0.5}, False),
        ((1, 1, 1, 0, 0), {"above": 0.5}, True),
        ((1, 1, 0, 0, 0), {"above": 0.5}, False),
        ((0, np.nan, 1, 1, 1), {"above": 0.5}, True),
        ((np.nan, np.nan, np.nan, 1, 1), {"above": 0.5}, False),
        ((9, 9, 0, 0), {"above": 0.5}, False),
    ],
)
def test_a_claim_holds_where_the_median_of_its_seeds_does(values, bound, held):
    assert Claim("c", "so it is", per_seed(*values), **bound).held is held


def test_the_text_holds_no_digit_that_moves(capsys):
    report("00_toy", [HOLDS])
    first = capsys.readouterr().out
    report("00_toy", [Claim("up", "it rises", per_seed(0.31, 0.42, 0.57), above=0.2)])
    assert capsys.readouterr().out == first == "HOLDS  up: it rises [above 0.2]\n"


def test_a_flipped_sign_fails_the_cell_and_names_the_claim(capsys):
    flipped = Claim("up", "it rises", HOLDS.values, below=0.2)
    with pytest.raises(ClaimFailed, match=r"FAILS  up: it rises \[below 0.2\] on 0 of 3 seeds"):
        report("00_toy", [flipped, Claim("other", "it holds", per_seed(1, 2, 3), above=0)])
    assert "HOLDS  other" in capsys.readouterr().out, "the others are reported all the same"


def test_the_record_is_appended_and_complete(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CLAIMS", str(tmp_path / "claims"))
    report("00_toy", [HOLDS])
    report("00_toy", [Claim("nan", "it is a number", per_seed(1, np.nan, 2), above=0)])
    first, second = json.loads((tmp_path / "claims" / "00_toy.json").read_text())
    assert first["values"] == {"0": 0.3, "1": 0.4, "2": 0.5}
    assert (first["claim"], first["bound"], first["direction"]) == ("up", 0.2, "above")
    assert (first["held"], first["seeds_held"], first["seeds"]) == (True, 3, 3)
    assert second["values"] == {"0": 1, "1": "nan", "2": 2} and second["held"]
    assert [path.name for path in (tmp_path / "claims").iterdir()] == ["00_toy.json"]


def test_without_the_variable_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_CLAIMS", raising=False)
    monkeypatch.chdir(tmp_path)
    report("00_toy", [HOLDS])
    assert not list(tmp_path.iterdir())


def test_a_verdict_is_withdrawn_when_its_claim_fails():
    fails = Claim("down", "it falls", HOLDS.values, below=0.2)
    table = verdict_table(
        [
            Trial("it grows", "watch it", HOLDS.values, "supported", (HOLDS,)),
            Trial("it shrinks", "watch it", HOLDS.values, "supported", (HOLDS, fails)),
            Trial("it turns", "watch it", HOLDS.values, "partly"),
        ]
    )
    assert table["verdict"].tolist() == [
        *("supported", "supported? NOT CONFIRMED IN THIS RUN", "partly")
    ]
    assert table["rests on"].tolist() == ["up", "up, down", "measured, no claim"]
    assert table["effect"].iloc[0] == "+0.4 [+0.3, +0.5]" and table["seeds"].iloc[0] == 3


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"values": [1.0]}, TypeError, "values must be a DataArray over 'seed', got list"),
        ({"values": xr.DataArray([[1.0]], dims=("width", "seed"))}, TypeError, "'width', 'seed'"),
        ({"above": None}, ValueError, "give either above= or below="),
        ({"below": 1.0}, ValueError, "give either above= or below="),
        ({"above": np.nan}, ValueError, "the bound must be finite, got nan"),
        ({"above": "0"}, ValueError, "the bound must be finite, got '0'"),
        ({"values": per_seed()}, ValueError, "there is no seed to judge it by"),
    ],
)
def test_bad_claims_are_named(change, error, words):
    with pytest.raises(error, match=words):
        Claim(**({"id": "c", "sentence": "s", "values": per_seed(1.0), "above": 0.0} | change))


def test_bad_lists_and_trials_are_named():
    with pytest.raises(ValueError, match="distinct ids"):
        report("00_toy", [HOLDS, HOLDS])
    with pytest.raises(ValueError, match="'two' is over 2 seeds, 'up' over 3: a seed got lost"):
        report("00_toy", [HOLDS, Claim("two", "it holds", per_seed(1, 2), above=0)])
    with pytest.raises(ValueError, match="at least one"):
        report("00_toy", [])
    with pytest.raises(ValueError, match="supported, partly, refuted, got 'true'"):
        Trial("e", "c", HOLDS.values, "true", (HOLDS,))
