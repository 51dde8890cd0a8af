"""Judges every claim on other seeds: python tools/replicate.py --seeds 101-110 [--notebooks 01,05]

Each core runs a notebook of its own on a few seeds at a time and keeps every seed's values in
build/replicate/<notebook>/<seed>.json. After Ctrl-C, or a kill, the same command goes on with the
seeds that are missing; a notebook that was changed begins anew.

Prints, claim by claim, in how many seeds it held, and the chance that all claims are green together
on five seeds, and writes both to build/replication.md. The exit status is non-zero if a claim fell
short of 98 of 100, or if a notebook did not run. --keep adds the counts to data/proof/counted.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import counts
import joblib
from code_digest import computing_cells
from computed import beyond
from counts import Count, ranges
from definitions import uses
from execution import (
    CELL_TIMEOUT,
    ROOT,
    Problem,
    add_folders,
    environment,
    execute,
    read_records,
    select,
)
from machine import processor
from tqdm import tqdm

from course_utils import _files as files
from course_utils import _store as store
from course_utils._environment import parse_seeds
from course_utils._fingerprint import bare
from course_utils._store import StoreError

TOGETHER = 5  # seeds a kernel: what a kill loses, against the half minute that figures cost each


def source(path: Path) -> str:
    """What a notebook's results depend on, as a hash: what it computes, and its stored values.

    Not their stamps, which age with changes that move no number: other numbers are stored anew.
    """
    digest = hashlib.sha256("\0".join(map(bare, computing_cells(path))).encode())
    for use in uses(path):
        stored = store.load(use.name)
        for name in sorted(stored.variables) if stored is not None else ():
            values = stored[name].values
            # An array of texts holds their addresses, which are others each time.
            content = repr(values.tolist()).encode() if values.dtype == object else values.tobytes()
            digest.update(name.encode() + content)
    return digest.hexdigest()[:16]


def finished(folder: Path, made_by: str, seeds: Sequence[int]) -> dict[int, list[dict]]:
    """The claim records of those `seeds` that `folder` has from this very notebook."""
    found = {}
    for seed in seeds:
        try:
            kept = json.loads((folder / f"{seed}.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # not there, or damaged: to be run again
            continue
        if not isinstance(kept, dict) or kept.get("source") != made_by:
            continue
        found[seed] = kept["claims"]
    return found


def replicate(
    paths: Sequence[Path],
    seeds: Sequence[int],
    build: Path,
    workers: int,
    surroundings: Mapping[str, str] | None = None,
) -> list[Problem]:
    """Run what is missing on all cores, keep each seed as it comes, return what went wrong.

    `surroundings` are further environment variables of the kernels.
    """
    jobs = []
    for path in paths:
        folder, made_by = build / "replicate" / path.stem, source(path)
        missing = sorted(set(seeds) - finished(folder, made_by, seeds).keys())
        groups = [missing[i : i + TOGETHER] for i in range(0, len(missing), TOGETHER)]
        jobs += [
            joblib.delayed(_replicate)(path, group, folder, made_by, surroundings or {})
            for group in groups
        ]
    if not jobs:
        return []
    parallel = joblib.Parallel(
        min(workers, len(jobs)),
        return_as="generator_unordered",
        pre_dispatch="n_jobs",  # workers outlive a kill: they finish what they have, no more
    )
    bar = tqdm(parallel(jobs), total=len(jobs), unit=f"x{TOGETHER} seeds", disable=None)
    return [problem for problems in bar for problem in problems]


def _replicate(
    path: Path, seeds: list[int], folder: Path, made_by: str, surroundings: Mapping[str, str]
) -> list[Problem]:
    """Run one notebook on a few seeds, in this process alone, and keep what it claims."""
    written = ",".join(map(str, seeds))
    with tempfile.TemporaryDirectory() as claims:
        variables = environment("claims", written, Path(claims)) | surroundings
        variables["LOKY_MAX_CPU_COUNT"] = "1"  # each core has a notebook already
        run = execute(path, variables, timeout=6 * CELL_TIMEOUT, bar=False)  # one core, or less
        records, _ = read_records(Path(claims), path)
    problems = [p for p in run.problems if not p.message.startswith("ClaimFailed")]
    if not records and not problems:
        problems.append(Problem(path.stem, "", "no claim was recorded"))
    for record in records:
        judged = sorted(map(int, record["values"]))
        if judged != seeds:
            message = f"judged on the seeds {judged} instead of {seeds}"
            problems.append(Problem(path.stem, f"claim {record['claim']}", message))
    if problems:
        return problems
    try:
        for seed in seeds:
            claims = [record | {"values": record["values"][str(seed)]} for record in records]
            text = json.dumps({"source": made_by, "claims": claims}, indent=1)
            files.write(folder / f"{seed}.json", text + "\n")
    except files.WriteError as error:
        return [Problem(path.stem, "", str(error))]
    return []


def holds(record: Mapping[str, Any]) -> bool:
    """Whether one seed's value is on the right side of the bound; NaN is on neither."""
    return beyond(f"{record['direction']} {record['bound']!r}", record["values"])


def count(found: Mapping[int, list[dict]]) -> list[Count]:
    """For each claim of one notebook: the seeds that judged it, and those on which it fell."""
    by_claim: dict[str, dict[int, dict]] = {}
    for seed, records in found.items():
        for record in records:
            by_claim.setdefault(record["claim"], {})[seed] = record
    rows = []
    for claim, records in by_claim.items():
        last = next(reversed(records.values()))
        fell = [seed for seed, record in records.items() if not holds(record)]
        bound = f"{last['direction']} {last['bound']:g}"
        rows.append(Count(claim, last["sentence"], bound, list(records), fell))
    return rows


def table(stem: str, found: Mapping[int, list[dict]]) -> list[str]:
    """Markdown lines: each claim, how often it held, the 95 % Wilson interval of its frequency.

    The interval says what so many seeds can show: 10 of 10 still allows a true rate of 72 %.
    """
    made_with = sorted({record["versions"] for records in found.values() for record in records})
    seeds = ranges(found, " to ", ", ")
    lines = [f"## {stem}", "", f"{len(found)} seeds, {seeds}; {made_with[0]}", ""]
    lines += [f"also {other}\n" for other in made_with[1:]]
    lines += ["| claim | held | 95 % interval | fell on seed |", "|---|---|---|---|"]
    for row in count(found):
        fell = ", ".join(map(str, row.fell[:5])) + (", ..." if len(row.fell) > 5 else "")
        short = " **FELL SHORT**" if row.short else ""
        lines.append(f"| {row.claim} | {counts.rate(row.held, len(row.seeds))}{short} | {fell} |")
    return lines


def keep(path: Path, found: Mapping[int, list[dict]]) -> list[Problem]:
    """Add what was found to the committed counts; only of a notebook that is committed itself.

    So that the bounds were there before the seeds that judge them.
    """
    asked = ["git", "-C", f"{ROOT}", "status", "--porcelain", "--", f"{path.resolve()}"]
    state = subprocess.run(asked, capture_output=True, text=True)
    if state.returncode or state.stdout.strip():
        why = "not kept: commit the notebook first, bounds come before the seeds that judge them"
        return [Problem(path.stem, "", why)]
    commit = subprocess.run(["git", "-C", f"{ROOT}", "rev-parse", "HEAD"], capture_output=True)
    versions = next(record["versions"] for records in found.values() for record in records)
    made = {
        "processor": processor(),
        "versions": versions,
        "commit": commit.stdout.decode().strip(),
    }
    counts.keep(path, count(found), made)
    return []


def status_of(tool: str, work: Callable[[], int]) -> int:
    """The status that `work` returns; what stops it before is one sentence, and a status, too."""
    try:
        return work()
    except KeyboardInterrupt:
        print(f"\n{tool}: interrupted; the same command goes on where this one stopped")
        return 130
    except (StoreError, files.WriteError) as error:
        print(f"\n{tool}: FAILED: {error}")
        return 1


def chosen(options: argparse.Namespace) -> tuple[list[int], list[Path]]:
    """Seeds and notebooks that a command line names; ValueError for what cannot be."""
    if options.workers < 1:
        raise ValueError(f"workers must be 1 or larger, got {options.workers}")
    paths = select(options.folder, options.notebooks.replace(",", " ").split())
    return parse_seeds(options.seeds), paths


def main(arguments: Sequence[str] | None = None) -> int:
    """Replicate; the status is 0 if every claim held, 1 otherwise, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", required=True, help="for example 101-110 or 3,5,8")
    parser.add_argument("--notebooks", default="", help="for example 01,05; default: all")
    parser.add_argument("--finished", action="store_true", help="run nothing, show what is there")
    parser.add_argument("--keep", action="store_true", help="add to the committed counts")
    parser.add_argument("--workers", type=int, default=joblib.cpu_count(), help="default: cores")
    add_folders(parser)
    options = parser.parse_args(arguments)
    try:
        seeds, paths = chosen(options)
        files.check_writable(options.build)
    except (ValueError, files.WriteError) as error:
        parser.error(str(error))

    def work() -> int:
        problems = (
            [] if options.finished else replicate(paths, seeds, options.build, options.workers)
        )
        return report(paths, seeds, options.build, problems, options.keep)

    return status_of("replicate", work)


def report(
    paths: Sequence[Path], seeds: Sequence[int], build: Path, problems: list[Problem], kept: bool
) -> int:
    """Print the tables, write them to build/replication.md, and give the exit status."""
    lines, by_notebook = [], {}
    for path in paths:
        found = finished(build / "replicate" / path.stem, source(path), seeds)
        if not found:
            problems.append(Problem(path.stem, "", "none of these seeds is finished"))
            continue
        lines += [*table(path.stem, found), ""]
        rows = count(found)
        by_notebook[path.stem] = [(row.held, len(row.seeds)) for row in rows]
        problems += [_fell(path.stem, row) for row in rows if row.short]
        problems += keep(path, found) if kept else []
    if by_notebook:
        lines += ["## Together, on five seeds", "", *counts.chances(by_notebook, pending=0), ""]
    print("\n".join(lines))
    files.write(build / "replication.md", "\n".join(lines))
    if problems:
        print("replicate: FAILED", *(f"  {problem}" for problem in problems), sep="\n")
        return 1
    print(f"replicate: {sum(map(len, by_notebook.values()))} claims hold")
    return 0


def _fell(stem: str, row: Count) -> Problem:
    total = len(row.seeds)
    message = f"holds for {row.held} of {total} seeds, wanted {counts.needed(total)}: "
    return Problem(stem, f"claim {row.claim}", message + row.sentence)


if __name__ == "__main__":
    sys.exit(main())
