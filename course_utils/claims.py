"""Claims: sentences about most seeds that a run can refute.

A claim is a sentence, one quantity per seed, and a bound with a direction. It holds if the median
of the seeds lies beyond the bound: one odd seed in five, a reader's own perhaps, cannot turn it.
Its printed text holds nothing that a run decides but the verdict, so that it can be compared; the
values go to a record and a figure.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from course_utils import _arguments
from course_utils._environment import claims_folder, provenance
from course_utils._files import write

VERDICTS = ("supported", "partly", "refuted")


class ClaimFailed(AssertionError):
    """At least one claim does not hold; the message names each of them."""


@dataclass(frozen=True)
class Claim:
    """A sentence, and a quantity whose median over the seeds has to lie above or below a bound.

    Parameters
    ----------
    id
        Short name, unique in its notebook.
    values
        One number per seed, with the dimension `seed`. NaN counts as not holding.
    above, below
        The bound: exactly one of the two.
    unit
        Of the values, as in "nats".
    """

    id: str
    sentence: str
    values: xr.DataArray
    above: float | None = None
    below: float | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        _arguments.text("id", self.id)
        _arguments.text(f"claim {self.id!r}: sentence", self.sentence)
        _check_per_seed(f"claim {self.id!r}: values", self.values)
        if not self.values.size:
            raise ValueError(f"claim {self.id!r}: there is no seed to judge it by")
        if (self.above is None) == (self.below is None):
            raise ValueError(f"claim {self.id!r}: give either above= or below=")
        _arguments.number(f"claim {self.id!r}: the bound", self.bound)

    @property
    def bound(self) -> float:
        return self.below if self.above is None else self.above

    @property
    def bound_in_words(self) -> str:
        return f"{'above' if self.below is None else 'below'} {self.bound:g}"

    @property
    def margins(self) -> xr.DataArray:
        """Distance of each seed's value from the bound, positive where the bound holds."""
        return self.values - self.bound if self.below is None else self.bound - self.values

    @property
    def seeds_held(self) -> int:
        return int((self.margins > 0).sum())

    @property
    def held(self) -> bool:
        """Whether the bound holds on more than half of the seeds: three of five."""
        return 2 * self.seeds_held > self.values.size

    def result(self) -> str:
        """The sentence with what was measured, as in "it rises: 0.4 [0.3, 0.5] nats"."""
        return f"{self.sentence}: {measured(self.values, digits=2)} {self.unit}".strip()

    def line(self) -> str:
        """The verdict as stable text: no measured number in it, and no count of seeds."""
        verdict = "HOLDS" if self.held else "FAILS"
        return f"{verdict}  {self.id}: {self.sentence} [{self.bound_in_words}]"


def on_shared_seeds(claims: Sequence[Claim]) -> list[Claim]:
    """The claims on the seeds that all of them have: an edited experiment has fewer than others."""
    values = xr.align(*(claim.values for claim in claims), join="inner")
    return [replace(claim, values=kept) for claim, kept in zip(claims, values, strict=True)]


def claim_table(claims: Sequence[Claim]) -> pd.DataFrame:
    """Each claim with what was measured (median and range over the seeds), and its bound."""
    rows = [
        {
            "claim": claim.sentence,
            "measured": f"{measured(claim.values, digits=2)} {claim.unit}".strip(),
            "bound": claim.bound_in_words,
            "holds on": f"{claim.seeds_held} of {claim.values.size} seeds",
            "id": claim.id,
        }
        for claim in _arguments.list_of("claims", claims, "Claims", Claim)
    ]
    return pd.DataFrame(rows)


def report(notebook: str, claims: Sequence[Claim]) -> None:
    """Print a line for each claim, record them, and raise `ClaimFailed` if one does not hold.

    Parameters
    ----------
    notebook
        File name without suffix; the record goes to ``<COURSE_CLAIMS>/<notebook>.json``.
    """
    _arguments.text("notebook", notebook)
    if Path(notebook).name != notebook:
        raise ValueError(f"notebook must be a file name without its folder, got {notebook!r}")
    claims = _arguments.list_of("claims", claims, "Claims", Claim)
    ids = [claim.id for claim in claims]
    if not ids or len(set(ids)) != len(ids):
        raise ValueError(f"claims need distinct ids, at least one, got {ids}")
    for claim in claims:  # arithmetic on labelled arrays drops what only one side has
        if claim.values.size != claims[0].values.size:
            raise ValueError(
                f"claim {claim.id!r} is over {claim.values.size} seeds, "
                f"{claims[0].id!r} over {claims[0].values.size}: a seed got lost on the way"
            )
    for claim in claims:
        print(claim.line())
    if folder := claims_folder():
        _record(folder / f"{notebook}.json", notebook, claims)
    if failed := [claim for claim in claims if not claim.held]:
        lines = (f"{one.line()} on {one.seeds_held} of {one.values.size} seeds" for one in failed)
        raise ClaimFailed("; ".join(lines))


def _record(path: Path, notebook: str, claims: Sequence[Claim]) -> None:
    """Append to the JSON list in `path`; a crash leaves the old list."""
    records = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    for claim in claims:
        values = claim.values.to_series().astype(float)
        # JSON has no word for these, but infinity may lie on the right side: a run that never ended
        shown = {str(seed): v if math.isfinite(v) else str(v) for seed, v in values.items()}
        records.append(
            {
                "notebook": notebook,
                "claim": claim.id,
                "sentence": claim.sentence,
                "values": shown,
                "bound": claim.bound,
                "direction": "below" if claim.above is None else "above",
                "held": claim.held,
                "seeds_held": claim.seeds_held,
                "seeds": len(shown),
                "versions": provenance(),
            }
        )
    write(path, json.dumps(records, indent=1) + "\n")


@dataclass(frozen=True)
class Trial:
    """An explanation, the control that could have refuted it, and what came out.

    Parameters
    ----------
    effect
        What came out, as a sentence, or one number per seed, in the unit that `control` names. What
        the claims say is added to it.
    verdict
        "supported", "partly" or "refuted".
    evidence
        The ids of the claims that this verdict rests on; none means that it was measured on these
        seeds, and that nothing is claimed of others.
    """

    explanation: str
    control: str
    effect: str | xr.DataArray
    verdict: str
    evidence: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _arguments.text("explanation", self.explanation)
        _arguments.text("control", self.control)
        if not isinstance(self.effect, str):
            _check_per_seed("effect", self.effect)
        _arguments.list_of("evidence", self.evidence, "ids of claims", str)
        _arguments.one_of("verdict", self.verdict, VERDICTS)

    def outcome(self, claims: Sequence[Claim]) -> str:
        """What came out, in words: the effect, or what the claims of the evidence measured."""
        if not isinstance(self.effect, str):
            return f"{measured(self.effect, digits=2, sign=True)}, {self.effect.size} seeds"
        return "; ".join(filter(None, [self.effect, *(claim.result() for claim in claims)]))


def trial(
    explanation: str, control: str, effect: str | xr.DataArray, verdict: str, *evidence: str
) -> Trial:
    """A `Trial` that names its claims in a row."""
    return Trial(explanation, control, effect, verdict, evidence)


def verdict_table(trials: Sequence[Trial], claims: Sequence[Claim]) -> pd.DataFrame:
    """Explanations with what was done, what came out, and the verdict.

    A verdict whose claims do not all hold in this run is withdrawn.
    """
    trials = _arguments.list_of("trials", trials, "Trials", Trial)
    known = {claim.id: claim for claim in _arguments.list_of("claims", claims, "Claims", Claim)}
    rows = []
    for one in trials:
        if unknown := set(one.evidence) - set(known):
            raise ValueError(f"trial {one.explanation!r} rests on unknown claims: {unknown}")
        evidence = [known[id] for id in one.evidence]
        held = all(claim.held for claim in evidence)
        rows.append(
            {
                "explanation": one.explanation,
                "what was done": one.control,
                "what came out": one.outcome(evidence),
                "verdict": one.verdict if held else f"{one.verdict}? NOT CONFIRMED IN THIS RUN",
                "rests on": ", ".join(one.evidence) or "measured, no claim",
            }
        )
    return pd.DataFrame(rows).set_index("explanation")


def measured(values: xr.DataArray, digits: int = 3, sign: bool = False) -> str:
    """Median and range over the seeds, as in "0.12 [0.1, 0.3]", and how many are not a number."""
    _check_per_seed("values", values)
    style = f"{'+' if sign else ''}.{digits}g"
    found = (values.median(), values.min(), values.max())
    middle, low, high = (f"{float(one):{style}}" for one in found)
    lost = int(values.isnull().sum())
    return f"{middle} [{low}, {high}]" + (f" ({lost} of {values.size} missing)" if lost else "")


def _check_per_seed(name: str, values: Any) -> None:
    if not isinstance(values, xr.DataArray) or values.dims != ("seed",):
        found = getattr(values, "dims", type(values).__name__)
        raise TypeError(f"{name} must be a DataArray over 'seed', got {found}")
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be numbers, got {values.values!r}")
