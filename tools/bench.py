"""The same two sweeps as tutorials and libraries run them, and as the course does, side by side.

    python tools/bench.py [--repetitions 3] [--contestants sweep bare] [--quick] [--build FOLDER]

Every contestant trains the same networks on the same batches from the same start; that their
losses agree, with each other and with the stored results, is checked. Each runs in a process of
its own, in turn (A B C A B C ...), so that a slow minute of the machine hits all alike; the table
shows medians. What is timed is said in bench_contestants.py. build/bench.json keeps everything;
after Ctrl-C, or when a contestant fails, that of the repetitions that are whole.

Run it on an idle machine: the column "others" says what share of its cores did something else.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
from bench_contestants import CONTESTANTS, PEERS
from bench_experiments import ROOT, WORKLOADS, ends_of_runs, make_workload
from bench_measuring import keep, matrix_rate, measured
from execution import environment
from torch.utils.flop_counter import FlopCounterMode

from course_utils import _files as files
from course_utils import _store as store
from course_utils._environment import parse_seeds, provenance

OURS = "sweep"
QUICK = {"repetitions": 1, "seeds": "0-1", "steps": 20, "values": 1}
# Relative. Another start, order or step shows in the early losses of all runs; rounding, which
# differs with the number of threads, grows with every step, in the deepest nets beyond percents.
EARLY, FINAL = 0.01, 0.25
CONTESTED = 0.05  # of the cores: with more work of others beside it, a figure is provisional

Ends = list[tuple[float, float]]


def one_run(name: str, workload: str, options: argparse.Namespace) -> dict:
    """Figures of one contestant, trained in a process of its own."""
    script = Path(__file__).with_name("bench_contestants.py")
    command = [sys.executable, str(script), name, workload, "--seeds", options.seeds]
    for key in ("steps", "values"):
        command += [f"--{key}", str(getattr(options, key))] if getattr(options, key) else []
    variables = environment("verify")
    with measured() as cost:
        done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return found | {"peak_mb": cost.peak_mb, "others": cost.others}


def operations(name: str, options: argparse.Namespace) -> int:
    """Floating-point operations of all training steps; evaluation and measures do not count."""
    workload = make_workload(name, options.steps, options.values)
    total = 0
    for point in workload.points():
        problem = workload.problem(0, **point)
        inputs, targets = (part[: problem.batch] for part in problem.known)
        with FlopCounterMode(display=False) as counter:
            problem.loss(inputs, targets).backward()
        total += counter.get_total_flops() * problem.steps
    return total * len(parse_seeds(options.seeds))


def stored_ends(name: str, options: argparse.Namespace) -> Ends | None:
    """First and last losses in the course's store, if it has these seeds at full length."""
    workload, seeds = make_workload(name), parse_seeds(options.seeds)
    stored = store.load(workload.name)
    if stored is None or options.steps or options.values:
        return None
    if not set(seeds) <= set(stored["seed"].values.tolist()):
        return None
    return ends_of_runs(stored.sel(seed=seeds), workload)


def apart(found: Ends, expected: Ends, seeds: int) -> tuple[float, float]:
    """Relative differences: the runs' median of early losses, the largest of final medians.

    A median between the least and the largest loss that the seeds of its setting are expected to
    have counts as the same: where rounding has grown, a run is as far from itself as from others.
    """
    ours, theirs = np.array(found), np.array(expected)  # (runs, 2)
    early = np.median(abs(ours[:, 0] / theirs[:, 0] - 1))  # NaN if one is
    final, expected = (ends[:, 1].reshape(-1, seeds) for ends in (ours, theirs))
    medians = np.median(final, axis=1)
    nearest = medians.clip(expected.min(axis=1), expected.max(axis=1))
    return float(early), float(abs(medians / nearest - 1).max())


def row(runs: list[dict], expected: Ends, work: int, rate: float, seeds: int) -> dict:
    """Medians over repetitions of one contestant; how far its losses ever are from `expected`."""
    middle = {key: median(run[key] for run in runs) for key in ("seconds", "cpu_seconds")}
    early, final = np.max([apart(run["ends"], expected, seeds) for run in runs], axis=0).tolist()
    return middle | {
        "peak_mb": max(run["peak_mb"] for run in runs),
        "others": max(run["others"] for run in runs),
        "operations_per_second": work / middle["seconds"],
        "share_of_matrix_rate": work / middle["seconds"] / rate,
        "early_apart": early,
        "final_apart": final,
        "same": early <= EARLY and final <= FINAL,
        "all_seconds": [run["seconds"] for run in runs],
    }


def table(rows: dict[str, dict]) -> str:
    """The rows of one workload as a Markdown table."""
    ours = rows[OURS]["seconds"] if OURS in rows else None
    heads = ("contestant", "seconds", "of sweep's", "CPU seconds", "peak memory, MB", "GFLOP/s",
             "of torch.mm", "others", "losses apart, early", "final")  # fmt: skip
    lines = [" | ".join(heads), " | ".join(["---"] * len(heads))]
    for name, r in rows.items():
        cells = (
            name, f"{r['seconds']:.1f}", f"{r['seconds'] / ours:.2f}" if ours else "",
            f"{r['cpu_seconds']:.1f}", f"{r['peak_mb']:.0f}",
            f"{r['operations_per_second'] / 1e9:.2f}", f"{r['share_of_matrix_rate']:.1%}",
            f"{r['others']:.0%}", f"{r['early_apart']:.0e}",
            f"{r['final_apart']:.0e}" + ("" if r["same"] else " NOT THE SAME"),
        )  # fmt: skip
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def repeated(options: argparse.Namespace) -> list[dict[tuple[str, str], dict]]:
    """What each (workload, contestant) took, a dict a repetition.

    Ctrl-C, or a contestant that fails, leaves the repetitions that are whole.
    """
    jobs = [(name, who) for name in options.workloads for who in options.contestants]
    finished = []
    try:
        for number in range(1, options.repetitions + 1):
            runs = {}
            for name, who in jobs:
                runs[name, who] = run = one_run(who, name, options)
                print(f"{number}: {name}, {who}: {run['seconds']:.1f} s", file=sys.stderr)
            finished.append(runs)
    except (KeyboardInterrupt, subprocess.CalledProcessError) as stop:
        if not finished:
            raise
        why = "interrupted" if isinstance(stop, KeyboardInterrupt) else f"{who} failed"
        print(f"bench: {why}; counted are the repetitions that are whole", file=sys.stderr)
    return finished


def bench(options: argparse.Namespace) -> dict:
    """Everything, measured."""
    cores = os.cpu_count()
    rates = {"one_thread": matrix_rate(1), "all_cores": matrix_rate(cores)}
    seeds = len(parse_seeds(options.seeds))
    stored = {name: stored_ends(name, options) for name in options.workloads}  # before the hour
    finished = repeated(options)
    results = {}
    for name in options.workloads:
        contestants = [who for where, who in finished[0] if where == name]
        of_name = {who: [runs[name, who] for runs in finished] for who in contestants}
        first = OURS if OURS in of_name else next(iter(of_name))
        expected = stored[name] or of_name[first][0]["ends"]
        work = operations(name, options)
        results[name] = {
            who: row(found, expected, work, rates["all_cores"], seeds)
            for who, found in of_name.items()
        }
    return {
        "provenance": provenance(), "cores": cores, "matrix_rate": rates,
        "repetitions": len(finished),
        "options": {k: str(v) for k, v in vars(options).items() if k != "build"},
        "results": results,
    }  # fmt: skip


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repetitions", type=int, default=3, metavar="N")
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=CONTESTANTS)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--seeds", default="0-4", help="such as 0-4")
    parser.add_argument("--quick", action="store_true", help="tiny: does it work at all?")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="of the results")
    parser.set_defaults(steps=None, values=None)
    options = parser.parse_args(arguments)
    if options.repetitions < 1:
        parser.error("--repetitions must be 1 or larger")
    try:
        parse_seeds(options.seeds)
        files.check_writable(options.build)  # now, and not after an hour's work
    except (ValueError, files.WriteError) as error:
        parser.error(str(error))
    vars(options).update(QUICK if options.quick else {})
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the status is 1 if contestants fail or differ in what they compute, or if a file
    cannot be read or written, and 130 if none is done.
    """
    options = parse(arguments)
    missing = {who for who in options.contestants if _missing(who)}
    for who in sorted(missing):
        print(f'{who}: left out, {PEERS[who]} is not installed (pip install -e ".[bench]")')
    options.contestants = [who for who in options.contestants if who not in missing]
    if not options.contestants:
        return 1
    try:
        result = bench(options)
    except KeyboardInterrupt:
        print("\nbench: interrupted before one repetition was whole; nothing is written")
        return 130
    except (subprocess.CalledProcessError, store.StoreError) as error:
        print(f"\nbench: nothing is written: {error}")
        return 1
    rates = " and ".join(f"{rate / 1e9:.0f}" for rate in result["matrix_rate"].values())
    print(f"{result['provenance']}, {result['cores']} cores; "
          f"torch.mm does {rates} GFLOP/s on one thread and on all cores")  # fmt: skip
    for name, rows in result["results"].items():
        head = f"{name}, seeds {options.seeds}, median of {result['repetitions']}"
        print(f"\n{head}\n\n{table(rows)}")
    every = [r for rows in result["results"].values() for r in rows.values()]
    if any(r["others"] > CONTESTED for r in every):
        print("\nProvisional: the machine was busy with other things as well.")
    status = keep(options.build / "bench.json", result)
    return status or int(not all(r["same"] for r in every))


def _missing(contestant: str) -> bool:
    return contestant in PEERS and importlib.util.find_spec(PEERS[contestant]) is None


if __name__ == "__main__":
    sys.exit(main())
