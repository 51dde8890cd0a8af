"""Changes of one thing at a time: what makes a run learn names what kept it from learning."""

import math
from dataclasses import dataclass

import torch

from . import _learners
from ._batches import examples, joined, take
from ._changes import (
    all_weights,
    default_settings,
    dropped,
    no_decay,
    odd_settings,
    plain_loop,
    quick_adam,
    rated,
    scaled_answers,
    standardised,
    target_oddity,
    without_dropout,
)

BETTER = 0.6  # a change must leave less than this of what the unchanged run leaves
GAIN = 0.15  # and this share of the way less
DEEP = 8  # layers of weights: what dies out over fewer has another cause than the depth
NARROW = 3  # units through which little passes
SHORT = 1e-4  # change of the weights in a step, relative to their size: Adam's is near 1e-2
COLLAPSED = 0.01  # spread over the examples, last layer over first
RATES = (10.0, 0.1, 100.0, 0.01)


@dataclass
class Treatment:
    """One change: the cause that it would speak for, what is done, and why it is tried."""

    cause: str
    what: str
    change: object = None  # twin -> None or a step(batch)
    own: bool = True
    batches: list | None = None
    examples: int = 1  # times as many in a batch: as many fewer steps, or it would see more
    prior: float = 0.0  # for ties: how odd is what the change takes away


def treatments(exam) -> None:
    """Where the run does badly: the changes that apply, and the one that helps most."""
    paths = exam.paths
    own, heart = paths.get("own"), paths.get("own_by_heart")
    if own is None:
        return only_adam(exam)
    by_heart = min(heart.start, heart.best) <= _learners.LEARNT
    whole = own.best <= 0.5 or own.falls
    exam.measured["learns"] = [by_heart, whole]
    listed = applicable(exam, thorough=not (by_heart and whole))
    if not listed:
        return advise(exam)
    base = trial(exam, Treatment("", "")) if exam.run.has_taken_steps or own.start < 0.9 else own
    results = {}
    for treatment in listed:
        results[treatment.what] = (treatment, trial(exam, treatment))
    exam.measured["treatments"] = {name: p.end for name, (_, p) in results.items()}
    exam.measured["left_untreated"] = base.end
    choose(exam, base, results, strict=by_heart and whole)
    if not exam.findings and not (by_heart or whole):
        remains(exam)
    if not exam.findings:
        advise(exam)


def trial(exam, treatment: Treatment):
    """The shares left on the way of a copy with new weights and one change."""
    batches = treatment.batches or exam.run.batches
    steps = _learners.STEPS // treatment.examples
    losses, _ = _learners.follow(
        exam, batches, steps, own=treatment.own, fresh=True, change=treatment.change
    )
    return _learners.path(losses, exam.reference, exam.lowest)


def applicable(exam, thorough: bool) -> list[Treatment]:
    """The changes that this run gives a reason for; `thorough` adds those that need none."""
    listed = reasoned(exam)
    if thorough:
        return listed + unreasoned(exam)
    if exam.run.optimizer is not None and exam.paths["own"].end > 0.25:
        listed.append(Treatment("rate_high", "the rate (times 0.1 if changed)", rated(0.1)))
    return listed


def reasoned(exam) -> list[Treatment]:
    """Changes that take away something odd about inputs, targets, model, optimiser or batches."""
    run, listed = exam.run, []
    words, size = exam.input_oddity
    if size:
        listed.append(Treatment("input_scale", words, standardised(exam), prior=size))
    words, size = target_oddity(exam)
    if size:
        listed.append(Treatment("target_scale", words, scaled_answers(exam), prior=size))
    rate = dropped(exam)
    if rate >= 0.5:
        listed.append(Treatment("dropout", f"dropout of {rate:.0%}", without_dropout, prior=rate))
    groups = run.optimizer.param_groups if run.optimizer is not None else []
    decay = max((float(g.get("weight_decay", 0) or 0) for g in groups), default=0.0)
    if decay >= 0.02:
        listed.append(
            Treatment("weight_decay", f"weight decay of {decay:g}", no_decay, prior=decay)
        )
    cause, odd = odd_settings(groups)
    if odd:
        listed.append(Treatment(cause, odd, default_settings, prior=1))
    sizes = [examples(batch) for batch in run.batches]
    if 0 < max(sizes) <= 4:
        bigger = [joined(run.batches[i : i + 8]) for i in range(0, len(sizes) - 7, 8)]
        if bigger and None not in bigger:
            what = f"batches of {max(sizes)}"
            listed.append(Treatment("batch_too_small", what, batches=bigger, examples=8))
    return listed


def unreasoned(exam) -> list[Treatment]:
    """Changes that are tried on every run that goes badly."""
    run, listed = exam.run, []
    sizes = [examples(batch) for batch in run.batches]
    if len(sizes) <= 4 and min(sizes) >= 128:
        rows = torch.arange(min(sizes)).split(32)
        smaller = [take(batch, part) for batch in run.batches for part in rows]
        listed.append(Treatment("batch_too_large", f"batches of {min(sizes)}", batches=smaller))
    if run.step is not None and run.optimizer is not None:
        listed.append(Treatment("loop", "the run's own step", plain_loop))
    if run.optimizer is not None:
        listed += [
            Treatment(
                "rate_low" if factor > 1 else "rate_high",
                f"the rate (times {factor:g} if changed)",
                rated(factor),
            )
            for factor in RATES
        ]
    listed.append(Treatment("optimiser", "the optimiser", quick_adam, own=False))
    if exam.missing or any(not p.requires_grad for p in run.model.parameters()):
        cause = "missing_parameters" if exam.missing else "frozen"
        listed.append(Treatment(cause, "weights that stand still", all_weights, prior=1))
    return listed


def choose(exam, base, results, strict: bool) -> None:
    """The change that helps most, where one helps enough, becomes a finding."""
    start = exam.paths["own"]
    untreated = min(base.end, base.best) if math.isfinite(base.end) else math.inf
    better, gain = (0.4, 0.15) if strict else (BETTER, GAIN)
    if not slow_at_all(exam):
        slow = ("rate_low", "optimiser")
        results = {what: pair for what, pair in results.items() if pair[0].cause not in slow}
    helped = {
        what: (treatment, way)
        for what, (treatment, way) in results.items()
        if way.end < better * untreated and way.end < untreated - gain
    }
    first_loss(exam)
    if not exam.run.has_taken_steps and not strict:
        again = trial(exam, Treatment("", "")) if base is start else base
        exam.measured["left_with_new_weights"] = again.end
        if again.end < better * start.end and again.end < start.end - gain:
            helped["its first weights"] = (Treatment("initialisation", "its first weights"), again)
    if not helped:
        return
    least = min(way.end for _, way in helped.values())
    near = {  # where something is odd, taking that away need not be the very best change
        w: pair
        for w, pair in helped.items()
        if pair[1].end <= least + (0.3 if pair[0].prior else 0.1)
    }
    what = max(near, key=lambda w: (near[w][0].prior > 0, rank(near[w][0].cause), -near[w][1].end))
    treatment, way = near[what]
    exam.add(
        cause_of(exam, treatment),
        "likely",
        f"{what}: {min(untreated, 99):.0%} of the way is left after {_learners.STEPS} steps; with "
        f"that changed, {way.end:.0%}",
        f"{better:.0%} of the unchanged; 100 % is the best constant answer, 0 % the lowest loss",
        untreated=untreated,
        treated=way.end,
    )


def slow_at_all(exam) -> bool:
    """Whether a few steps may say that a run is slow.

    Not if it is fast enough for a few examples; nor where the steps saw few examples, or a rare
    class in few of them, unless the weights hardly move.
    """
    if exam.measured.get("relative_size_of_a_step", 1.0) < SHORT:
        return True
    rare = exam.measured.get("share_of_the_most_frequent", 0.0) > 0.8
    few = max(map(examples, exam.run.batches)) < 8
    return exam.paths["own_by_heart"].end > 0.5 and not rare and not few


def first_loss(exam) -> None:
    """An untrained network whose first loss is far above a constant answer's."""
    start = exam.paths["own"].start
    if exam.run.has_taken_steps or exam.run.optimizer is None or start < 4:
        return
    twin = exam.run.twin(fresh=True)
    anew = _learners.path(
        [twin.mean_loss(exam.run.batches[: _learners.FEW])] * 3, exam.reference, exam.lowest
    )
    if anew.start < 0.4 * start:
        exam.add(
            "initialisation",
            "likely",
            f"the first loss is {start:.3g} times that of the best constant answer, with weights "
            f"as the layers draw them {anew.start:.3g} times",
            "4: an untrained network should answer nearly the same to all",
            start=start,
        )


def rank(cause: str) -> int:
    """Between changes that help alike: the narrower cause first."""
    order = ("optimiser", "loop", "initialisation", "rate_low", "rate_high", "batch_too_large")
    return order.index(cause) if cause in order else len(order)


def cause_of(exam, treatment: Treatment) -> str:
    """A loop whose gradient is only shorter is one that clips."""
    known = exam.measured
    if treatment.cause == "optimiser":
        size = known.get("relative_size_of_a_step", 1.0)
        if size == 0:
            return "rate_zero"
        return "rate_low" if size < SHORT else "optimiser"
    if treatment.cause != "loop":
        return treatment.cause
    size, cosine = (
        known.get(k, 1.0) for k in ("gradient_given_over_own", "cosine_of_given_and_own")
    )
    shorter = cosine > 0.98 or known.get("share_of_gradient_cut", 0.0) > 0.95
    return "clipping" if size < 0.5 and shorter else "loop"


def remains(exam) -> None:
    """No change helped: which part is left."""
    adam, known = exam.paths["adam_by_heart"], exam.measured
    summed = exam.random_answers or abs(known.get("share_of_penalty", 0.0)) > 0.02
    if len(exam.seen.outputs) > 1:
        return  # what a constant answer costs is not known of a loss of several outputs
    bound = 0.85 if summed else 0.5
    line = known.get("layers", 2) < 2 and known.get("bent", 1.0) < 1e-3
    died_out = (
        known.get("spread_last_over_first", 1.0) < COLLAPSED and known.get("layers", 1) >= DEEP
    )
    if not died_out and (min(adam.best, adam.start) <= bound or line):
        return
    cause, why = "model_or_loss", ""
    if 0 < known.get("narrowest", 0) <= NARROW:
        cause, why = "capacity", f"; its narrowest layer has {known['narrowest']} units"
    elif known.get("share_of_dead_units", 0.0) > 0.9:
        cause, why = "dead_units", f"; {known['share_of_dead_units']:.0%} of a layer's are silent"
    elif known.get("spread_of_answers", 1.0) < 1e-4 and known.get("layers", 1) < DEEP:
        cause = "constant_output"
        why = f", and answers still differ by {known['spread_of_answers']:.0e} of their size only"
    elif known.get("spread_last_over_first", 1.0) < COLLAPSED:
        ratio = known["spread_last_over_first"]
        cause = "too_deep" if died_out else "constant_output"
        why = f"; the spread over the examples falls to {ratio:.0e} over {known['layers']} layers"
    if cause in ("model_or_loss", "capacity") and known.get("left_of_seen", 1.0) <= bound:
        return  # with new weights and a faster Adam it learns more than a few examples
    exam.add(
        cause,
        "possible" if cause == "model_or_loss" else "likely",
        f"{_learners.STEPS} steps of Adam on {sum(map(examples, exam.heart))} examples leave "
        f"{adam.best:.0%} of a constant answer's loss{why}",
        f"{bound:.0%}; 100 % is the best constant answer",
        left=adam.best,
    )


def only_adam(exam) -> None:
    """No step was handed over: whether the model can learn at all."""
    remains(exam)
    if not exam.findings:
        advise(exam)


def advise(exam) -> None:
    """What to do where nothing is wrong."""
    own = exam.paths.get("own")
    if own is not None and own.best < own.start - 0.02:
        exam.advice = (
            f"The run's own steps still lower its loss ({_learners.STEPS} of them, from "
            f"{own.start:.0%} to {own.best:.0%} of a constant answer's): train longer."
        )
