"""Claims: sentences about most seeds that a run can refute.

A claim is a sentence, one quantity per seed, and a bound with a direction. It holds if the median
of the seeds lies beyond the bound: one odd seed in five, a reader's own perhaps, cannot turn it.
Its printed text holds nothing that a run decides but the verdict, so that it can be compared; the
values go to a record and a figure.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from course_utils.files import write
from course_utils.messages import check_text
from course_utils.reproducibility import claims_folder, provenance

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
    """

    id: str
    sentence: str
    values: xr.DataArray
    above: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        check_text("id", self.id)
        check_text(f"claim {self.id!r}: sentence", self.sentence)
        _check_per_seed(f"claim {self.id!r}: values", self.values)
        if not self.values.size:
            raise ValueError(f"claim {self.id!r}: there is no seed to judge it by")
        if (self.above is None) == (self.below is None):
            raise ValueError(f"claim {self.id!r}: give either above= or below=")
        if not isinstance(self.bound, Real) or not math.isfinite(self.bound):
            raise ValueError(f"claim {self.id!r}: the bound must be finite, got {self.bound!r}")

    @property
    def bound(self) -> float:
        return self.below if self.above is None else self.above

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

    def line(self) -> str:
        """The verdict as stable text: no measured number in it, and no count of seeds."""
        verdict = "HOLDS" if self.held else "FAILS"
        direction = "above" if self.below is None else "below"
        return f"{verdict}  {self.id}: {self.sentence} [{direction} {self.bound:g}]"


def report(notebook: str, claims: Sequence[Claim]) -> None:
    """Print a line for each claim, record them, and fail if one does not hold.

    Parameters
    ----------
    notebook
        File name without suffix; the record goes to ``<COURSE_CLAIMS>/<notebook>.json``.

    Raises
    ------
    ClaimFailed
        Naming every claim that does not hold.
    TypeError, ValueError
        If `notebook` is no such name, there is no claim, two have the same id, or they are over
        different numbers of seeds.
    WriteError
        If the record cannot be written; the message names it.
    """
    check_text("notebook", notebook)
    if Path(notebook).name != notebook:
        raise ValueError(f"notebook must be a file name without its folder, got {notebook!r}")
    claims = list_of(Claim, "claims", claims)
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
    failed = [claim for claim in claims if not claim.held]
    if failed:
        counts = (f"{claim.seeds_held} of {claim.values.size} seeds" for claim in failed)
        lines = (f"{claim.line()} on {count}" for claim, count in zip(failed, counts, strict=True))
        raise ClaimFailed("; ".join(lines))


def _record(path: Path, notebook: str, claims: Sequence[Claim]) -> None:
    """Append to the JSON list in `path`; a crash leaves the old list."""
    records = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    for claim in claims:
        seeds = [int(seed) for seed in claim.values["seed"].values]
        values = [float(v) for v in claim.values.values]
        # JSON has no word for these, but infinity may lie on the right side: a run that never ended
        values = [v if math.isfinite(v) else str(v) for v in values]
        records.append(
            {
                "notebook": notebook,
                "claim": claim.id,
                "sentence": claim.sentence,
                "values": dict(zip(map(str, seeds), values, strict=True)),
                "bound": claim.bound,
                "direction": "below" if claim.above is None else "above",
                "held": claim.held,
                "seeds_held": claim.seeds_held,
                "seeds": len(seeds),
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
        One number per seed, with the dimension `seed`, in the unit that `control` names.
    verdict
        "supported", "partly" or "refuted".
    evidence
        The claims that this verdict rests on; none means that it was measured on these seeds, and
        that nothing is claimed of others.
    """

    explanation: str
    control: str
    effect: xr.DataArray
    verdict: str
    evidence: tuple[Claim, ...] = ()

    def __post_init__(self) -> None:
        check_text("explanation", self.explanation)
        check_text("control", self.control)
        _check_per_seed("effect", self.effect)
        list_of(Claim, "evidence", self.evidence)
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict must be one of {', '.join(VERDICTS)}, got {self.verdict!r}")


def verdict_table(trials: Sequence[Trial]) -> pd.DataFrame:
    """Explanations with control, effect (median and range over the seeds) and verdict.

    A verdict whose claims do not all hold in this run is withdrawn.

    Raises
    ------
    TypeError, ValueError
        If `trials` is not a list of at least one.
    """
    trials = list_of(Trial, "trials", trials)
    if not trials:
        raise ValueError("trials must be one or more, got none")
    rows = []
    for trial in trials:
        effect = trial.effect
        held = all(claim.held for claim in trial.evidence)
        rows.append(
            {
                "explanation": trial.explanation,
                "control": trial.control,
                "effect": f"{float(effect.median()):+.2g}"
                f" [{float(effect.min()):+.2g}, {float(effect.max()):+.2g}]",
                "seeds": effect.size,
                "verdict": trial.verdict if held else f"{trial.verdict}? NOT CONFIRMED IN THIS RUN",
                "rests on": ", ".join(claim.id for claim in trial.evidence) or "measured, no claim",
            }
        )
    return pd.DataFrame(rows).set_index("explanation")


def list_of(kind: type, name: str, values: Any) -> list[Any]:
    """`values` as a list of Claims, say.

    Raises
    ------
    TypeError
        If it is something else, or holds something else.
    """
    listed = list(values) if isinstance(values, Iterable) else [values]
    if not isinstance(values, Iterable) or not all(isinstance(value, kind) for value in listed):
        raise TypeError(f"{name} must be a list of {kind.__name__}s, got {values!r}")
    return listed


def _check_per_seed(name: str, values: Any) -> None:
    if not isinstance(values, xr.DataArray) or values.dims != ("seed",):
        found = getattr(values, "dims", type(values).__name__)
        raise TypeError(f"{name} must be a DataArray over 'seed', got {found}")
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be numbers, got {values.values!r}")
