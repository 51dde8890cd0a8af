"""Verifies the notebooks: python tools/verify.py [--all] [NOTEBOOK ...]

Fully what moved since it was last verified: every run is trained anew, nbval compares the outputs,
every claim has to hold, and data/proof/computed/ then says what was verified where. Of every other
notebook one run of each stored result is trained again (see samples.py), and where CI is set, one
of their records, drawn at random, is checked on one seed, so that a record written by hand is found
out. --all recomputes everything. (The grids behind the labs are never recomputed as a whole.)
"""

import argparse
import math
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import computed
import joblib
import samples
from code_digest import digest
from counts import claimed
from execution import (
    CELL_TIMEOUT,
    ROOT,
    Problem,
    add_folders,
    conclude,
    environment,
    execute,
    read_records,
    select,
)
from machine import kind, processor

from course_utils import _files as files


def moved(notebook: Path, proof: Path) -> str:
    """Why a notebook has to be verified anew; "" if it is as it was when it was verified."""
    entry = computed.load(notebook.stem, proof).get("verified")
    if entry is None:
        return "was never verified"
    if entry["code"] != digest(notebook):
        return "its code, or what it reaches, moved"
    bounds = {claim: one["bound"] for claim, one in entry["claims"].items()}
    if bounds != {one.claim: one.bound for one in claimed(notebook)}:
        return "its claims moved"
    return ""


def recompute(notebook: Path, build: Path, proof: Path) -> list[Problem]:
    """Run a notebook with nothing stored, compare its outputs, judge its claims, and record that.

    Nothing is recorded of a notebook with a problem.
    """
    claims = build / "claims" / "verify"
    (claims / f"{notebook.stem}.json").unlink(missing_ok=True)
    options = f"--nbval --nbval-current-env --nbval-cell-timeout={CELL_TIMEOUT} -q".split()
    options.append(f"--color={'yes' if sys.stdout.isatty() else 'no'}")  # nbval's "auto" is "yes"
    command = [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider", f"{notebook}"]
    sys.stdout.flush()
    status = subprocess.run(command, cwd=ROOT, env=environment("verify", claims=claims)).returncode
    records, problems = read_records(claims, notebook)
    if status:
        problems.append(Problem(notebook.stem, "", f"pytest's exit status is {status}, see above"))
    if records and not problems:
        entry = computed.entry(records, processor(), code=digest(notebook))
        computed.save(notebook.stem, "verified", entry, proof)
    held = sum(record["held"] for record in records)
    print(f"{notebook.stem}: recomputed, {held} of {len(records)} claims hold")
    return problems


def sample(notebooks: Sequence[Path], workers: int) -> list[Problem]:
    """Train one run of every stored result of these notebooks again, and judge it."""
    asked = ["git", "-C", f"{ROOT}", "rev-parse", "HEAD"]
    commit = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    os.environ["TQDM_DISABLE"] = "1"  # a bar for each run, of one run, tells nothing
    found = samples.samples(notebooks, commit, workers)
    problems, others = samples.judge(found)
    equal = len(found) - len(problems) - len(others)
    print(f"one run of {len(found)} stored results, drawn by commit {commit[:10]}: {equal} equal")
    if others:
        print(f"{len(others)} were made on another kind of processor: judged by the claims")
    return [*problems, *samples.in_its_place(others)]


def same(was: computed.Value, now: computed.Value) -> bool:
    """Whether two values of a claim are one, but for the order in which a mean was taken.

    Runs are equal bit for bit; a mean in single precision over an array of one seed, and over one
    of five, may differ in its last digits. Nobody guesses a value to a thousandth.
    """
    return was == now or math.isclose(float(was), float(now), rel_tol=1e-3, abs_tol=1e-5)


def check_record(notebook: Path, proof: Path) -> list[Problem]:
    """Compute a recorded notebook on one seed, drawn at random, and compare the values."""
    entry = computed.load(notebook.stem, proof)["verified"]
    seeds = next(iter(entry["claims"].values()))["values"]
    seed = random.choice(list(seeds))
    with tempfile.TemporaryDirectory() as folder:
        run = execute(notebook, environment("verify", seed, Path(folder)))
        records, _ = read_records(Path(folder), notebook)
    print(f"{notebook.stem}: its record, drawn at random, is computed on seed {seed}")
    problems = [one for one in run.problems if not one.message.startswith("ClaimFailed")]
    if not records:
        return [*problems, Problem(notebook.stem, "", "no claim was recorded")]
    here = kind(processor(), records[0]["versions"])
    alike = here == kind(entry["processor"], entry["versions"])
    for record in records:
        claim, value = entry["claims"][record["claim"]], record["values"][seed]
        was, claim["values"][seed] = claim["values"][seed], value
        if alike and not same(was, value):
            message = f"is recorded as {was} on seed {seed}, and is {value}"
            problems.append(Problem(notebook.stem, f"claim {record['claim']}", message))
        elif not computed.holds(claim):
            message = f"does not hold with seed {seed} as computed here"
            problems.append(Problem(notebook.stem, f"claim {record['claim']}", message))
    return problems


def verify(paths: Sequence[Path], options: argparse.Namespace) -> list[Problem]:
    """Recompute what moved, sample the rest; what went wrong."""
    problems, rest = [], []
    files.check_writable(options.build / "claims" / "verify")
    files.check_writable(options.proof)
    for path in paths:
        why = "is to be recomputed" if options.all else moved(path, options.proof)
        if not why:
            rest.append(path)
            continue
        print(f"{path.stem}: {why}")
        problems += recompute(path, options.build, options.proof)
    if rest:
        print(f"not moved: {', '.join(path.stem for path in rest)}")
        problems += sample(rest, options.workers)
        if os.environ.get("CI"):
            problems += check_record(random.choice(rest), options.proof)
    return problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify; the status is 0 if nothing went wrong, 1 otherwise, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK")
    parser.add_argument("--all", action="store_true", help="recompute everything")
    parser.add_argument("--workers", type=int, default=joblib.cpu_count(), help="default: cores")
    parser.add_argument("--proof", type=Path, default=computed.COMPUTED, help="of the records")
    add_folders(parser)
    options = parser.parse_args(arguments)
    try:
        paths = select(options.folder, options.notebooks)
    except ValueError as error:
        parser.error(str(error))
    try:
        problems = verify(paths, options)
    except files.WriteError as error:
        problems = [Problem("verify", "", str(error))]
    claims = sum(len(claimed(path)) for path in paths)
    plural = "s" * (len(paths) != 1)
    return conclude("verify", f"{len(paths)} notebook{plural}, {claims} claims, all hold", problems)


if __name__ == "__main__":
    sys.exit(main())
