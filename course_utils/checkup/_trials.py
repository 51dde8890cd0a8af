"""A few examples by heart, all batches, batches kept aside: what the run's own step reaches."""

import math

from . import _learners, _treatments
from ._batches import examples
from ._gradients import alike
from ._learners import follow, path, plain_adam
from ._run import NORMS

RARE = 0.85  # share of one class beyond which the others are looked at


def trials(exam) -> None:
    """The three learners, then, where they do badly, changes of one thing at a time."""
    run, all_batches = exam.run, exam.run.batches
    has_step = run.optimizer is not None or run.step is not None
    losses, twin = {}, None
    if has_step:
        losses["own_by_heart"], twin = follow(exam, exam.heart, _learners.STEPS)
        losses["own"], late = follow(exam, all_batches, _learners.STEPS)
    losses["adam_by_heart"], adam = follow(exam, exam.heart, _learners.STEPS, own=False)
    answers_spread(exam, adam)
    scale(exam, losses)
    exam.paths = {
        name: path(values, exam.heart_reference if "heart" in name else exam.reference, exam.lowest)
        for name, values in losses.items()
    }
    exam.measured |= {f"left_{name}": vars(p) for name, p in exam.paths.items()}
    if twin is not None:
        statistics(exam, twin)
        symmetry(exam, twin)
        majority(exam, late)
    if exam.explained():
        exam.untested.append("changes of one thing at a time (a finding explains the run)")
        return
    aside(exam)
    if not exam.found("labels_say_nothing", "too_little_data"):
        _treatments.treatments(exam)


def scale(exam, losses) -> None:
    """The loss of a constant answer and the lowest loss, between which everything is judged."""
    fresh = exam.run.twin(fresh=True).mean_loss(exam.heart)
    exam.heart_reference = exam.constant if exam.constant is not None else fresh
    exam.reference = exam.heart_reference
    if exam.constant_of_all is not None:
        exam.reference = exam.constant_of_all
    reached = [loss for path in losses.values() for loss in path if math.isfinite(loss)]
    bottom = min(reached, default=0.0)
    exam.bounded = exam.floor is not None and exam.floor > -1e-3
    exam.lowest = min(exam.floor, bottom) if exam.bounded else bottom


def statistics(exam, twin) -> None:
    """BatchNorm after some steps: its running statistics against the batch's own."""
    if not any(isinstance(module, NORMS) for module in twin.model.modules()):
        return
    if max(map(examples, exam.heart)) < 2:
        return
    batch, running = (twin.mean_loss(exam.heart, kind) for kind in ("batch", "running"))
    way = max(exam.heart_reference - exam.lowest, 1e-9)
    gap = exam.measured["gap_of_running_statistics"] = (running - batch) / way
    if not math.isfinite(gap) or gap > 0.3:
        exam.add(
            "batchnorm",
            "likely",
            f"{_learners.STEPS} steps on the same {sum(map(examples, exam.heart))} examples, and "
            f"eval() still gives them a loss of {running:.3g}; by the batch's own statistics "
            f"{batch:.3g}",
            f"30 % of the way to a constant answer's loss, {exam.heart_reference:.3g}",
            gap=gap,
        )


def answers_spread(exam, twin) -> None:
    """How much the answers of the few examples differ, relative to their size."""
    if max(map(examples, exam.heart)) < 2:
        return
    with twin.settled("running"):
        answers = exam.before_squashing(exam.pass_of(twin, exam.heart[0]))
    if answers is not None and answers.dim() and answers.shape[0] > 1:
        size = answers.float().abs().mean().clamp_min(1e-12)
        exam.measured["spread_of_answers"] = float(answers.float().std(0).mean() / size)


def symmetry(exam, twin) -> None:
    """Units that are still equal after training were never told apart."""
    name = alike(twin.model)
    if name:
        exam.add(
            "initialisation",
            "certain",
            f"after {_learners.STEPS} steps all units of {name} are still equal",
            "units that differ: equal ones get equal gradients and stay one unit",
        )


def majority(exam, twin) -> None:
    """Only the most frequent class is ever answered, and it is nearly all there is."""
    share = exam.measured.get("share_of_the_most_frequent", 0.0)
    if share < RARE or exam.measured.get("classes_that_occur", 0) < 2:
        return
    recalls = []
    for batch in exam.run.batches[: _learners.FEW]:
        with twin.settled("batch" if examples(batch) > 1 else "running"):
            task = exam.same_task(exam.pass_of(twin, batch), batch)
        right = None if task is None else task.right()
        if right is None or len(right) != task.targets.numel():
            return
        targets = task.targets.flatten()
        rare = targets != most_frequent(exam)
        recalls += right[rare].tolist()
    if recalls:
        recall = exam.measured["recall_of_the_rare"] = sum(recalls) / len(recalls)
        if recall < 0.3:
            exam.add(
                "imbalance",
                "likely",
                f"{share:.1%} of the labels are of one class; of the others {recall:.0%} are "
                f"answered rightly, after {_learners.STEPS} more steps",
                f"{RARE:.0%}, and 30 % of the rare",
                recall=recall,
            )


def most_frequent(exam) -> float:
    """The label that occurs most often."""
    return exam.measured["most_frequent"]


def aside(exam) -> None:
    """Trains on half of the batches: does the other half gain anything."""
    batches = exam.run.batches
    half = len(batches) // 2
    if half < 1 or exam.constant is None:
        exam.untested.append("whether unseen batches gain anything (fewer than 2 batches)")
        return
    learnt, kept = batches[0::2], batches[1::2][: _learners.FEW]
    twin = exam.run.twin(fresh=True)
    take, seen, unseen = plain_adam(twin, 3e-3), [], []
    for step in range(_learners.ASIDE):
        twin.model.train()
        take(learnt[step % len(learnt)])
        if step % 30 == 29:
            seen.append(twin.mean_loss(learnt[: _learners.FEW]))
            unseen.append(twin.mean_loss(kept))
            way = path([seen[-1]] * 3, exam.reference, exam.lowest).end
            if not way > 0.3:
                break
    ways = [
        path([min(x, default=math.inf)] * 3, exam.reference, exam.lowest).end
        for x in (seen, unseen)
    ]
    exam.measured |= {"left_of_seen": ways[0], "left_of_unseen": ways[1]}
    whole = sum(map(examples, batches))
    if not exam.bounded or ways[0] > 0.85 or ways[1] < 0.95 or ways[1] - ways[0] < 0.15:
        return
    if whole < 128 and exam.run.note:
        return
    exam.add(
        "labels_say_nothing" if whole >= 128 else "too_little_data",
        "likely",
        f"learnt on half of the batches, the loss of these falls by {1 - ways[0]:.0%} of the way "
        f"from the best constant answer to 0, that of the other half by {max(1 - ways[1], 0):.0%}",
        "5 % for the unseen half: what follows from the inputs helps there too",
        seen=ways[0],
        unseen=ways[1],
    )
