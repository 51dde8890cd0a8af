"""What the loss asks for, tried without the network; and whether each answer is its example's."""

import math
import types

import torch

from . import _batches, _changes, _learners
from ._copies import seed_everything
from ._run import SEED

STEPS = 300  # of free answers: they cost the loss alone, no network
MANY = 256  # examples that the best constant answer is fitted to
STRETCH = 30.0  # far enough that a tanh saturates, and a ReLU turned round closes
STUCK = 0.2  # share of the numbers in the loss that are cut off, from which they do not
FAR = 30.0  # beyond, free answers would not find back within their steps
BENT = 0.6  # of what a straight line leaves of the loss, with a ReLU after each layer
MEANT = 0.8  # of what is left with other company in a batch
ALIKE = 2e-3  # relative difference of two answers that should be equal; rounding is 1e-6


def as_given(tensor: torch.Tensor, maker: str):
    """How free numbers become answers of the kind that this model gives: probabilities and so on.

    Returns (numbers to start from, function from numbers to answers).
    """
    start = tensor.detach().float().clone()
    start = torch.nan_to_num(start, 0.0, 10.0, -10.0)
    if maker in ("softmax", "log_softmax") and tensor.dim() > 1:
        sums = start.exp() if maker == "log_softmax" else start
        axis = next((a for a in range(1, tensor.dim()) if summed(sums, a)), None)
        if axis is not None:
            make = torch.softmax if maker == "softmax" else torch.log_softmax
            return torch.zeros_like(start), lambda z: make(z, axis)
    if maker in ("sigmoid", "softmax", "hardsigmoid"):
        return torch.zeros_like(start), torch.sigmoid
    if maker == "tanh":
        return torch.zeros_like(start), torch.tanh
    return start, lambda z: z


def summed(values: torch.Tensor, axis: int) -> bool:
    """Whether the values sum to one along the axis."""
    return bool(((values.sum(axis) - 1).abs() < 1e-3).all())


def loss_of_answers(exam, batch, constant: bool):
    """The lowest loss that answers alone reach: one for all examples, or each example its own.

    Returns (loss, answers); the network's forward is replaced, so it costs no pass. Answers start
    at zero, or where the model's own lie, and are moved by Adam; None where the loss asks the
    model for more than its answers.
    """
    twin = exam.run.twin()
    seen = exam.pass_of(twin, batch)
    leaves = [leaf for leaf in _batches.tensors([seen.output]) if leaf.is_floating_point()]
    if seen.forwards != 1 or not leaves:
        return None
    count, free, makes = _batches.examples(batch), [], []
    for leaf in leaves:
        maker = seen.maker(leaf)
        start, make = as_given(leaf, maker.name if maker else "")
        axis = _batches.axis_of(leaf, count)
        if constant and axis is not None:
            start = start.mean(axis, keepdim=True)
        start = start if float(start.abs().max()) < FAR else torch.zeros_like(start)
        start, make = stretched(exam, start, leaf, make)
        free.append(start.requires_grad_())
        makes.append((make, leaf.shape, leaf.dtype))

    answer_by(twin, seen.output, free, makes)
    return lowest(
        twin,
        batch,
        free,
        lambda: [make(n).detach() for n, (make, *_) in zip(free, makes, strict=True)],
    )


def answer_by(twin, output, free, makes) -> None:
    """Puts free numbers in the place of what the network would answer."""

    def forward(self, *args, **kwargs):
        made = iter(
            make(numbers).expand(shape).to(kind)
            for numbers, (make, shape, kind) in zip(free, makes, strict=True)
        )
        return _batches.rebuilt(
            output,
            lambda leaf: (
                next(made) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() else leaf
            ),
        )

    twin.model.forward = types.MethodType(forward, twin.model)


def stretched(exam, start, leaf: torch.Tensor, make):
    """Answers that reach targets far from 0 as fast as others reach targets near 0."""
    targets = exam.task.targets
    if (
        exam.task.kind != "values"
        or targets is None
        or targets.numel() != exam.task.answers.numel()
    ):
        return start, make
    size = float(targets.abs().float().max()) / 3
    if not 1 < size < math.inf:
        return start, make
    return torch.zeros_like(start), lambda numbers: make(numbers) * size


def lowest(twin, batch, free, answers):
    """The lowest loss on the way down, and the answers there."""
    for rate in (0.3, 0.03):
        optimizer = torch.optim.Adam(free, lr=rate)
        for _ in range(STEPS // 2):
            optimizer.zero_grad()
            loss = twin.loss(batch)
            if not loss.requires_grad or not bool(torch.isfinite(loss)):
                break
            loss.backward()
            if any(numbers.grad is None for numbers in free):
                for numbers in free:
                    numbers.grad = (
                        torch.zeros_like(numbers) if numbers.grad is None else numbers.grad
                    )
            optimizer.step()
    with torch.no_grad():
        return float(twin.loss(batch)), answers()


def constant_and_floor(exam) -> None:
    """The loss of the best constant answer, and the lowest that any answers reach."""
    batch = (_batches.joined(exam.heart) if len(exam.heart) > 1 else None) or exam.heart[0]
    constant = loss_of_answers(exam, batch, constant=True)
    free = loss_of_answers(exam, batch, constant=False)
    if constant is None or free is None:
        exam.untested.append("the loss of a constant answer (the loss asks the model for more)")
        return
    exam.constant, exam.floor = constant[0], free[0]
    exam.constant_of_all = exam.constant
    many = _batches.joined(_batches.few(exam.run.batches, MANY))
    if many is not None:
        exam.constant_of_all = (loss_of_answers(exam, many, constant=True) or constant)[0]
    exam.measured |= {
        "loss_of_a_constant": exam.constant_of_all,
        "loss_of_free_answers": free[0],
    }
    rewards(exam, batch, free[1])


def rewards(exam, batch, answers) -> None:
    """Whether the loss is lowest where the answers are right."""
    task = exam.task
    targets = None if task.leaf is None else task.targets_of(batch)
    if targets is None or not answers or several(exam) or weighed(exam, batch):
        return
    if exam.measured.get("share_beyond_a_clip", 0.0) > STUCK:
        return  # answers that start beyond a clip do not find back
    best = max(answers, key=lambda a: a.numel() == targets.numel())
    if task.kind == "values" and best.numel() == targets.numel() > 2:
        agree = correlation(best, targets)
        far = float(best.abs().max()) > 20 * float(targets.abs().max() + 1)
        if task.call is None and agree < 0 and not far and a_distance(exam):
            agree = -agree  # 1 may mean "alike"
        name, bound = f"rank correlation of the answers and the targets {agree:.2f}", 0.7
    elif task.kind == "classes" and best.dim() > 1 and task.right(best, targets) is not None:
        right = task.right(best, targets)
        agree = float(right.mean()) if len(right) else 1.0
        name, bound = f"{agree:.0%} of the answers right", 0.7
    else:
        return
    exam.measured["free_answers_agree"] = agree
    if agree < bound and not exam.found("loss_shape", "one_channel", "output_range", "one_class"):
        exam.add(
            "loss_wrong",
            "certain" if agree < 0.5 else "likely",
            f"where the loss is lowest, any answer allowed: {name}",
            f"{bound:g}: a loss should be lowest where the answers are right",
            agree=agree,
        )


def a_distance(exam) -> bool:
    """Whether the answers may be distances: none below 0, and no probabilities."""
    answers = exam.seen.outputs[0]
    maker = exam.seen.maker(answers)
    squashed = maker is not None and maker.name in ("sigmoid", "softmax")
    return bool((answers >= 0).all()) and not squashed


def weighed(exam, batch) -> bool:
    """Whether examples have weights or marks that may turn the loss round.

    Such are the returns of a policy gradient, and the censoring of survival times.
    """
    used = {exam.task.leaf, *exam.input_leaves}
    rest = [leaf for i, leaf in enumerate(_batches.tensors(batch)) if i not in used]
    rest = [leaf for leaf in rest if leaf.is_floating_point() or len(leaf.unique()) <= 2]
    return any(bool((leaf <= 0).any()) for leaf in rest)


def several(exam) -> bool:
    """Whether the loss has several parts or outputs: then no one of them need rule the rest."""
    losses = [call for call in exam.seen.losses() if not call.in_model]
    return len(losses) > 1 or len(exam.seen.outputs) > 1


def own_label(exam) -> None:
    """Whether an example's label pulls at its own answer: axes mixed up within the loss."""
    batch, task = exam.heart[0], exam.task
    count = _batches.examples(batch)
    if task.leaf is None or task.kind not in ("classes", "values", "binary") or count < 4:
        return
    twin = exam.run.twin()
    seen = exam.pass_of(twin, batch)
    if seen.forwards != 1 or not seen.outputs or exam.answers_itself or several(exam):
        return
    axis = _batches.axis_of(seen.outputs[0], count)
    if axis is None or _batches.axis_of(task.targets_of(batch), count) is None:
        return
    free = seen.outputs[0].detach().clone().requires_grad_()
    answer = _batches.rebuilt(seen.output, lambda leaf: free if leaf is seen.outputs[0] else leaf)
    twin.answer_with(answer)

    def pull(part, seed=SEED):
        seed_everything(seed)
        loss = twin.loss(part)
        return torch.autograd.grad(loss, free)[0] if loss.requires_grad else None

    before, shares, gathered = pull(batch), [], []
    if before is None or not torch.equal(before, pull(batch, SEED + 1)):
        exam.untested.append("whether a label pulls at its own answer (the loss is random)")
        return
    for row in (1, count // 2, count - 2):
        other = relabelled(batch, task.leaf, row, (row + count // 2) % count)
        after = pull(other) if other is not None else None
        if after is None:
            continue
        moved = (after - before).abs().float().movedim(axis, 0).reshape(count, -1).sum(1)
        if float(moved.sum()) > 0:
            shares.append(float(moved[row] / moved.sum()))
        one = relabelled(batch, task.leaf, row, (row + count // 2) % count, place=True)
        after = pull(one) if one is not None else None
        if after is not None and axis == 0:
            places = (_batches.tensors(one)[task.leaf] != task.targets_of(batch))[row]
            gathered += at_its_place((after - before)[row].abs().float(), places)
    if gathered and sum(gathered) / len(gathered) < 0.6 and not exam.found("loss_shape"):
        share = sum(gathered) / len(gathered)
        exam.add(
            "loss_wrong",
            "certain",
            "another label at one place of an example: the gradient changes there by "
            f"{share:.0%} of the largest change at any place of its answer",
            "60 %; 100 %, where the axes of answers and labels belong together",
            share=share,
        )
    if shares and sum(shares) / len(shares) < 0.1:
        share = sum(shares) / len(shares)
        exam.measured["label_pulls_at_own_answer"] = share
        if not exam.found("loss_shape"):
            exam.add(
                "loss_wrong",
                "certain",
                f"another label for an example: {share:.0%} of what changes in the gradient is "
                "at that example's own answer",
                "10 %; in a loss of examples one by one it is nearly all, with weights less",
                share=share,
            )


def at_its_place(moved: torch.Tensor, changed: torch.Tensor) -> list[float]:
    """The change at the place of the label over the largest; nothing where places are not told."""
    if moved.shape[:-1] == changed.shape and moved.dim() > 1:
        moved = moved.sum(-1)
    elif moved.shape[1:] == changed.shape and moved.dim() > 1:
        moved = moved.sum(0)
    else:
        return []
    return [float(moved[changed].max() / moved.max())] if float(moved.max()) > 0 else []


def relabelled(batch, leaf: int, row: int, source: int, place: bool = False):
    """The batch with one example's target replaced by another's; None where they are equal.

    `place`: only at one place of the example, the first at which the two differ.
    """
    targets = _batches.tensors(batch)[leaf].clone()
    axis = _batches.axis_of(targets, _batches.examples(batch))
    moved = targets.movedim(axis, 0)
    if torch.equal(moved[row], moved[source]):
        return None
    new = moved[source].clone()
    if place:
        if new.dim() == 0:
            return None
        differ = (new != moved[row]).nonzero()[0]
        new = moved[row].clone()
        new[tuple(differ)] = moved[source][tuple(differ)]
    moved[row] = new
    return _batches.replaced(batch, leaf, targets)


def correlation(answers: torch.Tensor, targets: torch.Tensor) -> float:
    """Rank correlation over the largest that these numbers allow, which ties make less than 1.

    1 where the targets do not vary.
    """
    given = ranks(answers.flatten().double()), ranks(targets.flatten().double())
    if float(given[1].std()) == 0:
        return 1.0
    best = given[0].sort().values, given[1].sort().values
    found, most = (
        float(torch.nan_to_num(torch.corrcoef(torch.stack(pair)))[0, 1]) for pair in (given, best)
    )
    return found / most if most else 0.0


def ranks(values: torch.Tensor) -> torch.Tensor:
    """The rank of each number, equal numbers sharing theirs."""
    _, place, counts = values.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts - 1) / 2)[place]


def own_answers(exam) -> None:
    """Whether an example's answer changes with the examples beside it, in eval()."""
    batch = max(exam.run.batches[:3], key=_batches.examples)
    count = _batches.examples(batch)
    if count < 4:
        exam.untested.append("whether examples mix (fewer than 4 in a batch)")
        return
    model = exam.run.twin()

    def answers(rows, seed=SEED):
        seed_everything(seed)
        with model.settled("running"):
            part = batch if rows is None else _batches.take(batch, rows)
            return exam.pass_of(model, part).outputs[:1]

    whole = answers(None)
    if not whole or differs(whole[0], answers(None, SEED + 1)[0]):
        exam.random_answers = True
        exam.untested.append("whether examples mix (answers are random in eval() too)")
        return
    axis = _batches.axis_of(whole[0], count)
    if axis is None:
        exam.untested.append("whether examples mix (answers have no axis of the examples)")
        return
    rows = torch.arange(count - 1, -1, -1)[: count // 2]
    expected = whole[0].index_select(axis, rows)
    alone = answers(rows)[0]
    if alone.shape != expected.shape:
        exam.untested.append("whether examples mix (answers have another shape in a smaller batch)")
        return
    difference = differs(expected, alone)
    exam.measured["answers_change_with_the_batch"] = difference


def mixing(exam) -> None:
    """Answers that change with the batch: a fault, unless the run learns less in other company."""
    difference = exam.measured.get("answers_change_with_the_batch", 0.0)
    if difference and not company_matters(exam):
        norm = next((m for m in exam.run.model.modules() if plain_batchnorm(m)), None)
        exam.add(
            "batchnorm" if norm is not None else "mixed_examples",
            "likely" if norm is not None else "certain",
            f"answers change by {difference:.0%} of their size, half of the batch left out"
            + (" (BatchNorm keeps no statistics for eval())" if norm is not None else ""),
            f"{ALIKE:.1%}: beyond rounding, an answer is its example's own",
            difference=difference,
        )


def company_matters(exam) -> bool:
    """Whether less is learnt when examples are dealt out to the batches anew: then it is meant.

    So it is where a batch is one sequence, one set or one graph, or has the time first.
    """
    chance = torch.Generator().manual_seed(0)
    other = _batches.shuffled(exam.run.batches) or [
        _batches.take(batch, torch.randperm(_batches.examples(batch), generator=chance))
        for batch in exam.run.batches
    ]
    left = []
    for batches in (exam.run.batches, other):
        losses, _ = _learners.follow(
            exam, batches, _learners.STEPS, own=False, fresh=True, change=_changes.quick_adam
        )
        left.append(losses[-1] - (exam.floor or 0.0))
    exam.measured["left_as_given_and_dealt_anew"] = left
    return left[0] < MEANT * left[1]


def plain_batchnorm(module) -> bool:
    """BatchNorm that takes the batch's own statistics in eval() too."""
    return getattr(module, "track_running_stats", True) is False and hasattr(module, "momentum")


def differs(one: torch.Tensor, other: torch.Tensor) -> float:
    """Relative difference, 0 where it is rounding; 1 where the shapes differ."""
    if one.shape != other.shape:
        return 1.0
    rough = one.dtype in (torch.float16, torch.bfloat16)
    one, other = one.float(), other.float()
    size = float(one.abs().mean()) + 1e-12
    relative = float((one - other).abs().mean()) / size
    return relative if relative > (0.05 if rough else ALIKE) else 0.0


def affine(exam) -> None:
    """Whether the whole network is one straight line: 30 times the input, turned round."""
    batch = exam.heart[0]
    leaves = _batches.tensors(batch)
    floats = [i for i in exam.input_leaves if leaves[i].is_floating_point()]
    if len(exam.input_leaves) != 1 or not floats or exam.answers_itself:
        return
    twin, inputs = exam.run.twin(), leaves[floats[0]].detach()

    def answers(values):
        part = _batches.replaced(batch, floats[0], values)
        with twin.settled("running"):
            return exam.before_squashing(exam.pass_of(twin, part))

    zero, once, turned = (answers(times * inputs) for times in (0.0, 1.0, -STRETCH))
    if zero is None or float((once - zero).abs().max()) == 0:
        return
    line = -STRETCH * (once - zero)
    bent = float((turned - zero - line).float().norm() / line.float().norm())
    exam.measured["bent"] = bent


def straight(exam) -> None:
    """Layers that make one straight line: a fault, if more is learnt with ReLUs between them."""
    layers = sum(p.dim() >= 2 for p in exam.run.model.parameters())
    bent = exam.measured.get("bent", 1.0)
    if bent < 1e-3 and layers > 1 and bending_helps(exam):
        exam.add(
            "no_nonlinearity",
            "likely",
            f"inputs turned round and {STRETCH:g} times as large give answers that are turned "
            f"round and {STRETCH:g} times as large, to {bent:.0e}, through {layers} layers",
            "1e-3, rounding: layers without an activation between them are one linear layer",
            bent=bent,
        )


def bending_helps(exam) -> bool:
    """Whether more is learnt with a ReLU after each layer but the last; a line may be meant."""
    ends = []
    for change in (_changes.quick_adam, bent_adam):
        losses, _ = _learners.follow(
            exam,
            exam.run.batches,
            2 * _learners.STEPS,
            own=False,
            fresh=True,
            change=change,
        )
        ends.append(losses[-1] - (exam.floor or 0.0))
    exam.measured["left_straight_and_bent"] = ends
    return not math.isfinite(ends[0]) or ends[1] < BENT * ends[0]


def bent_adam(twin):
    """A ReLU after every layer of weights but the last, and a quick Adam."""
    layers = [m for m in twin.model.modules() if any(p.dim() > 1 for p in m.parameters(False))]
    for layer in layers[:-1]:
        layer.register_forward_hook(
            lambda module, args, output: (
                output.relu() if isinstance(output, torch.Tensor) else output
            )
        )
    return _changes.quick_adam(twin)
