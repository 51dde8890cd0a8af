"""Changes of one thing at a time: what makes a run learn names what kept it from learning."""

import math
from dataclasses import dataclass, replace

import torch

from . import _learners
from ._batches import examples, joined, renumbered, take
from ._beside import beside
from ._changes import (
    all_weights,
    default_settings,
    dropped,
    kept_as_they_are,
    no_decay,
    odd_settings,
    plain_loop,
    quick_adam,
    quick_adam_of_held,
    rated,
    redrawn,
    scaled_answers,
    skipping,
    standardised,
    target_oddity,
    without_dropout,
)
from ._uncut import attached_step, cuts, unclipped

BETTER = 0.6  # a change must leave less than this of what the unchanged run leaves
GAIN = 0.15  # and this share of the way less
DEEP = 8  # layers of weights: what dies out over fewer has another cause than the depth
NARROW = 4  # units through which little passes
LONGER = 2  # times the steps, with other new weights, before a change is called the remedy
PATIENT = 8  # times the steps of a run that is said to be slow: a plateau may end by itself
AGAIN = 2  # the draw of new weights then
DISORDER = 0.2  # of what is learnt in order: so much must be lost out of it
SHORT = 1e-4  # change of the weights in a step, relative to their size: Adam's is near 1e-2
COLLAPSED = 0.01  # spread over the examples, last layer over first
FADES = 0.2  # the same: so little that skip connections are tried
ABSURD = 10.0  # times a constant answer's loss: where constants collapse, it says nothing
CLIPPED = 0.2  # share of the numbers that a clamp in the loss cuts off
HIDDEN = ("input_scale", "target_scale", "dropout", "too_deep")
REGULARISERS = ("dropout", "weight_decay")
SLOW = ("rate_low", "optimiser", "target_scale")
BARELY = 0.9  # share of the way left to a run that has hardly begun
MORE_THAN = 0.05  # so much less must be left of unseen batches
FIRST = "its first weights"
SIGNIFICANT = 4.0  # standard errors: beyond chance, of several looks
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
    base = unchanged(exam) if exam.run.has_taken_steps or own.start < 0.9 else own
    results = {}
    for treatment in listed:
        try:
            results[treatment.what] = (treatment, trial(exam, treatment))
        except Exception as error:
            exam.untested.append(f"without {treatment.what} ({type(error).__name__})")
    exam.measured["treatments"] = {name: p.end for name, (_, p) in results.items()}
    exam.measured["left_untreated"] = base.end
    choose(exam, base, results, strict=by_heart and whole)
    if not (by_heart and whole) and not exam.found(*HIDDEN):
        of_two(exam, listed, results)
    if not has_a_cause(exam) and not (by_heart or whole):
        remains(exam)
    if not has_a_cause(exam):
        advise(exam)


def has_a_cause(exam) -> bool:
    """Whether something has been found that could keep the run from learning."""
    return any(finding.part != "display" for finding in exam.findings)


def trial(exam, treatment: Treatment, times: int = 1, fresh: bool = True, draw: int = 1):
    """The shares left on the way of a copy with new weights and one change."""
    losses, _ = _learners.follow(
        exam,
        treatment.batches or exam.run.batches,
        times * _learners.STEPS // treatment.examples,
        own=treatment.own,
        fresh=fresh,
        change=treatment.change,
        draw=draw,
    )
    return _learners.path(losses, exam.reference, exam.lowest)


def unchanged(exam, times: int = 1, fresh: bool = True, draw: int = 1):
    """The same of a copy without any change."""
    return trial(exam, Treatment("", ""), times, fresh, draw)


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
    listed += of_the_graph(exam)
    helper = beside(exam) if 0 < narrowest(exam) <= NARROW else None
    if helper is not None:
        what = f"a layer of width {narrowest(exam)} (a wide network beside it if changed)"
        listed.append(Treatment("capacity", what, helper, own=False, prior=1))
    sizes = [examples(batch) for batch in run.batches]
    if 0 < max(sizes) <= 4 and not exam.found("batchnorm"):
        bigger = [joined(run.batches[i : i + 8]) for i in range(0, len(sizes) - 7, 8)]
        if bigger and None not in bigger:
            what = f"batches of {max(sizes)}"
            listed.append(Treatment("batch_too_small", what, batches=bigger, examples=8))
    return listed


def narrowest(exam) -> int:
    """Units of the narrowest layer, embeddings among them; 0 where it is not known."""
    embeddings = [m.embedding_dim for m in exam.run.model.modules()
                  if isinstance(m, torch.nn.Embedding) and m.embedding_dim > 1]  # fmt: skip
    widths = [exam.measured.get("narrowest", 0), *embeddings]
    return min(filter(None, widths), default=0)


def of_the_graph(exam) -> list[Treatment]:
    """Changes that let a gradient pass where the run cuts it off."""
    known, listed = exam.measured, []
    beyond = known.get("share_beyond_a_clip", 0.0)
    if beyond > CLIPPED:
        what = f"a clamp in the loss cuts off {beyond:.0%} (its gradient passed on if changed)"
        listed.append(Treatment("no_gradient", what, unclipped, own=False, prior=beyond))
    if "cut_that_may_go" not in known:
        known["cut_that_may_go"] = cuts(exam)
    if known["cut_that_may_go"]:
        what = "a detach() in the model (passed over if changed)"
        listed.append(Treatment("no_gradient", what, attached_step, own=False, prior=1))
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
    fades = exam.measured.get("spread_last_over_first", 1.0) < FADES
    if exam.measured.get("layers", 0) >= DEEP and fades:
        what = f"{exam.measured['layers']} layers in a row (skip connections if changed)"
        listed.append(Treatment("too_deep", what, skipping(exam.measured["layers"])))
    if exam.missing or any(not p.requires_grad for p in run.model.parameters()):
        cause = "missing_parameters" if exam.missing else "frozen"
        listed.append(Treatment(cause, "weights that stand still", all_weights, prior=1))
    return listed


def choose(exam, base, results, strict: bool) -> None:
    """The change that helps most, where one helps enough, becomes a finding."""
    start = exam.paths["own"]
    untreated = min(base.end, base.best) if math.isfinite(base.end) else math.inf
    reached = min([untreated, *filter(math.isfinite, (start.start, start.best))])  # so far
    better, gain = (0.4, 0.15) if strict else (BETTER, GAIN)
    if not slow_at_all(exam):
        slow = ("rate_low", "optimiser")
        results = {what: pair for what, pair in results.items() if pair[0].cause not in slow}
    if strict and untreated <= 0.5:  # these are meant to leave something
        results = {w: pair for w, pair in results.items() if pair[0].cause not in REGULARISERS}
    helped = {
        what: (treatment, way)
        for what, (treatment, way) in results.items()
        if way.end < better * untreated and way.end < reached - gain
    }
    first_loss(exam)
    if not exam.run.has_taken_steps and not strict:
        given, anew = (unchanged(exam, LONGER, fresh) for fresh in (False, True))
        exam.measured["left_with_new_weights"] = anew.end
        change = None
        if anew.end >= BARELY and kept_as_they_are(exam.run.model):
            change = redrawn
            anew = trial(exam, Treatment("", "", redrawn), LONGER)
        if anew.end < better * given.end and anew.end < given.end - gain:
            helped[FIRST] = (Treatment("initialisation", FIRST, change, prior=1), anew)
    likeliest(exam, helped, untreated, better, gain)


def of_two(exam, listed: list[Treatment], results) -> None:
    """Where no one change helps, or only another rate, a fault may hide: each with a quick Adam."""
    if "the optimiser" not in results:
        return
    quick = results["the optimiser"][1]
    untreated = min(quick.best, exam.paths["own"].best)
    pairs = [with_adam(treatment) for treatment in listed if treatment.cause in HIDDEN]
    helped = {}
    for treatment in pairs:
        way = trial(exam, treatment)
        if way.end < BETTER * untreated and way.end < untreated - GAIN:
            helped[treatment.what] = (treatment, way)
    likeliest(exam, helped, untreated, BETTER, GAIN)
    if not exam.found(*HIDDEN):
        at_once(exam, listed)


def at_once(exam, listed: list[Treatment]) -> None:
    """Where several things are odd: all of them changed at once, then all but one of them."""
    odd = [t for t in listed if t.prior and t.own and t.batches is None]
    untreated = min(exam.measured["left_untreated"], exam.paths["own"].best)

    def helps(parts: list[Treatment]):
        way = trial(exam, joint(parts))
        return way if way.end < min(BETTER * untreated, untreated - GAIN) else None

    way = helps(odd) if len(odd) > 1 else None
    if way is None:
        return
    if len(odd) > 2:  # of two, each has been tried alone
        odd = [one for one in odd if not helps([other for other in odd if other is not one])]
    if len(odd) < 2 or not lasts(exam, joint(odd), BETTER, GAIN):
        return
    exam.findings = [finding for finding in exam.findings if finding.cause != "optimiser"]
    for one in odd:
        told(exam, one.cause, joint(odd).what, untreated, way, BETTER)


def joint(parts: list[Treatment]) -> Treatment:
    """Several changes as one."""

    def change(twin):
        for part in parts:
            part.change(twin)

    return replace(parts[0], what=" and ".join(part.what for part in parts), change=change)


def with_adam(treatment: Treatment) -> Treatment:
    """The same change, and Adam in place of the run's own step."""

    def change(twin):
        treatment.change(twin)
        return quick_adam(twin)

    what = f"{treatment.what}, and another optimiser"
    return replace(treatment, what=what, change=change, own=False)


def likeliest(exam, helped, untreated: float, better: float, gain: float) -> None:
    """Of the changes that helped, the one that takes most of what is odd away, if it lasts."""
    if not helped:
        return
    least = min(way.end for _, way in helped.values())
    near = {  # where something is odd, taking that away need not be the very best change
        w: pair
        for w, pair in helped.items()
        if pair[1].end <= least + (0.4 if pair[0].prior else 0.1)
    }
    what = max(near, key=lambda w: (near[w][0].prior > 0, rank(near[w][0].cause), -near[w][1].end))
    treatment, way = near[what]
    if not lasts(exam, treatment, better, gain):
        return
    if not (exam.run.has_taken_steps or treatment.prior or reasoned(exam)):
        given = trial(exam, treatment, LONGER, fresh=False).end
        anew = exam.measured["left_after_more_steps"][1]
        exam.measured["left_with_given_weights"] = given
        if anew < better * given and anew < given - gain:  # it was the new weights that helped
            treatment = replace(treatment, cause="initialisation", what=f"{FIRST}, and {what}")
    told(exam, cause_of(exam, treatment), treatment.what, untreated, way, better)


def told(exam, cause: str, what: str, untreated: float, way, better: float) -> None:
    """A finding: what is left of the way without a change, and with it."""
    exam.add(
        cause,
        "likely",
        f"{what}: {min(untreated, 99):.0%} of the way is left after {_learners.STEPS} "
        f"steps; with that changed, {max(way.end, 0):.0%}",
        f"{better:.0%} of the unchanged; 100 % is the best constant answer, 0 % the lowest loss",
        untreated=untreated,
        treated=way.end,
    )


def lasts(exam, treatment: Treatment, better: float, gain: float) -> bool:
    """Whether the change helps as much with more steps and other new weights.

    A run that is said to be slow is given four times as many as the change is, and must not arrive.
    Weights that stand still must help more than a quick optimiser of those that move; what came
    with Adam, more than Adam.
    """
    times = PATIENT if treatment.cause in SLOW else LONGER
    without = unchanged(exam, times, fresh=treatment.what != FIRST, draw=AGAIN).end
    treated = trial(exam, treatment, LONGER, draw=AGAIN).end
    exam.measured["left_after_more_steps"] = (without, treated)
    if treatment.cause in ("frozen", "missing_parameters"):
        moving = Treatment("", "", quick_adam_of_held, own=False)
        without = min(without, trial(exam, moving, LONGER, draw=AGAIN).end)
    elif not treatment.own and treatment.cause != "optimiser":
        alone = Treatment("", "", quick_adam, own=False)
        without = min(without, trial(exam, alone, LONGER, draw=AGAIN).end)
    moves = exam.measured.get("relative_size_of_a_step", 1.0) >= SHORT
    if treatment.cause in SLOW and without < 0.5 and moves and not exam.run.has_taken_steps:
        return False
    return treated < better * without and treated < without - gain and holds(exam, treatment)


def holds(exam, treatment: Treatment) -> bool:
    """Whether batches that the treated copy has not seen are better off than the run is now.

    Else it may only have learnt by heart what the run rightly leaves, wrong labels say. A run that
    has not learnt anything yet is not held against this.
    """
    own = exam.paths["own"]
    reached = min(own.start, own.best)
    batches = treatment.batches or exam.run.batches
    if reached > BARELY or len(batches) < 2 or not exam.bounded:
        return True
    twin = exam.run.twin(fresh=True)
    take_step = (treatment.change(twin) if treatment.change is not None else None) or (
        twin.own_step if treatment.own else _learners.plain_adam(twin)
    )
    learnt, unseen = batches[0::2], batches[1::2][: _learners.FEW]
    least = math.inf
    for done in range(1, LONGER * _learners.STEPS + 1):
        twin.model.train()
        take_step(learnt[done % len(learnt)])
        if done % (_learners.STEPS // 4) == 0:
            loss = twin.mean_loss(unseen)
            least = min(least, _learners.path([loss] * 3, exam.reference, exam.lowest).end)
    exam.measured["left_of_unseen_with_change"] = least
    return least < reached - MORE_THAN


def order_of_classes(exam) -> None:
    """Whole numbers as targets of a regression: in another order, are they learnt as well?

    Numbers that count or rank something are learnt by their order; names of classes have none.
    """
    kinds = exam.measured.get("numbers_of_classes", 0)
    if not kinds or exam.task.leaf is None:
        return
    order = torch.arange(kinds)
    order = torch.cat([order[0::2], order[1::2].flip(0)])
    ends = []
    for numbers in (torch.arange(kinds), order):
        batches = [renumbered(batch, exam.task.leaf, numbers) for batch in exam.run.batches]
        losses, _ = _learners.follow(
            exam, batches, _learners.STEPS, own=False, fresh=True, change=quick_adam
        )
        ends.append(_learners.path(losses, exam.reference, exam.lowest).end)
    exam.measured["left_in_order_and_out_of_it"] = ends
    bound = min(ends[0] + DISORDER * max(1 - ends[0], DISORDER), 1.5 * ends[0] + 0.03)
    if ends[1] < bound:
        exam.add(
            "loss_wrong",
            "likely",
            f"one answer is held against whole numbers, 0 to {kinds - 1}, and these in another "
            f"order are learnt as well ({ends[1]:.0%} of the way left, {ends[0]:.0%} in order)",
            f"{DISORDER:.0%} of what is learnt, which numbers that count or rank lose out of "
            "order; of classes: cross_entropy, with one answer for each",
            left=ends,
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
    gained = known.get("unseen_beyond_chance", 0.0) > SIGNIFICANT
    if cause == "model_or_loss" and gained and adam.best < 1:
        return  # nor is it short of learning: it answers unseen examples better than by chance
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
    if not has_a_cause(exam):
        advise(exam)


def advise(exam) -> None:
    """What to do where nothing is wrong."""
    own = exam.paths.get("own")
    if own is not None and own.best < own.start - 0.02:
        shares = f"from {own.start:.0%} to {own.best:.0%} of a constant answer's"
        shares = f", {shares}" if own.start < ABSURD else ""
        exam.advice = (
            f"The run's own steps still lower its loss ({_learners.STEPS} of them{shares}): "
            "train longer."
        )
