"""How often the claims hold on seeds that nobody had seen: the committed counts and their product.

data/proof/counted/NOTEBOOK.json says of every claim on which seeds it was judged and on which it
fell; docs/replication.md is written from these files (`python tools/counts.py`). A claim whose
bound is no longer the one that was judged has no count: it is pending.
"""

import json
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat

from course_utils import _files as files
from course_utils._environment import parse_seeds

ROOT = Path(__file__).resolve().parent.parent
COUNTED = ROOT / "data" / "proof" / "counted"
PAGE = ROOT / "docs" / "replication.md"
SEEDS = 5  # that a test judges a claim by
ENOUGH = SEEDS // 2 + 1  # on which it has to hold: then the median lies beyond the bound
WANTED = 0.98  # of unseen seeds
OBSERVED, WITH_PRIOR = 0.99, 0.95  # wanted of the chance that the whole course is green


class Claimed(NamedTuple):
    """A claim as a notebook's committed output states it."""

    claim: str
    sentence: str
    bound: str  # "above 0.2"


class Count(NamedTuple):
    """A claim with the unseen seeds by which it was judged."""

    claim: str
    sentence: str
    bound: str
    seeds: list[int]
    fell: list[int]

    @property
    def held(self) -> int:
        return len(self.seeds) - len(self.fell)

    @property
    def short(self) -> bool:
        return self.held < needed(len(self.seeds))


def needed(total: int) -> int:
    """On how many of `total` unseen seeds a claim has to hold: one in fifty may fall."""
    return math.floor(WANTED * total + 1e-9)


def claimed(notebook: Path) -> list[Claimed]:
    """What the notebook at this path claims, by the outputs that are committed with it."""
    cells = nbformat.read(notebook, as_version=4).cells
    printed = "\n".join(out.get("text", "") for cell in cells for out in cell.get("outputs", []))
    lines = re.findall(r"^(?:HOLDS|FAILS)  (\S+): (.*) \[(\w+ \S+)\]$", printed, re.MULTILINE)
    return [Claimed(*line) for line in lines]


def counts(notebook: Path, folder: Path = COUNTED) -> tuple[list[Count], list[Claimed]]:
    """The claims of a notebook with their committed counts, and those that have none yet."""
    file = folder / f"{notebook.stem}.json"
    kept = json.loads(file.read_text(encoding="utf-8"))["claims"] if file.exists() else {}
    found, pending = [], []
    for one in claimed(notebook):
        record = kept.get(one.claim)
        if record is None or record["bound"] != one.bound:
            pending.append(one)
        else:
            found.append(Count(*one, parse_seeds(record["seeds"]), record["fell"]))
    return found, pending


def green(rate: float) -> float:
    """The chance that a claim which holds at this rate holds on enough of the seeds of a test."""
    chances = (
        math.comb(SEEDS, k) * rate**k * (1 - rate) ** (SEEDS - k) for k in range(ENOUGH, SEEDS + 1)
    )
    return sum(chances)


def together(found: Iterable[tuple[int, int]]) -> tuple[float, float]:
    """The chance that claims are green together, from (held, total) of each.

    At the rates that were observed, and with Jeffreys' prior, (held + 1/2) / (total + 1), which
    knows that 100 of 100 does not mean always.
    """
    found = list(found)
    observed = math.prod(green(held / total) for held, total in found)
    return observed, math.prod(green((held + 0.5) / (total + 1)) for held, total in found)


def chances(by_notebook: Mapping[str, Sequence[tuple[int, int]]], pending: int) -> list[str]:
    """Markdown lines: for each notebook and the whole, the chance that all claims are green."""
    lines = ["| notebook | claims | chance of green | with the prior |", "|---|---|---|---|"]
    every = [pair for pairs in by_notebook.values() for pair in pairs]
    for name, pairs in [*by_notebook.items(), ("**all**", every)]:
        observed, cautious = together(pairs)
        lines.append(f"| {name} | {len(pairs)} | {observed:.4f} | {cautious:.4f} |")
    if pending:
        lines += ["", f"Left out: {pending} claims without a count yet (pending)."]
    return lines


def rate(held: int, total: int) -> str:
    """ "99/100 | 95% to 100%": the count, and the 95 % Wilson interval of its frequency."""
    from scipy.stats import binomtest

    low, high = binomtest(held, total).proportion_ci(method="wilson")
    return f"{held}/{total} | {low:.0%} to {high:.0%}"


def ranges(seeds: Iterable[int], dash: str = "-", comma: str = ",") -> str:
    """``"3,5-8"``, which `parse_seeds` reads."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return comma.join(f"{run[0]}{dash}{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def keep(
    notebook: Path, found: Sequence[Count], made: Mapping[str, str], folder: Path = COUNTED
) -> None:
    """Add counts to the committed file of a notebook, and how they were `made`.

    Seeds that a claim has met already are not counted twice; the counts of another bound go.
    """
    file = folder / f"{notebook.stem}.json"
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    kept = {"runs": kept.get("runs", []), "claims": kept.get("claims", {})}
    kept["runs"].append({"seeds": ranges(found[0].seeds), **made})
    for one in found:
        record = kept["claims"].get(one.claim, {})
        if record.get("bound") != one.bound:
            record = {"bound": one.bound, "seeds": "", "fell": []}
        before = set(parse_seeds(record["seeds"])) if record["seeds"] else set()
        record["seeds"] = ranges(before.union(one.seeds))
        record["fell"] = sorted({*record["fell"], *(set(one.fell) - before)})
        kept["claims"][one.claim] = record
    files.write(file, json.dumps(kept, indent=1) + "\n")


TOP = Path(__file__).with_name("replication_top.md")  # what the page says before its tables


def page(notebooks: Sequence[Path], folder: Path = COUNTED) -> str:
    """The text of docs/replication.md."""
    chapters, by_notebook, waiting = [], {}, 0
    for notebook in notebooks:
        found, pending = counts(notebook, folder)
        by_notebook[notebook.stem] = [(one.held, len(one.seeds)) for one in found]
        waiting += len(pending)
        chapters += ["", f"## {notebook.stem}", "", *made(notebook, folder), ""]
        chapters += ["| claim | bound | held | 95 % interval | fell on seed |"]
        chapters += ["|---|---|---|---|---|", *(row(one) for one in found)]
        chapters += [
            f"| {one.claim}: {one.sentence} | {one.bound} | pending | | |" for one in pending
        ]
    top = TOP.read_text(encoding="utf-8").format(
        observed=OBSERVED, with_prior=WITH_PRIOR, chances="\n".join(chances(by_notebook, waiting))
    )
    return top + "\n".join(chapters) + "\n"


def row(one: Count) -> str:
    """A line of the table of a notebook."""
    fell = ", ".join(map(str, one.fell))
    sentence = one.sentence.replace("|", "\\|")
    return f"| {one.claim}: {sentence} | {one.bound} | {rate(one.held, len(one.seeds))} | {fell} |"


def made(notebook: Path, folder: Path) -> list[str]:
    """How the counts of a notebook were made, a line for each run."""
    file = folder / f"{notebook.stem}.json"
    runs = json.loads(file.read_text(encoding="utf-8"))["runs"] if file.exists() else []
    return [
        f"- seeds {run['seeds']}: {run['versions']}, {run['processor']}"
        + (f", commit {run['commit'][:10]}" if run.get("commit") else "")
        for run in runs
    ]


def main() -> int:
    """Write docs/replication.md from the committed counts."""
    files.write(PAGE, page(sorted((ROOT / "notebooks").glob("*.ipynb"))))
    print(f"{PAGE.relative_to(ROOT)} is written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
