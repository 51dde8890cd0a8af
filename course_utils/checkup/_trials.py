"""A few examples by heart, all batches, batches kept aside: what the run's own step reaches."""

import math

import torch

from . import _learners, _screen, _treatments
from ._batches import examples, joined, shuffled, take, tensors
from ._data import agreement, neighbours
from ._gradients import alike
from ._learners import follow, path, plain_adam
from ._run import NORMS

RARE = 0.85  # share of one class beyond which the others are looked at
WORTHLESS = 0.01  # share of a fresh network's way to the lowest loss, left by a constant answer
CHANCE = 3.0  # standard errors: what is alike by chance, of several looks, stays below
LITTLE = 0.3  # of them answered rightly
SOME = 64  # of them, without which nothing is said of unseen ones
A_FEW, OFTEN = 4, 20  # names of an example; examples for each name, to learn about it
TOLD = 0.75  # mean of the recalls that is reached where the classes can be told apart
LONELY, COMPANY = 2, 8  # examples that are few for BatchNorm, and times as many
A_REST = 0.25  # share of the way from which a run is said to have some left
PATIENCE = 2  # times as many further steps, before it is said that they are not learnt


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
        stands_still(exam, late)
        statistics(exam, twin, late)
        symmetry(exam, twin)
        majority(exam, late)
        sorted_batches(exam)
    if exam.explained():
        exam.untested.append("changes of one thing at a time (a finding explains the run)")
        return
    aside(exam)
    _screen.in_train_mode(exam)
    if not exam.found("labels_say_nothing", "too_little_data"):
        _treatments.treatments(exam)
    _treatments.order_of_classes(exam)


def scale(exam, losses) -> None:
    """The loss of a constant answer and the lowest loss, between which everything is judged.

    A fresh network's, where no constant answer is known, or where one reaches the lowest loss.
    """
    fresh = exam.run.twin(fresh=True).mean_loss(exam.heart)
    reached = [loss for path in losses.values() for loss in path if math.isfinite(loss)]
    bottom = min(reached, default=0.0)
    exam.bounded = exam.floor is not None and exam.floor > -1e-3
    exam.lowest = min(exam.floor, bottom) if exam.bounded else bottom
    constant = exam.constant
    usual = not exam.input_oddity[1]  # odd ones make a fresh network's loss as large as they are
    if constant is None or (usual and constant - exam.lowest < WORTHLESS * (fresh - exam.lowest)):
        exam.heart_reference = exam.reference = fresh
    else:
        exam.heart_reference, exam.reference = constant, exam.constant_of_all


def stands_still(exam, late) -> None:
    """A step that moves nothing, however often it is called."""
    pairs = zip(exam.run.model.parameters(), late.model.parameters(), strict=True)
    if exam.measured.get("stands_still") and all(torch.equal(one, other) for one, other in pairs):
        exam.add(
            "no_step",
            "certain",
            f"in {_learners.STEPS} calls the step never called optimizer.step(), and nothing moved",
            "one call in a few",
        )


def sorted_batches(exam) -> None:
    """Batches of like labels, that a sampler may mean: is more learnt if they are shuffled."""
    if "entropy_within_and_shuffled" not in exam.measured:
        return
    within, expected = exam.measured["entropy_within_and_shuffled"]
    mixed, left = shuffled(exam.run.batches), []
    if mixed is None:
        exam.untested.append("whether sorted batches do harm (they do not fit together)")
        return
    for batches in (exam.run.batches, mixed):
        steps = (_learners.STEPS // len(batches) + 1) * len(batches) - 1  # ends on the last
        losses, _ = follow(exam, batches, steps, fresh=True, judged=mixed[: _learners.FEW])
        left.append(path(losses, exam.reference, exam.lowest).end)
    exam.measured["left_as_sorted_and_shuffled"] = left
    if not left[0] < _treatments.GAIN + left[1]:
        exam.add(
            "sorted_batches",
            "certain",
            f"entropy of the labels within a batch {within:.2f} nats, if shuffled {expected:.2f}; "
            f"of all examples' loss {min(left[0], 99):.0%} is left after some epochs, if shuffled "
            f"{left[1]:.0%}",
            f"{_treatments.GAIN:.0%} of the way from a constant answer to the lowest loss",
            within=within,
            shuffled=expected,
        )


def has_norms(model) -> bool:
    """Whether BatchNorm is anywhere in it."""
    return any(isinstance(module, NORMS) for module in model.modules())


def statistics(exam, twin, late) -> None:
    """BatchNorm after some steps: its running statistics against the batch's own."""
    if not has_norms(twin.model):
        return
    if max(map(examples, exam.run.batches)) <= LONELY:
        company(exam)
    if max(map(examples, exam.heart)) < 2 or exam.found("batchnorm"):
        return
    few, every = exam.heart, exam.run.batches
    wide, _ = gap_of_statistics(exam, late, every[: _learners.FEW])
    gap, losses = gap_of_statistics(exam, twin, few)
    exam.measured["gap_of_running_statistics_on_all"] = wide
    exam.measured["gap_of_running_statistics"] = gap
    more = PATIENCE * _learners.STEPS if averages_slowly(twin.model) else 0
    if gap > 0.3 and wide > 0.15 and more:  # it may only not have come so far
        for learner, batches in ((twin, few), (late, every)):
            for step in range(more):
                learner.model.train()
                learner.own_step(batches[step % len(batches)])
        wide, _ = gap_of_statistics(exam, late, every[: _learners.FEW])
        gap, losses = gap_of_statistics(exam, twin, few)
    if gap > 0.3 and wide > 0.15:
        exam.add(
            "batchnorm",
            "likely",
            f"{_learners.STEPS + more} steps on the same {sum(map(examples, few))} examples, and "
            f"eval() still gives them a loss of {losses[1]:.3g}; by the batch's own statistics "
            f"{losses[0]:.3g}",
            f"30 % of the way to a constant answer's loss, {exam.heart_reference:.3g}",
            gap=gap,
        )


def company(exam) -> None:
    """BatchNorm over one or two examples: do as many passes over larger batches arrive further."""
    batches = exam.run.batches
    larger = [joined(batches[i : i + COMPANY]) for i in range(0, len(batches), COMPANY)]
    if exam.paths["own"].best < A_REST or None in larger or len(larger) < 2:
        return
    left, judged = [], larger[: _learners.FEW]
    for part, steps in ((batches, COMPANY * _learners.STEPS), (larger, _learners.STEPS)):
        _, twin = follow(exam, part, steps, fresh=True, judged=judged)
        loss = twin.mean_loss(judged, "running")
        left.append(path([loss] * 3, exam.reference, exam.lowest).end)
    exam.measured["left_alone_and_in_company"] = left
    if left[1] < _treatments.BETTER * left[0] and left[1] < left[0] - _treatments.GAIN:
        exam.add(
            "batchnorm",
            "likely",
            f"batches of {max(map(examples, batches))} under BatchNorm: after as many passes over "
            f"the data {min(left[0], 99):.0%} of the way is left in eval(); {left[1]:.0%} with "
            f"batches {COMPANY} times as large",
            f"{_treatments.BETTER:.0%} of it; of one example the statistics take away its strength",
            left=left,
        )


def averages_slowly(model) -> bool:
    """Whether some BatchNorm's running statistics follow more slowly than is usual."""
    norms = [module for module in model.modules() if isinstance(module, NORMS)]
    return any(norm.momentum is not None and norm.momentum < 0.1 for norm in norms)


def gap_of_statistics(exam, twin, batches) -> tuple[float, list[float]]:
    """Loss by running statistics less that by the batch's own, as a share of the way; and both."""
    losses = [twin.mean_loss(batches, kind) for kind in ("batch", "running")]
    gap = (losses[1] - losses[0]) / max(exam.heart_reference - exam.lowest, 1e-9)
    return gap if math.isfinite(gap) else math.inf, losses


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
    recall = recall_of_the_rare(exam, twin)
    if recall is None or recall >= LITTLE:
        return
    for step in range(PATIENCE * _learners.STEPS):  # it may only not have come to them yet
        twin.model.train()
        twin.own_step(exam.run.batches[step % len(exam.run.batches)])
    recall = exam.measured["recall_of_the_rare"] = recall_of_the_rare(exam, twin)
    if recall < LITTLE and can_be_told_apart(exam):
        exam.add(
            "imbalance",
            "likely",
            f"{share:.1%} of the labels are of one class; of the others {recall:.0%} are "
            f"answered rightly, after {(1 + PATIENCE) * _learners.STEPS} more steps",
            f"{RARE:.0%}, and {LITTLE:.0%} of the rare",
            recall=recall,
        )


def can_be_told_apart(exam) -> bool:
    """Whether the remedy works: as many rare examples as others, and unseen ones are told apart.

    Where they are not, the rare may be rare by chance, as clicks are; True if it cannot be tried.
    """
    learnt, unseen = exam.run.batches[0::2], exam.run.batches[1::2]
    whole = joined(learnt)
    if whole is None or not unseen or exam.task.leaf is None:
        return True
    labels = exam.task.targets_of(whole)
    if labels.numel() != examples(whole):
        return True
    rare = labels.flatten() != exam.measured["most_frequent"]
    kinds = [torch.nonzero(which).flatten() for which in (rare, ~rare)]
    if not all(map(len, kinds)):
        return True
    twin, chance = exam.run.twin(fresh=True), torch.Generator().manual_seed(0)
    take_step = plain_adam(twin, 3e-3)
    half = max(examples(learnt[0]) // 2, 4)
    for _ in range(PATIENCE * _learners.STEPS):
        rows = [k[torch.randint(len(k), (half,), generator=chance)] for k in kinds]
        twin.model.train()
        take_step(take(whole, torch.cat(rows)))
    recalls = [recall_of_the_rare(exam, twin, unseen, of) for of in (True, False)]
    exam.measured["recalls_if_as_frequent"] = recalls
    return None in recalls or sum(recalls) / 2 >= TOLD


def recall_of_the_rare(exam, twin, batches=None, rare=True) -> float | None:
    """The share of labels other than the most frequent (or only it) that are answered rightly."""
    recalls = []
    for batch in batches or exam.run.batches[: _learners.FEW]:
        with twin.settled("batch" if examples(batch) > 1 else "running"):
            task = exam.same_task(exam.pass_of(twin, batch), batch)
        right = None if task is None else task.right()
        if right is None or len(right) != task.targets.numel():
            return None
        recalls += right[
            (task.targets.flatten() != exam.measured["most_frequent"]) == rare
        ].tolist()
    return sum(recalls) / len(recalls) if recalls else None


def aside(exam) -> None:
    """Trains on half of the batches: does the other half gain anything."""
    batches = exam.run.batches
    if len(batches) < 2 or exam.constant is None:
        exam.untested.append("whether unseen batches gain anything (fewer than 2 batches)")
        return
    if max(map(examples, batches)) < 4 and has_norms(exam.run.model):
        exam.untested.append("whether unseen batches gain anything (BatchNorm of few examples)")
        return
    learnt, unseen_all = batches[0::2], batches[1::2]
    kept = unseen_all[: _learners.FEW]
    twin = exam.run.twin(fresh=True)
    if exam.input_oddity[1]:  # or what is learnt of raw inputs would not hold beyond them
        _treatments.standardised(exam)(twin)
    take, seen, unseen, gained = plain_adam(twin, 3e-3), [], [], 0.0
    for step in range(_learners.ASIDE):
        twin.model.train()
        take(learnt[step % len(learnt)])
        if step % 30 == 29:
            seen.append(twin.mean_loss(learnt[: _learners.FEW]))
            unseen.append(twin.mean_loss(kept))
            gained = max(gained, beyond_chance(exam, twin, unseen_all))
            way = path([seen[-1]] * 3, exam.reference, exam.lowest).end
            if not way > 0.3:
                break
    ways = [
        path([min(x, default=math.inf)] * 3, exam.reference, exam.lowest).end
        for x in (seen, unseen)
    ]
    exam.measured |= {"left_of_seen": ways[0], "left_of_unseen": ways[1]}
    exam.measured["unseen_beyond_chance"] = gained
    if exam.bounded and ways[0] <= 0.85 and ways[1] >= 0.9 and ways[1] - ways[0] >= 0.15:
        nothing_gained(exam, ways, max(gained, neighbours(exam)))


def nothing_gained(exam, ways: list[float], gained: float) -> None:
    """A finding where one half of the batches is learnt, and nothing of it holds in the other."""
    whole = sum(map(examples, exam.run.batches))
    if exam.task.kind == "unknown":
        exam.untested.append("whether unseen labels are told (what the loss compares is not known)")
        return
    if gained > CHANCE or (whole < 128 and exam.run.note):
        return
    if few_of_the_rare(exam, exam.run.batches[1::2]):
        exam.untested.append("whether unseen batches gain anything (too few of the rare classes)")
        return
    if rarely_met(exam):
        exam.untested.append("whether unseen batches gain anything (names that are rarely met)")
        return
    exam.add(
        "labels_say_nothing" if whole >= 128 else "too_little_data",
        "likely",
        f"learnt on half of the batches, the loss of these falls by {1 - ways[0]:.0%} of the way "
        f"from the best constant answer to 0, that of the other half by {max(1 - ways[1], 0):.0%}; "
        f"nothing agrees with its labels beyond chance ({gained:.1f} standard errors)",
        f"10 % of the way, or {CHANCE:g} standard errors, by the network or by nearest neighbours: "
        "what follows from the inputs helps there too",
        seen=ways[0],
        unseen=ways[1],
    )


def few_of_the_rare(exam, batches) -> bool:
    """Whether nearly all labels are of one class, and these batches hold few others."""
    if exam.measured.get("share_of_the_most_frequent", 0.0) < RARE or exam.task.leaf is None:
        return False
    labels = torch.cat([exam.task.targets_of(batch).flatten() for batch in batches])
    return int((labels != exam.measured["most_frequent"]).sum()) < SOME


def rarely_met(exam) -> bool:
    """Whether the inputs are a few names each, of users or words, of which each is met rarely.

    What is said of one name tells nothing of another, so unseen examples need many more seen.
    """
    count, given = examples(exam.run.batches[0]), exam.seen.inputs
    if not given or any(t.is_floating_point() or t.numel() > A_FEW * count for t in given):
        return False
    leaves = [[tensors(batch)[i] for i in exam.input_leaves] for batch in exam.run.batches]
    names = [max(len(torch.cat([p.flatten() for p in part]).unique()), 1)
             for part in zip(*leaves, strict=True)]  # fmt: skip
    return sum(map(examples, exam.run.batches)) < OFTEN * max(names, default=1)


def beyond_chance(exam, twin, batches) -> float:
    """How far answers and targets of these batches agree beyond chance, in standard errors."""
    found, targets, count = [], [], sum(map(examples, batches))
    for batch in batches:
        with twin.settled("batch" if examples(batch) > 1 else "running"):
            task = exam.same_task(exam.pass_of(twin, batch), batch)
        if task is None or task.answers is None or task.targets is None:
            return 0.0
        of_classes = task.kind == "classes" and not task.targets.is_floating_point()
        if not of_classes and task.answers.numel() != task.targets.numel():
            return 0.0
        classes = task.answers.shape[1] if of_classes else 1
        found.append(task.answers.float().movedim(1, -1).reshape(-1, classes) if of_classes
                     else task.answers.flatten())  # fmt: skip
        targets.append(task.targets.flatten())
    found, targets = torch.cat(found), torch.cat(targets)
    if not of_classes:
        return agreement(found, targets, count, False)
    kept = (targets >= 0) & (targets < classes)
    return right_class(found[kept].softmax(1), targets[kept], count)


def right_class(shares: torch.Tensor, targets: torch.Tensor, count: int) -> float:
    """How far the probability of the right class is above that class's mean, in standard errors.

    Unlike the number of right answers it tells of rare classes that are never the likeliest.
    """
    above = (shares - shares.mean(0)).gather(1, targets[:, None]).squeeze(1)
    error = float(above.std()) / max(count, 1) ** 0.5 if len(above) > 1 else 0.0
    return float(above.mean()) / error if error > 0 else 0.0
