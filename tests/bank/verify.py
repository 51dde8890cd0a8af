"""Does every run of a bank fulfil its definition? ``python tests/bank/verify.py BANK [names]``.

Trains each run as it is, its twin without the faults and, of two faults, each alone; prints a table
and keeps the scores in the bank's verified.json. What stands there already is not trained again,
unless it is named.
"""

import json
import math
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bank.registry import Healthy, Sick, bank  # noqa: E402
from bank.runs import Run  # noqa: E402
from course_utils._runs import isolated  # noqa: E402

SEEDS = (1, 2, 3)


def trained(run: Run, seed: int) -> dict[str, float]:
    """The examiner's number (and the honest one) after the run's own number of steps."""
    with isolated(seed + 1000):
        run.train(run.steps)
        scores = {"score": run.score()}
        if run.honest:
            scores["honest"] = run.honest(run.model)
    return {key: round(value, 3) if math.isfinite(value) else None for key, value in scores.items()}


def reaches(score: float | None, goal: float) -> bool:
    return score is not None and score >= goal  # None: not finite


def sick(entry: Sick, seed: int) -> dict:
    """Scores of a sick run, its twin, and the runs with one of two faults."""
    run, twin = entry.builder(seed), entry.builder(seed, ())
    row = {"goal": run.goal, "sick": trained(run, seed), "twin": trained(twin, seed)}
    fulfils = not reaches(row["sick"]["score"], run.goal) and reaches(
        row["twin"]["score"], twin.goal
    )
    if entry.lies:
        fulfils = fulfils and reaches(row["sick"]["honest"], run.honest_goal)
    if len(entry.planted) > 1:
        row["alone"] = {c: trained(entry.builder(seed, (c,)), seed) for c in entry.planted}
        fulfils = fulfils and not any(reaches(a["score"], run.goal) for a in row["alone"].values())
    return {**row, "fulfils": fulfils}


def healthy(entry: Healthy, seed: int) -> dict:
    """The score of a healthy run, when handed over and after its steps."""
    run = entry.builder(seed)
    row = {"goal": run.goal, "handed": round(run.score(), 3), "healthy": trained(run, seed)}
    return {**row, "fulfils": reaches(row["healthy"]["score"], run.goal)}


def line(name: str, seed: int, row: dict) -> str:
    numbers = {k: v["score"] for k, v in row.items() if isinstance(v, dict) and "score" in v}
    numbers |= {k: v["score"] for k, v in row.get("alone", {}).items()}
    told = "  ".join(f"{key} {value}" for key, value in numbers.items())
    told += f"  handed {row['handed']}" if "handed" in row else ""
    return f"{'ok ' if row['fulfils'] else 'NOT'} {name:34} {seed} {row['seconds']:5.1f} s  " + (
        f"goal {row['goal']}  {told}"
    )


def main(folder: str, *named: str) -> int:
    """Verify what is named, or all that is missing; 1 if a run does not fulfil its definition."""
    torch.set_num_threads(1)
    found, kept = bank(folder), Path(__file__).parent / folder / "verified.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    known = found.SICK | found.HEALTHY
    results = {name: rows for name, rows in results.items() if name in known}
    for name in named or [name for name in known if name not in results]:
        results[name] = {}
        for seed in SEEDS:
            started = time.perf_counter()
            row = (sick if name in found.SICK else healthy)(known[name], seed)
            row["seconds"] = round(time.perf_counter() - started, 1)
            results[name][str(seed)] = row
            print(line(name, seed, row), flush=True)
        kept.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    failed = [n for n, rows in results.items() if not all(r["fulfils"] for r in rows.values())]
    print(f"{len(results)} of {len(known)} runs verified; not as defined: {failed or 'none'}")
    return 1 if failed or len(results) < len(known) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
