"""Tries stored results whose stamp is stale: does today's code still compute the same?

A stamp ages with anything that could move a number, and most changes move none. So the code that
stamped a result (a worktree of the commit that last wrote its file) and the code of today train the
first seed at every setting (of a lab's grid one setting in eight), both on this machine. Where
every bit is equal, the result is stamped anew and says by what it was checked; else it has to be
recomputed.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import xarray as xr
from counts import ROOT
from definitions import Use, experiment, uses
from machine import processor

from course_utils import _store as store

LAB_SHARE = 8  # of a lab's grid one setting in so many: it carries no claim


def stale(notebooks: Sequence[Path]) -> list[Use]:
    """What of these notebooks is missing in the store, or stamped by other code than today's."""
    found = []
    for use in (use for notebook in notebooks for use in uses(notebook)):
        try:
            stored = store.load(use.name)
        except store.StoreError:
            stored = None
        if stored is None or store.differences(experiment(use), stored):
            found.append(use)
    return found


def try_again(found: Sequence[Use], root: Path = ROOT) -> list[Use]:
    """Stamp anew what computes the same as before; what is left has to be recomputed."""
    left, by_commit = [], {}
    for use in found:
        by_commit.setdefault(_written_by(use, root), []).append(use)
    for commit, of_commit in by_commit.items():
        if not commit:
            left += of_commit  # never committed, or changed since: nobody knows the code
            continue
        with _worktree(commit, root) as before:
            for use in of_commit:
                same, count = _same(use, before, root)
                words = (
                    "equal, bit for bit: stamped anew" if same else "different: to be recomputed"
                )
                print(
                    f"{use.name}: {count} runs under {commit[:10]} and today, {words}", flush=True
                )
                if same:
                    by = f"{count} runs of the first seed, equal bit for bit to those of commit "
                    store.stamp_anew(
                        use.name, experiment(use), f"{by}{commit[:10]}, on {processor()}"
                    )
                else:
                    left.append(use)
    return left


def _written_by(use: Use, root: Path) -> str:
    """The commit that last wrote the file of a stored result; "" if it has changed since."""
    path = store.store_path(use.name)
    if not path.exists() or _git(root, "status", "--porcelain", "--", f"{path}"):
        return ""
    return _git(root, "log", "-1", "--format=%H", "--", f"{path}")


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", f"{root}", *words], capture_output=True, text=True)
    return done.stdout.strip()


@contextmanager
def _worktree(commit: str, root: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        subprocess.run(
            ["git", "-C", f"{root}", "worktree", "add", "--quiet", "--detach", f"{tree}", commit],
            check=True,
        )
        try:
            yield tree
        finally:
            _git(root, "worktree", "remove", "--force", f"{tree}")


def _same(use: Use, before: Path, root: Path) -> tuple[bool, int]:
    """Whether two trees compute the same runs, and how many were tried."""
    stored = store.load(use.name)
    runs = _chosen(stored, 1 if use.function == "sweep" else LAB_SHARE)
    trees, path = (before, root), use.notebook.resolve().relative_to(root.resolve())
    at_work = [  # side by side
        _ask(tree / path, tree, use.experiment, runs, int(stored["seed"][0])) for tree in trees
    ]
    answers = [process.communicate()[0].split() for process in at_work]
    return answers[0] == answers[1] and len(answers[1]) == len(runs), len(runs)


def _chosen(stored: xr.Dataset, share: int) -> list[dict]:
    settings = store.settings_of(stored)
    points = list(itertools.product(*settings.values()))[::share]
    return [dict(zip(settings, point, strict=True)) for point in points]


def _ask(
    notebook: Path, tree: Path, experiment: str, runs: list[dict], seed: int
) -> subprocess.Popen:
    """A process that trains these runs with the code of `tree` and prints their digests."""
    job = {"notebook": f"{notebook}", "experiment": experiment, "runs": runs, "seed": seed}
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("COURSE_")}
    surroundings |= {"PYTHONPATH": f"{tree}", "TQDM_DISABLE": "1"}
    process = subprocess.Popen(
        [sys.executable, f"{Path(__file__).parent / 'runs_of.py'}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # settings that today's code does not know: not the same
        text=True,
        env=surroundings,
    )
    process.stdin.write(json.dumps(job))
    process.stdin.close()
    process.stdin = None  # or communicate would write to it
    return process
