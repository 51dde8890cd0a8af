"""Judges every claim with other machines' arithmetic: python tools/arithmetic.py [--notebooks 01]

With AVX2, or without vector instructions, sums are taken in another order than with AVX-512, so
that digits move, as they do on another processor. Claims may not fall, and how far they moved is
measured from the stored results (of which a reader's run trains one seed in five anew). The values
go to data/proof/computed/, where a test judges them. What another environment computed
(`tools/replicate.py --seeds 0-4 --build build/arithmetic/NAME` under another version of torch, say)
is taken along. After Ctrl-C the same command goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import computed
import joblib
from counts import claimed
from execution import Problem, add_folders
from machine import processor
from replicate import chosen, finished, replicate, source, status_of

from course_utils import _files as files

AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}  # of most laptops
NO_VECTORS = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
MACHINES = {  # the environment of the kernels; a run itself always has one thread
    "stored": {"COURSE_MODE": "read"},
    "avx2-1-thread": AVX2 | {"OMP_NUM_THREADS": "1"},
    "avx2-2-threads": AVX2 | {"OMP_NUM_THREADS": "2"},
    "no-vectors-1-thread": NO_VECTORS | {"OMP_NUM_THREADS": "1"},
    "no-vectors-2-threads": NO_VECTORS | {"OMP_NUM_THREADS": "2"},
}
# The number of threads has never moved a digit; these are computed for every claim.
WANTED = ("stored", "avx2-1-thread", "no-vectors-1-thread")


def take(paths: Sequence[Path], seeds: Sequence[int], build: Path, folder: Path) -> None:
    """Write what is finished in `build` on all `seeds`, machine by machine, to `folder`."""
    for machine in sorted(place for place in build.iterdir() if place.is_dir()):
        for path in paths:
            found = finished(machine / "replicate" / path.stem, source(path), seeds)
            if set(found) != set(seeds):
                continue
            records = [dict(record) for record in found[seeds[0]]]
            for record in records:
                record["values"] = {
                    str(seed): one["values"]
                    for seed in seeds
                    for one in found[seed]
                    if one["claim"] == record["claim"]
                }
            made = computed.entry(records, processor())
            computed.save(path.stem, machine.name, made, folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge and compare; the status is 0 if no claim fell, 1 otherwise, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0-4", help="default: 0-4")
    parser.add_argument("--notebooks", default="", help="for example 01,05; default: all")
    parser.add_argument("--machines", nargs="*", default=list(MACHINES), choices=MACHINES)
    parser.add_argument("--workers", type=int, default=joblib.cpu_count(), help="default: cores")
    parser.add_argument("--proof", type=Path, default=computed.COMPUTED, help="where values go")
    add_folders(parser)
    options = parser.parse_args(arguments)
    try:
        seeds, paths = chosen(options)
        files.check_writable(options.build / "arithmetic")
        files.check_writable(options.proof)
    except (ValueError, files.WriteError) as error:
        parser.error(str(error))
    return status_of("arithmetic", lambda: judge(paths, seeds, options))


def judge(paths: Sequence[Path], seeds: Sequence[int], options: argparse.Namespace) -> int:
    """Replicate on each machine, keep the values, print the table, and give the exit status."""
    build, problems = options.build / "arithmetic", []
    for machine in options.machines:
        kept = build / machine
        problems += replicate(paths, seeds, kept, options.workers, MACHINES[machine])
    take(paths, seeds, build, options.proof)
    known = {path.stem: computed.load(path.stem, options.proof) for path in paths}
    for path in paths:
        fallen = computed.short(claimed(path), known[path.stem], options.machines)
        problems += [Problem(path.stem, "", problem) for problem in fallen]
    print("\n".join(computed.table(known)))
    if problems:
        print("\narithmetic: FAILED", *(f"  {problem}" for problem in problems), sep="\n")
        return 1
    print("\narithmetic: no claim falls")
    return 0


if __name__ == "__main__":
    sys.exit(main())
