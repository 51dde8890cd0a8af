"""Each claim's values on the seeds of the tests, as machines computed them: committed, and judged.

data/proof/computed/NOTEBOOK.json holds, for each machine by name, the processor, the versions, and
claim by claim the bound and one value a seed. "stored" is what a reader sees, "verified" the last
full recomputation (with the digest of the code that was verified), the others are computed with
other instructions (`make arithmetic`).
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from counts import ROOT, Claimed

from course_utils import _files as files

COMPUTED = ROOT / "data" / "proof" / "computed"
Value = float | str  # JSON has no word for what is not finite


def load(stem: str, folder: Path = COMPUTED) -> dict[str, dict]:
    """What is committed of a notebook, by machine; empty if nothing is."""
    file = folder / f"{stem}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def save(stem: str, machine: str, entry: Mapping[str, Any], folder: Path = COMPUTED) -> None:
    """Replace the entry of one machine."""
    machines = load(stem, folder) | {machine: entry}
    files.write(folder / f"{stem}.json", json.dumps(machines, indent=1, sort_keys=True) + "\n")


def entry(records: Sequence[Mapping[str, Any]], processor: str, **more: str) -> dict[str, Any]:
    """What is kept of the claim records of a notebook: ``values`` are by seed."""
    claims = {
        record["claim"]: {
            "bound": f"{record['direction']} {record['bound']:g}",
            "values": dict(record["values"]),
        }
        for record in records
    }
    return {"processor": processor, "versions": records[0]["versions"], "claims": claims, **more}


def beyond(bound: str, value: Value) -> bool:
    """Whether a value lies on the right side of a bound, "above 0.2"; NaN lies on neither."""
    direction, limit = bound.split()
    found = float(value)
    return found > float(limit) if direction == "above" else found < float(limit)


def holds(claim: Mapping[str, Any], of: Iterable[str] | None = None) -> bool:
    """Whether a claim of an entry holds on more than half of its seeds, or of those named."""
    values = claim["values"]
    chosen = [values[seed] for seed in of] if of else list(values.values())
    return 2 * sum(beyond(claim["bound"], value) for value in chosen) > len(chosen)


def carried(claim: Mapping[str, Any]) -> bool:
    """Whether the stored seeds alone carry a claim: three of them, whatever a live seed does."""
    others = list(claim["values"].values())[1:]  # the first is trained where the notebook is read
    return sum(beyond(claim["bound"], value) for value in others) > len(claim["values"]) // 2


def short(claims: Sequence[Claimed], machines: Mapping[str, dict], wanted: Iterable[str]) -> list:
    """What is wrong with what was computed of these claims; empty if all hold on all machines."""
    problems = []
    for name in {*wanted, *machines}:
        if name not in machines:
            problems.append(f"nothing is computed on {name}: `make arithmetic` is due")
            continue
        kept = machines[name]["claims"]
        for one in claims:
            claim = kept.get(one.claim)
            if claim is None or claim["bound"] != one.bound:
                problems.append(f"{one.claim} is not computed on {name}")
            elif not holds(claim):
                problems.append(f"{one.claim} does not hold on {name}: {claim['values']}")
            elif name == "stored" and not carried(claim):
                problems.append(f"{one.claim} hangs on the seed that a reader trains")
    return sorted(problems)


def share_moved(bound: str, was: Value, now: Value) -> float:
    """How far a value moved, as a share of its distance from the bound.

    1 or more is a change that could carry it over its bound; infinite is one between a number and
    none (NaN) or infinity.
    """
    before, after = float(was), float(now)
    if before == after or (math.isnan(before) and math.isnan(after)):
        return 0.0
    if not (math.isfinite(before) and math.isfinite(after)):
        return math.inf
    margin = abs(before - float(bound.split()[1]))
    return abs(after - before) / margin if margin else math.inf


def moved(base: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, float]:
    """For each claim of two entries, the largest `share_moved` over the seeds that both have."""
    return {
        claim: max(
            (share_moved(one["bound"], base["claims"][claim]["values"][seed], value)
             for seed, value in one["values"].items()
             if seed in base["claims"][claim]["values"]),
            default=0.0,
        )
        for claim, one in other["claims"].items()
        if claim in base["claims"]
    }  # fmt: skip


def table(computed: Mapping[str, Mapping[str, dict]]) -> list[str]:
    """Markdown lines: for each notebook and machine how many claims hold, and what moved most."""
    lines = [
        "| notebook | machine | claims | hold | values moved | most, as a share of the margin |"
    ]
    lines += ["|---|---|---|---|---|---|"]
    for stem, machines in computed.items():
        for name, made in machines.items():
            shares = moved(machines["stored"], made) if "stored" in machines else {}
            most = sorted((c for c in shares if shares[c]), key=shares.get, reverse=True)[:3]
            words = ", ".join(f"{claim} {shares[claim]:.0%}" for claim in most)
            held = sum(map(holds, made["claims"].values()))
            count = sum(share > 0 for share in shares.values())
            lines.append(
                f"| {stem} | {name} | {len(made['claims'])} | {held} | {count} | {words} |"
            )
    return lines
