"""Train every sick practice run to the end of its plan, with and without its fault."""

import importlib
import inspect
import sys
import time

import torch

from tests.practice.sick_help import train

FILES = ("sick_data", "sick_model", "sick_loss", "sick_training")
SEEDS = (0, 1, 2)


def final(run):
    """Train the rest of the plan with the run's own step and return the score."""
    train(run["model"], run["loss"], run["batches"], run["optimizer"], run["step"], run.left)
    return run.score(run["model"])


def variants(builder):
    """Return the keyword arguments: the run as it is, without fault, with each fault alone."""
    parameters = inspect.signature(builder).parameters
    if "faults" not in parameters:
        return {"fault": True}, {"fault": False}, []
    both = parameters["faults"].default
    return {"faults": both}, {"faults": ()}, [{"faults": (one,)} for one in both]


def judge(builder, seed):
    """Return (is it as it should be, what was measured, seconds to build)."""
    sick, well, alone = variants(builder)
    started = time.perf_counter()
    run = builder(seed)
    seconds = time.perf_counter() - started
    if set(run) != {"model", "loss", "batches", "optimizer", "step", "shown"}:
        return False, "wrong keys", seconds
    if run.honest is not None:
        healthy = builder(seed, **well)
        gaps = [abs(one["shown"] - one.honest(one["model"])) for one in (run, healthy)]
        text = f"shown {run['shown']:.3f} honest {run.honest(run['model']):.3f}"
        got = final(run)
        text += f"; gap when well {gaps[1]:.3f}; reaches {got:.2f} of {run.target:.2f}"
        return gaps[0] > 0.15 and gaps[1] < 0.02 and got >= run.target, text, seconds
    got = final(run)
    healthy = final(builder(seed, **well))
    singly = [final(builder(seed, **one)) for one in alone]
    text = f"sick {got:.2f} well {healthy:.2f} target {run.target:.2f}"
    if singly:
        text += " alone " + " ".join(f"{one:.2f}" for one in singly)
    missed = all(not one >= run.target for one in [got, *singly])
    return missed and healthy >= run.target, text, seconds


def main():
    """Judge the builders named on the command line, or all."""
    torch.set_num_threads(1)
    wanted = sys.argv[1:]
    torch.optim.Adam([torch.zeros(1)])  # the first optimiser of a process loads much code
    count = wrong = 0
    for file in FILES:
        try:
            sick = importlib.import_module(f"tests.practice.{file}").SICK
        except ModuleNotFoundError:
            continue
        for name, (builder, _, _) in sick.items():
            if wanted and name not in wanted and file not in wanted:
                continue
            count += 1
            judged = [judge(builder, seed) for seed in SEEDS]
            fine = all(one[0] for one in judged) and max(one[2] for one in judged) < 1.5
            wrong += not fine
            texts = " | ".join(one[1] for one in judged)
            print(f"{'ok ' if fine else 'BAD'} {name}: {texts} | {judged[1][2]:.2f} s", flush=True)
    print(f"{count} runs, {wrong} not as they should be")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
