"""Labels, inputs and batches, looked at without the model."""

import torch

from ._batches import axis_of, examples, replaced, tensors
from ._task import same_leaf

NEAR = 1024  # examples whose nearest neighbours are looked at
FULL = 64  # examples; a larger batch that comes again and again may be all there is
NAMES = 1000  # whole numbers that may be names
MANY = 8  # numbers of an input: so many do not often come again by themselves
ROWS = 4096  # examples that are compared with one another
SPREAD_LARGE, SPREAD_SMALL = 10.0, 0.02  # of inputs: beyond, layers drawn for spread 1 misfit
OFFSET = 3.0  # |mean| over spread: beyond, a layer sees mostly the offset
UNEVEN = 30.0  # largest over smallest spread of the features


def gather_targets(exam) -> list[torch.Tensor]:
    """The targets of every batch, or only of the first where they are made within the loss."""
    task = exam.task
    if task.targets is None:
        return []
    if task.leaf is None:
        return [task.targets]
    return [task.targets_of(batch).detach() for batch in exam.run.batches]


def labels(exam) -> None:
    """Which labels occur, how often, and whether some are left."""
    targets = gather_targets(exam)
    if exam.task.kind not in ("classes", "binary") or not targets:
        return
    flat = torch.cat([part.flatten() for part in targets])
    if flat.is_floating_point() and exam.task.kind == "classes":
        return soft_labels(exam, targets)
    if exam.task.kind == "classes":
        kept = flat[flat != exam.task.ignored]
        exam.measured["ignored_labels"] = 1 - len(kept) / max(len(flat), 1)
        if not len(kept):
            exam.add(
                "ignored_labels",
                "certain",
                f"{len(flat)} of {len(flat)} labels are {exam.task.ignored}, which the loss skips",
                "some label must be left, by the definition of ignore_index",
            )
            return
        flat = kept
    values, counts = flat.unique(return_counts=True)
    share = float(counts.max()) / len(flat)
    exam.measured["most_frequent"] = values[counts.argmax()].item()
    exam.measured |= {"classes_that_occur": len(values), "share_of_the_most_frequent": share}
    if len(values) == 1 and len(flat) >= 8 and exam.task.leaf is not None:  # a loss may mean it
        ignored = exam.measured.get("ignored_labels", 0.0)
        exam.add(
            "ignored_labels" if 0.2 < ignored < 0.8 else "one_class",
            "certain",
            f"all {len(flat)} labels are {values[0].item():g}"
            + (f"; the other {ignored:.0%} are left out by the loss" if ignored else ""),
            "two classes at least, by the definition of a classifier",
            classes=1,
        )
    call = exam.task.call
    masked = call is not None and (
        call.argument(2, "weight") is not None or call.kwargs.get("reduction") == "none"
    )
    beyond = float(values.min()) < 0 or float(values.max()) > 1
    if exam.task.kind == "binary" and beyond and not masked:
        exam.add(
            "loss_wrong",
            "certain",
            f"labels from {float(values.min()):g} to {float(values.max()):g}",
            "0 to 1: beyond, binary cross-entropy has no lowest value",
        )


def soft_labels(exam, targets) -> None:
    """Rows of probabilities as labels: do they sum to one."""
    if not all(part.dim() > 1 for part in targets):
        return
    if exam.answers_itself or not all(bool(((p == 0) | (p == 1)).all()) for p in targets):
        return  # counts, weights and shares are meant
    sums = torch.cat([part.sum(1).flatten() for part in targets])
    if float((sums - 1).abs().max()) > 0.01:
        exam.add(
            "loss_wrong",
            "likely",
            f"the labels of an example sum to {float(sums.min()):.2f} to {float(sums.max()):.2f}",
            "1: cross-entropy takes them for probabilities of classes that exclude each other",
        )


def equal_inputs(exam) -> None:
    """Whether equal inputs carry different labels, which nothing can learn."""
    rows, labels = paired_rows(exam)
    if rows is None or len(rows) < 8:
        return
    groups: dict[bytes, list] = {}
    for row, label in zip(rows, labels, strict=True):
        groups.setdefault(row.numpy().tobytes(), []).append(label)
    shared = [group for group in groups.values() if len(group) > 1]
    torn = [group for group in shared if any(not torch.equal(group[0], one) for one in group)]
    share = sum(map(len, torn)) / len(rows)
    exam.measured["share_of_equal_inputs_under_different_labels"] = share
    if len(groups) == 1:
        exam.add(
            "inputs_constant",
            "certain",
            f"all {len(rows)} inputs are equal",
            "inputs that differ",
        )
    elif share > 0.5 and len(torn) > 0.6 * len(shared) and not follows(shared):
        if len(groups) < 0.5 * len(rows) and rows[0].numel() >= MANY:
            exam.add(
                "inputs_constant",
                "certain",
                f"{len(rows)} examples of {rows[0].numel()} numbers have {len(groups)} different "
                f"inputs, and {share:.0%} an equal twin under another label",
                "nearly as many as examples, and below 50 %: what is equal cannot be told apart",
                share=share,
            )
            return
        exam.add(
            "labels_say_nothing",
            "certain",
            f"{share:.0%} of the examples have an equal twin under another label",
            "below 50 %: what is equal cannot be told apart",
            share=share,
        )


def follows(groups: list[list[torch.Tensor]]) -> bool:
    """Whether labels of equal inputs are more alike than labels of any: then they say something.

    Compared with labels that are dealt out anew, ten times.
    """
    sizes = [len(group) for group in groups]
    labels = torch.cat([torch.stack(group).float() for group in groups]).reshape(sum(sizes), -1)
    values = labels.unique(dim=0, return_inverse=True)[1]
    names = labels.shape[1] == 1 and bool((labels == labels.round()).all())
    if len(values.unique()) <= (NAMES if names else 20):  # as classes
        labels = torch.nn.functional.one_hot(values).float()

    def apart(rows: torch.Tensor) -> float:
        return sum(float((part - part.mean(0)).square().sum()) for part in rows.split(sizes))

    chance = torch.Generator().manual_seed(0)
    dealt = [apart(labels[torch.randperm(len(labels), generator=chance)]) for _ in range(10)]
    return apart(labels) < min(dealt) - (max(dealt) - min(dealt))


def copied(exam) -> None:
    """Whether whole-numbered targets are the very inputs: they can be copied."""
    targets = exam.task.targets
    if exam.task.kind != "classes" or targets is None or targets.is_floating_point():
        return
    if len(targets.unique()) < 2 or targets.numel() <= max(8, examples(exam.run.batches[0])):
        return  # one label of an example may be given for a margin
    alike = [t for t in exam.seen.inputs if t.dtype == targets.dtype and same_numbers(t, targets)]
    given = bool(exam.task.call and exam.task.call.in_model)  # as labels, for the model's own loss
    if len(alike) > given and not looks_ahead(exam, alike[-1]):
        exam.add(
            "labels_shifted",
            "likely",
            f"all {targets.numel()} targets of a batch equal the inputs at their place",
            "targets that are not given",
        )


def looks_ahead(exam, given: torch.Tensor) -> bool:
    """Whether answers at one place depend on inputs at later ones, or not on their own at all.

    So do autoencoders and models that repeat what they have read, or that shift it themselves.
    """
    batch = exam.run.batches[0]
    leaf = same_leaf(batch, given)
    if leaf is None or given.dim() < 2 or not exam.seen.outputs:
        return False
    places, other = given.shape[1], given.clone()
    other[:, -1] = given[:, -1].roll(1, 0)
    changed = replaced(batch, leaf, other)
    answers = []
    for part in (batch, changed):
        twin = exam.run.twin()
        with twin.settled("running"):
            answers.append(exam.pass_of(twin, part).outputs[0])
    axis = next((a for a in range(1, answers[0].dim()) if answers[0].shape[a] == places), None)
    if axis is None or answers[0].shape != answers[1].shape:
        return False
    before, after = (a.movedim(axis, 0) for a in answers)
    ahead = not torch.allclose(before[:-1], after[:-1], rtol=1e-4, atol=1e-6)
    return ahead or torch.equal(before[-1], after[-1])


def same_numbers(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors hold equal numbers in one order, whatever their shapes."""
    return one.numel() == other.numel() and torch.equal(one.flatten(), other.flatten())


def paired_rows(exam):
    """The inputs of every example as one row, and its label."""
    if exam.task.leaf is None or exam.task.kind == "unknown" or not exam.input_leaves:
        return None, None
    if exam.answers_itself:
        return None, None
    rows, labels = [], []
    for batch in exam.run.batches:
        count, leaves = examples(batch), tensors(batch)
        wanted = [leaves[i] for i in exam.input_leaves] + [leaves[exam.task.leaf]]
        if any(axis_of(leaf, count) != 0 for leaf in wanted):
            return None, None
        parts = [leaf.detach().reshape(count, -1).double().cpu() for leaf in wanted]
        rows += torch.cat(parts[:-1], 1).unbind()
        labels += parts[-1].unbind()
        if len(rows) >= ROWS:
            break
    return rows, labels


def inputs(exam) -> None:
    """Whether what the model is given is finite, varies, and has a usual scale."""
    for tensor in exam.seen.inputs:
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            exam.first_bad_input(tensor)
            break
    if exam.stopped:
        return
    borne = set()  # tensors whose missing numbers the run fills or masks
    for batch_number, batch in enumerate([*exam.run.batches, *exam.run.beyond]):
        for place, leaf in enumerate(tensors(batch)):
            bad = leaf.is_floating_point() and not bool(torch.isfinite(leaf).all())
            if bad and place not in borne:
                exam.first_bad_input(leaf, batch_number)
                if exam.stopped:
                    return
                borne.add(place)
    exam.input_oddity = max(map(oddity, exam.float_inputs()), default=("", 0.0), key=lambda o: o[1])


def oddity(tensor: torch.Tensor) -> tuple[str, float]:
    """In a few words what is unusual about inputs, and by what factor; ("", 0) of usual ones."""
    values = tensor.detach().float()
    spread, mean = float(values.std()), float(values.mean())
    found = []
    if spread == 0 or values.numel() < 2:
        return "", 0.0
    if spread > SPREAD_LARGE:
        found.append((f"inputs have mean {mean:.3g} and spread {spread:.3g}", spread))
    if spread < SPREAD_SMALL:
        found.append((f"inputs have spread {spread:.2g} only", 1 / spread))
    if abs(mean) > OFFSET * spread:
        found.append(
            (f"inputs lie at {mean:.3g} with a spread of {spread:.2g}", abs(mean) / spread)
        )
    if values.dim() == 2 and values.shape[0] > 4 and values.shape[1] > 1:
        spreads, means = values.std(0), values.mean(0)
        live = spreads > 1e-12
        if int(live.sum()) > 1:
            ratio = float(spreads[live].max() / spreads[live].min())
            if ratio > UNEVEN and float(spreads[live].max()) > 3:
                found.append((f"spreads of the features differ by a factor of {ratio:.3g}", ratio))
            offset = float((means[live].abs() / spreads[live]).median())
            if offset > OFFSET:
                found.append((f"features lie {offset:.3g} spreads away from zero", offset))
    return max(found, key=lambda pair: pair[1], default=("", 0.0))


def mixture(exam) -> None:
    """Whether batches are copies of each other, or hold one kind of label each."""
    batches, targets = exam.run.batches, gather_targets(exam)
    if len(batches) > 2:
        first = tensors(batches[0])
        others = [tensors(batch) for batch in batches[1:]]
        labelled = exam.task.kind in ("classes", "binary") and examples(batches[0]) <= FULL
        if first and labelled and all(same_tensors(first, other) for other in others):
            exam.add(
                "same_batch",
                "certain",
                f"{len(batches)} batches are equal",
                "batches of different examples",
            )
            return
    if exam.task.kind != "classes" or len(targets) < 4 or targets[0].dim() != 1:
        return
    whole = torch.cat(targets)
    if whole.is_floating_point():
        return
    overall = entropy(whole)
    sizes = [len(part) for part in targets]
    if overall < 0.3 or min(sizes[:-1]) < 8:
        return
    within = sum(entropy(part) for part in targets) / len(targets)
    shuffled = whole[torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))]
    expected = sum(entropy(part) for part in shuffled.split(sizes)) / len(targets)
    exam.measured["labels_mixed"] = within / expected
    if within < 0.6 * expected:  # or a sampler means it: the trials will tell
        exam.measured["entropy_within_and_shuffled"] = (within, expected)


def same_tensors(some, others) -> bool:
    """Whether two batches hold equal tensors."""
    return len(some) == len(others) and all(
        a.shape == b.shape and torch.equal(a, b) for a, b in zip(some, others, strict=True)
    )


def entropy(labels: torch.Tensor) -> float:
    """Entropy of the labels that occur, in nats."""
    share = labels.unique(return_counts=True)[1].double()
    share = share / share.sum()
    return float(-(share * share.log()).sum())


def neighbours(exam) -> float:
    """How far the nearest other input has the same label, or a near one, in standard errors.

    It knows no network: inputs are compared by feature, whole numbers by how many differ.
    """
    rows, labels = paired_rows(exam)
    if rows is None or len(rows) < 32 or any(len(row) != len(rows[0]) for row in rows):
        return 0.0
    rows, labels = torch.stack(rows[:NEAR]), torch.stack(labels[:NEAR])
    whole = bool((rows == rows.round()).all()) and len(rows.unique()) > 2
    if not whole:
        rows = (rows - rows.mean(0)) / rows.std(0).clamp_min(1e-12)
    away = torch.cdist(rows, rows, p=0.0 if whole else 2.0)
    nearest = away.fill_diagonal_(float("inf")).argmin(1)
    if labels.shape[1] == 1 and len(labels.unique()) <= 100:
        return agreement(labels[nearest, 0], labels[:, 0], len(labels), True)
    return agreement(labels[nearest].flatten(), labels.flatten(), len(labels), False)


def agreement(answers: torch.Tensor, targets: torch.Tensor, count: int, of_classes: bool) -> float:
    """Agreement beyond chance in standard errors: of classes Cohen's kappa, else a correlation.

    `count` examples are independent of each other, however many targets each of them has.
    """
    if not of_classes:
        pair = torch.stack([answers.double(), targets.double()])
        return abs(float(torch.nan_to_num(torch.corrcoef(pair))[0, 1])) * count**0.5
    values = torch.cat([answers, targets]).unique()
    shares = [(part[:, None] == values).double().mean(0) for part in (answers, targets)]
    chance = float((shares[0] * shares[1]).sum())
    right = float((answers == targets).double().mean())
    return (right - chance) / max(chance * (1 - chance) / count, 1e-12) ** 0.5
