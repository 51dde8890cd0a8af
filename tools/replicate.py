"""Judges every claim on other seeds: python tools/replicate.py --seeds 101-110 [--notebooks 01,05]

Prints, claim by claim, in how many seeds it held. The exit status is non-zero if a claim fell
short of what it says of itself, or if a notebook did not run. The seeds' values are kept in
build/replicate/.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from execution import ROOT, Problem, environment, execute, read_records, select

from course_utils.reproducibility import parse_seeds, provenance


def replicate(paths: Sequence[Path], seeds: str) -> tuple[list[dict], list[Problem]]:
    """The claim records of every notebook, recomputed on `seeds`, and what went wrong."""
    records, problems = [], []
    for path in paths:
        with tempfile.TemporaryDirectory() as claims:
            run = execute(path, environment("verify", seeds, Path(claims)))
            found, fallen = read_records(Path(claims), path)
        problems += [p for p in run.problems if not p.message.startswith("ClaimFailed")]
        problems += fallen + [p for record in found for p in _other_seeds(record, seeds)]
        records += found
        print(f"{path.stem}: {run.seconds:.0f} s")
    if not records:
        problems.append(Problem("all notebooks", "", "no claim was recorded"))
    return records, problems


def _other_seeds(record: dict, seeds: str) -> list[Problem]:
    """A problem if a claim was judged on other seeds than those asked for."""
    judged = sorted(int(seed) for seed in record["values"])
    if judged == sorted(parse_seeds(seeds)):
        return []
    message = f"judged on the seeds {judged} instead of {seeds}"
    return [Problem(record["notebook"], f"claim {record['claim']}", message)]


def table(records: Sequence[dict]) -> str:
    """One line per claim: how often it held, and the 95 % Wilson interval of that frequency.

    The interval says what so many seeds can show: 10 of 10 still allows a true rate of 72 %.
    """
    from scipy.stats import binomtest

    width = max((len(record["claim"]) for record in records), default=5)
    lines = [f"{'claim':{width}}  held/total  95 % interval"]
    notebook = None
    for record in records:
        if record["notebook"] != notebook:
            notebook = record["notebook"]
            lines.append(notebook)
        held, total = record["seeds_held"], record["seeds"]
        low, high = binomtest(held, total).proportion_ci(method="wilson")
        verdict = "" if record["held"] else f"  FELL SHORT (needs {record['at_least']:.0%})"
        interval = f"{low:.0%} to {high:.0%}"
        lines.append(f"{record['claim']:{width}}  {f'{held}/{total}':>10}  {interval}{verdict}")
    return "\n".join(lines)


def keep(file: Path, seeds: str, records: list[dict], problems: list[Problem]) -> None:
    """Write what was found, the seeds' values included, and what computed it."""
    result = {
        "seeds": parse_seeds(seeds),
        "provenance": provenance(),
        "claims": records,
        "problems": [str(problem) for problem in problems],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Replicate; the status is 0 if every claim held, 1 otherwise, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", required=True, help="for example 101-110 or 3,5,8")
    parser.add_argument("--notebooks", default="", help="for example 01,05; default: all")
    parser.add_argument("--folder", type=Path, default=ROOT / "notebooks", help="of the notebooks")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="of the results")
    options = parser.parse_args(arguments)
    try:
        parse_seeds(options.seeds)
        paths = select(options.folder, options.notebooks.replace(",", " ").split())
    except ValueError as error:
        parser.error(str(error))
    records, problems = replicate(paths, options.seeds)
    print(f"\n{table(records)}")
    parts = [options.seeds.replace(" ", "")]
    parts += [path.stem.split("_")[0] for path in paths if options.notebooks]
    keep(options.build / "replicate" / f"{'_'.join(parts)}.json", options.seeds, records, problems)
    if problems:
        print(f"\nreplicate: FAILED on the seeds {options.seeds}")
        print(*(f"  {problem}" for problem in problems), sep="\n")
        return 1
    print(f"\nreplicate: {len(records)} claims hold on the seeds {options.seeds}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
