"""Check every healthy run: trained to its planned end it reaches its preset score.

Run from the repository's root:
`python -m tests.practice.verify_healthy [seeds] [part of a name] [longer]`;
with `longer`, the run goes on to three times its budget, to see what more there was to reach.
"""

import math
import sys
import time

import torch

from . import healthy_help, healthy_odd, healthy_plain, healthy_rare

KEYS = {"model", "loss", "batches", "optimizer", "step", "shown"}


def state_of(model):
    """A copy of the weights and buffers."""
    return [tensor.clone() for tensor in model.state_dict().values()]


def loss_of(plan):
    """The mean loss over the batches, the same chance each time; chance itself is left alone."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return healthy_help.mean_loss(plan)


def verify(name, builder, seed, longer=False):
    """Build the entry, go on from what is handed over to the planned end; is all well?"""
    torch.manual_seed(987 + seed)  # the builder must not lean on this
    start = time.process_time()
    plan = builder.handed_over(seed)
    run = healthy_help.as_run(plan)
    seconds = time.process_time() - start
    before = state_of(plan.model)
    torch.manual_seed(654 + seed)
    again = builder(seed)
    faults = []
    pairs = zip(before, state_of(again["model"]), strict=True)
    if not all(torch.equal(one, other) for one, other in pairs) or run["shown"] != again["shown"]:
        faults.append("built twice, it differs")
    if set(again) != KEYS:
        faults.append(f"keys {sorted(again)}")
    if seconds > 1.5:
        faults.append("slow")
    first = builder.planned(seed)
    fresh, fresh_loss = healthy_help.measure(first), loss_of(first)

    done = healthy_help.steps_behind(plan, builder.state)
    healthy_help.train(plan, plan.steps - done, start=done)
    reached, loss = healthy_help.measure(plan), loss_of(plan)
    if not reached >= plan.goal:
        faults.append("goal not reached")
    if not fresh < plan.goal and not plan.trained_before:
        faults.append("goal met before the training")
    if not loss < fresh_loss:
        faults.append(f"loss from {fresh_loss:.4f} to {loss:.4f}")
    if not all(math.isfinite(value) for value in [*plan.logged, loss, run["shown"] or 0.0]):
        faults.append("not finite")
    more = ""
    if longer:
        healthy_help.train(plan, 2 * plan.steps, start=plan.steps)
        most = healthy_help.measure(plan)
        share = (reached - fresh) / max(most - fresh, 1e-6)
        more = f"  longer {most:7.3f} ({share:.2f})"
        if share < 0.85 and not plan.trained_before:
            faults.append("far from what it can reach")
    shown = "-" if run["shown"] is None else f"{run['shown']:.3f}"
    print(
        f"{name:26s} seed {seed} {seconds:5.2f} s  fresh {fresh:7.3f}  reached {reached:7.3f}"
        f"  goal {plan.goal:6.3f}{more}  loss {fresh_loss:.3f} to {loss:.3f}  shown {shown}"
        f"  {'; '.join(faults) or 'ok'}",
        flush=True,
    )
    return not faults


def main(seeds=2, part="", longer=False):
    """Verify all entries whose name holds `part` and return how many fail."""
    torch.set_num_threads(1)
    bank = healthy_plain.HEALTHY | healthy_odd.HEALTHY | healthy_rare.HEALTHY
    results = [
        verify(name, builder, seed, longer)
        for name, builder in bank.items()
        if part in name
        for seed in range(seeds)
    ]
    print(f"{len(bank)} entries; {results.count(True)} runs in order, {results.count(False)} not")
    return results.count(False)


if __name__ == "__main__":
    seeds, part, longer = (sys.argv[1:] + ["2", "", ""][len(sys.argv) - 1 :])[:3]
    sys.exit(bool(main(int(seeds), part, bool(longer))))
