"""Judges every claim with other machines' arithmetic: python tools/arithmetic.py [--notebooks 01]

Without vector instructions sums are taken in another order, so that digits move, as they do on
another processor. Claims may not fall, and how far they moved is measured from the stored results
(of which a reader's run trains one seed in five anew; on a processor like the one that made them
it comes out the same).
The seeds' values are kept in build/arithmetic/; what another environment computed there
(`tools/replicate.py --seeds 0-4 --build build/arithmetic/NAME` under another version of torch, say)
is compared as well. After Ctrl-C the same command goes on.
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import joblib
from execution import Problem, add_folders
from replicate import chosen, counts, finished, replicate, source, status_of

from course_utils import files

NO_VECTORS = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
MACHINES = {  # the environment of the kernels; a run itself always has one thread
    "stored": {"COURSE_MODE": "read"},
    "no-vectors-1-thread": NO_VECTORS | {"OMP_NUM_THREADS": "1"},
    "no-vectors-2-threads": NO_VECTORS | {"OMP_NUM_THREADS": "2"},
}
Found = Mapping[int, list[dict]]  # a notebook's claim records by seed


def moved(base: Found, other: Found) -> dict[str, float]:
    """For each claim, how far its values moved, as a share of their distance from the bound.

    The largest over the seeds that both have; 1 or more is a change that could carry a value over
    its bound, and infinite is one between a number and none (NaN) or infinity.
    """
    largest: dict[str, float] = {}
    for seed in base.keys() & other.keys():
        before = {record["claim"]: record for record in base[seed]}
        for record in other[seed]:
            if record["claim"] in before:
                share = _share(before[record["claim"]], record)
                largest[record["claim"]] = max(share, largest.get(record["claim"], 0.0))
    return largest


def _share(before: dict, after: dict) -> float:
    was, now = (float(record["values"]) for record in (before, after))
    if was == now or (math.isnan(was) and math.isnan(now)):
        return 0.0
    if not (math.isfinite(was) and math.isfinite(now)):
        return float("inf")
    margin = abs(was - before["bound"])
    return abs(now - was) / margin if margin else float("inf")


def table(paths: Sequence[Path], seeds: Sequence[int], build: Path) -> tuple[list[str], list]:
    """Markdown lines, one a machine and notebook, and the claims that fell short.

    What is short among the stored results of the same few seeds does not fall elsewhere.
    """
    lines = ["| machine | notebook | seeds | claims | held | moved | moved most, of its margin |"]
    lines += ["|---|---|---|---|---|---|---|"]
    problems = []
    for machine in sorted(folder for folder in build.iterdir() if folder.is_dir()):
        for path in paths:
            made_by = source(path)
            found = finished(machine / "replicate" / path.stem, made_by, seeds)
            if not found:
                continue
            base = finished(build / "stored" / "replicate" / path.stem, made_by, seeds)
            rows, shares = list(counts(found)), moved(base, found)
            same = {seed: base[seed] for seed in found.keys() & base.keys()}
            known = {row["claim"] for row in counts(same) if row["short"]}
            held = sum(not row["short"] for row in rows)
            most = sorted(shares, key=shares.get, reverse=True)[:3]
            words = ", ".join(f"{claim} {shares[claim]:.1%}" for claim in most if shares[claim])
            changed = sum(share > 0 for share in shares.values()) if same else "-"
            cells = [machine.name, path.stem, len(found), len(rows), held, changed, words]
            lines.append(f"| {' | '.join(map(str, cells))} |")
            problems += [
                Problem(path.stem, f"claim {row['claim']}", f"falls on {machine.name}")
                for row in rows
                if row["short"] and (row["claim"] not in known or machine.name == "stored")
            ]
    return lines, problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge and compare; the status is 0 if no claim fell, 1 otherwise, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0-4", help="default: 0-4")
    parser.add_argument("--notebooks", default="", help="for example 01,05; default: all")
    parser.add_argument("--machines", nargs="*", default=list(MACHINES), choices=MACHINES)
    parser.add_argument("--workers", type=int, default=joblib.cpu_count(), help="default: cores")
    add_folders(parser)
    options = parser.parse_args(arguments)
    try:
        seeds, paths = chosen(options)
        files.check_writable(options.build / "arithmetic")
    except (ValueError, files.WriteError) as error:
        parser.error(str(error))
    return status_of("arithmetic", lambda: judge(paths, seeds, options))


def judge(paths: Sequence[Path], seeds: Sequence[int], options: argparse.Namespace) -> int:
    """Replicate on each machine, print and write the table, and give the exit status."""
    build, problems = options.build / "arithmetic", []
    for machine in options.machines:
        kept = build / machine
        problems += replicate(paths, seeds, kept, options.workers, MACHINES[machine])
    lines, fallen = table(paths, seeds, build)
    print("\n".join(lines))
    files.write(build.with_suffix(".md"), "\n".join(lines) + "\n")
    if problems + fallen:
        print("\narithmetic: FAILED", *(f"  {one}" for one in problems + fallen), sep="\n")
        return 1
    print("\narithmetic: no claim falls")
    return 0


if __name__ == "__main__":
    sys.exit(main())
