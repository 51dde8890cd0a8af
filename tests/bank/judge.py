"""How good is `checkup`? ``python tests/bank/judge.py BANK [--seeds 1 2 3] [--workers 2]``.

Hands every sick and every healthy run over, appends a line to judged.jsonl for each, and skips what
stands there; when all are judged it prints a table and writes judged.json. Look once: README.md.
"""

import os

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # before numpy is imported: a process that has threads forks badly

import argparse  # noqa: E402
import hashlib  # noqa: E402
import json  # noqa: E402
import multiprocessing  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from multiprocessing.connection import wait  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import course_utils.checkup  # noqa: E402
from bank.causes import NAMES, PARTS  # noqa: E402
from bank.judge_summary import summary, table  # noqa: E402
from bank.registry import Bank, Healthy, Sick, bank  # noqa: E402
from bank.runs import Run  # noqa: E402
from course_utils._runs import isolated  # noqa: E402
from course_utils.checkup import checkup  # noqa: E402
from course_utils.checkup._causes import CAUSES  # noqa: E402

LIMIT = 300  # seconds for a run; as many for its building
MOST = 5  # findings that count
UNFINISHED, TRAIN_LONGER = "too_few_steps", "train longer"  # the cause, and the advice that says it

# What each cause of checkup names, in the bank's words: by what it means and tells to repair.
# Decided before any result was known. Nothing: it has no counterpart, or only narrows.
MEANS = {
    "not_finite": set(),
    "inputs_not_finite": {"not_finite_inputs"},
    "ignored_labels": set(),
    "one_class": set(),
    "inputs_constant": {"inputs_destroyed"},
    "labels_say_nothing": {"labels_misaligned"},
    "same_batch": set(),
    "one_channel": {"wrong_loss"},
    "loss_shape": {"broadcasting"},
    "not_registered": {"wrong_parameters"},
    "foreign_optimiser": {"wrong_parameters"},
    "output_range": {"relu_on_output"},
    "constant_output": set(),  # says where to look, not what to mend
    "no_gradient": {"detached", "clipped_probabilities"},  # it tells to look for either
    "no_step": set(),
    "rate_sign": {"schedule_to_zero"},  # a schedule that counts steps for epochs
    "uphill": {"loss_sign"},
    "rate_zero": {"schedule_to_zero", "rate_too_low"},
    "softmax_twice": {"double_softmax"},
    "mixed_examples": {"mixed_examples"},
    "stale_gradients": {"missing_zero_grad"},
    "eval_mode": set(),  # trained in eval(), not evaluated in train()
    "loss_wrong": {"wrong_loss", "loss_sign"},  # "lowest where the answers are wrong"
    "sorted_batches": set(),
    "target_scale": {"unscaled_targets"},
    "input_scale": {"unscaled_inputs"},
    "no_nonlinearity": {"no_activation"},
    "initialisation": {"dead_start"},
    "too_deep": {"degradation"},
    "dead_units": {"rate_too_high"},  # its repair: a smaller rate from new weights
    "frozen": {"wrong_parameters"},
    "missing_parameters": {"wrong_parameters"},
    "weight_decay": {"weight_decay"},
    "penalty": {"penalty_in_loss"},
    "optimiser_settings": {"adam_epsilon"},
    "momentum": set(),
    "rate_high": {"rate_too_high"},
    "rate_low": {"rate_too_low"},
    "clipping": {"clipping_too_tight"},
    "loop": set(),
    "optimiser": set(),
    "dropout": {"dropout_too_strong"},
    "batchnorm": {"batchnorm_tiny_batch"},
    "batch_too_small": {"batchnorm_tiny_batch"},  # the same repair: larger batches
    "batch_too_large": set(),
    "labels_shifted": set(),  # the answer is given away, not lost
    "imbalance": {"imbalance", "label_prior"},
    "capacity": {"too_small"},
    "model_or_loss": set(),
    "number_on_screen": set(),
    "train_eval_gap": {"evaluated_in_train_mode"},
    "too_little_data": set(),
}

# The bank's parts that each part of checkup narrows to.
NARROWS = {
    "display": {"evaluation"},
    "inputs": {"inputs"},
    "labels": {"labels", "data"},
    "batches": {"data"},
    "model": {"model", "outputs"},
    "loss": {"loss"},
    "optimiser": {"optimiser"},
    "loop": {"loop"},
}
EITHER = {"model_or_loss": {"model", "outputs", "loss"}}  # causes that narrow to more than a part


def check_vocabularies() -> None:
    """Every cause and part of checkup has a meaning here, and every meaning is the bank's."""
    missing = CAUSES.keys() - MEANS.keys()
    assert not missing, f"say in MEANS of judge.py what these name: {sorted(missing)}"
    missing = {cause.part for cause in CAUSES.values()} - NARROWS.keys()
    assert not missing, f"say in NARROWS of judge.py what these narrow to: {sorted(missing)}"
    unknown = set().union(*MEANS.values()) - NAMES.keys()
    unknown |= set().union(*NARROWS.values(), *EITHER.values()) - set(PARTS)
    assert not unknown, f"not in the bank's vocabulary: {sorted(unknown)}"


def version() -> str:
    """A fingerprint of the code that is judged."""
    folder = Path(course_utils.checkup.__file__).parent
    texts = b"".join(path.name.encode() + path.read_bytes() for path in sorted(folder.glob("*.py")))
    return hashlib.sha256(texts).hexdigest()[:16]


def built(entry: Sick | Healthy, seed: int) -> tuple[Run, str]:
    """The run, and its state: fresh, half way or at its end."""
    done, train = [], Run.train

    def counted(run: Run, steps: int) -> list[float]:
        done.append(steps)
        return train(run, steps)

    Run.train = counted
    try:
        run = entry.builder(seed)
    finally:
        Run.train = train
    if run.steps == 0:
        return run, "end"
    return run, "half way" if sum(done) else "fresh"


def judged(run: Run, seed: int) -> dict:
    """What checkup says of a run."""
    record = {"findings": [], "advice": "", "error": ""}
    since = time.perf_counter()
    try:
        with isolated(seed + 1000):
            report = checkup(
                *(run.model, run.loss, run.batches, run.optimizer, run.step, run.shown),
                progress=False,
            )
        record["advice"] = report.advice
        record["findings"] = [
            {"cause": finding.cause, "part": finding.part, "sure": finding.sure}
            for finding in report.findings
        ]
    except Exception as error:
        record["error"] = f"{type(error).__name__}: {error}"[:500]
    return {**record, "seconds": round(time.perf_counter() - since, 2)}


def work(connection, entry: Sick | Healthy, seed: int) -> None:
    """A process: builds one run, sends its state, has it examined, sends the record."""
    torch.set_num_threads(1)
    run, state = built(entry, seed)
    connection.send(state)
    connection.send(judged(run, seed))


class Job:
    """A process that judges one run, and how far it is."""

    def __init__(self, name: str, entry: Sick | Healthy, seed: int):
        context = multiprocessing.get_context("fork")
        self.connection, there = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(there, entry, seed), daemon=True)
        self.process.start()
        there.close()
        self.name, self.seed, self.state = name, seed, "not built"
        self.since = time.monotonic()

    def record(self, limit: float) -> dict | None:
        """What the process has sent; None while there is still time."""
        seconds = time.monotonic() - self.since
        try:
            if self.connection.poll():
                sent = self.connection.recv()
                if isinstance(sent, dict):
                    return {"state": self.state, **sent}
                self.state, self.since = sent, time.monotonic()
                return None
            error = f"time limit of {limit:g} s" if seconds > limit else ""
        except EOFError:
            error = "the process died"
        empty = {"state": self.state, "findings": [], "advice": ""}
        return {**empty, "error": error, "seconds": round(seconds, 2)} if error else None


def answers(jobs: list[tuple], workers: int, limit: float):
    """Yields (name, seed, record) as processes finish; ends those that exceed the limit."""
    waiting, running = list(reversed(jobs)), []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(Job(*waiting.pop()))
            wait([job.connection for job in running], timeout=1)
            for job in list(running):
                record = job.record(limit)
                if record is None:
                    continue
                job.process.kill()
                job.process.join()
                job.connection.close()
                running.remove(job)
                if record["state"] == "not built":
                    raise RuntimeError(f"{job.name}, seed {job.seed}: {record['error']}, not built")
                yield job.name, job.seed, record
    finally:
        for job in running:
            job.process.kill()


def known_records(path: Path, code: str) -> dict[tuple[str, int], dict]:
    """What stands in the file already, by name and seed; all of it by the same code."""
    records = {}
    text = path.read_text() if path.exists() else ""
    if text and not text.endswith("\n"):  # killed while it wrote
        text = text[: text.rfind("\n") + 1]
        path.write_text(text)
    for line in text.splitlines():
        record = json.loads(line)
        if record["code"] != code:
            raise SystemExit(f"{path} was written by another version of checkup: use another --out")
        records[record["name"], record["seed"]] = record
    return records


def all_records(found: Bank, path: Path, seeds: list[int], workers: int, limit: float):
    """The records of all runs on all seeds; those that are not in the file are judged now."""
    runs = found.SICK | found.HEALTHY
    code = version()
    records = known_records(path, code)
    wanted = [(name, seed) for name in runs for seed in seeds]
    missing = [(name, runs[name], seed) for name, seed in wanted if (name, seed) not in records]
    for name, seed, record in answers(missing, workers, limit):
        record = {"name": name, "seed": seed, **record, "code": code}
        with path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        records[name, seed] = record
        print(f"\r{len(records)} of {len(wanted)} runs", end="", file=sys.stderr, flush=True)
    if missing:
        print(file=sys.stderr)
    return [records[job] for job in wanted]


def right_parts(entry: Sick, found: Bank) -> set[str]:
    """The bank's part of the run, and those of the accepted causes where they are planted alone."""
    alone = [other for other in found.SICK.values() if len(other.planted) == 1]
    return {entry.part} | {other.part for other in alone if other.planted[0] in entry.causes}


def verdict(record: dict, found: Bank, weight: float) -> dict:
    """What is right in the record of a sick run."""
    entry, findings = found.SICK[record["name"]], record["findings"][:MOST]
    named = [MEANS[finding["cause"]] for finding in findings]
    right = [bool(causes & entry.causes) for causes in named]
    by_advice = UNFINISHED in entry.causes and TRAIN_LONGER in record["advice"] and not findings
    part = set()
    if findings:
        cause = findings[0]["cause"]
        part = EITHER.get(cause) or NARROWS[findings[0]["part"]]
    first = right[:1] == [True]
    return {
        **record,
        "planted": entry.planted,
        "weight": weight,
        "noticed": bool(findings) or by_advice,
        "named_first": first,
        "named": any(right),
        "narrowed": first or bool(part & right_parts(entry, found)),
        "by_advice": by_advice,
        "planted_named": sum(any(cause in causes for causes in named) for cause in entry.planted),
    }


def main(arguments: list[str]) -> int:
    """Judge what is missing, then sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bank", help="the folder of the bank, such as third")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for a run")
    parser.add_argument("--out", type=Path, help="where the summary goes: judged.json of the bank")
    options = parser.parse_args(arguments)
    check_vocabularies()
    found, seeds = bank(options.bank), list(dict.fromkeys(options.seeds))
    out = options.out or Path(__file__).parent / options.bank / "judged.json"
    lines = out.with_suffix(".jsonl")
    records = all_records(found, lines, seeds, options.workers, options.limit)
    weights = found.weights()
    sick = [verdict(r, found, weights[r["name"]]) for r in records if r["name"] in found.SICK]
    kinds = {name: entry.kind for name, entry in found.HEALTHY.items()}
    healthy = [{**r, "kind": kinds[r["name"]]} for r in records if r["name"] in kinds]
    summed = {"seeds": seeds, "code": records[0]["code"], **summary(sick, healthy)}
    out.write_text(json.dumps(summed, indent=1) + "\n")
    print(table(summed))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
