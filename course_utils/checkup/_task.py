"""What the run learns: its answers, its targets, and what kind of loss stands between them."""

from dataclasses import dataclass

import torch

from ._batches import axis_of, examples, tensors
from ._watch import Call, Pass

CLASSES = ("cross_entropy", "nll_loss", "multi_margin_loss")
BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
VALUES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss")
IGNORED = -100  # torch's ignore_index


@dataclass
class Task:
    """Answers and targets as they met in the loss; `kind` is classes, binary, values or unknown."""

    kind: str
    answers: torch.Tensor | None
    targets: torch.Tensor | None
    call: Call | None = None
    leaf: int | None = None  # which tensor of a batch holds the targets

    def targets_of(self, batch) -> torch.Tensor | None:
        """The targets of another batch, if they are handed over as they are used."""
        return None if self.leaf is None else tensors(batch)[self.leaf]

    def right(self, answers=None, targets=None) -> torch.Tensor | None:
        """For each decision whether it is right, of classes and of yes and no."""
        answers = self.answers if answers is None else answers
        targets = self.targets if targets is None else targets
        if answers is None or targets is None or self.kind not in ("classes", "binary"):
            return None
        if self.kind == "binary":
            half = 0.5 if self.call is not None and self.call.name == BINARY[0] else 0.0
            if answers.numel() != targets.numel():
                return None
            return ((answers > half).flatten() == (targets > 0.5).flatten()).float()
        chosen = answers.argmax(1 if answers.dim() > 1 else 0)
        if targets.is_floating_point() and targets.shape == answers.shape:
            targets = targets.argmax(1)
        if chosen.numel() != targets.numel():
            return None
        kept = targets.flatten() != self.ignored
        return (chosen.flatten() == targets.flatten())[kept].float()

    @property
    def ignored(self) -> int:
        """The label that the loss leaves out."""
        if self.call is None or self.call.name not in ("cross_entropy", "nll_loss"):
            return IGNORED
        return self.call.argument(4, "ignore_index", IGNORED)


def task_of(seen: Pass, batch, beside=frozenset()) -> Task:
    """The task as the loss of one batch shows it; the tensors `beside` are known for no targets."""
    calls = [call for call in seen.losses() if isinstance(call.argument(0, "input"), torch.Tensor)]
    kinds = dict.fromkeys(CLASSES, "classes") | dict.fromkeys(BINARY, "binary")
    kinds |= dict.fromkeys(VALUES, "values")
    calls = [call for call in calls if isinstance(call.argument(1, "target"), torch.Tensor)]
    outside = [call for call in calls if not call.in_model] or calls
    if outside:
        call = outside[0]
        task = Task(
            kinds.get(call.name, "unknown"),
            call.argument(0, "input").detach(),
            call.argument(1, "target").detach(),
            call,
        )
        task.leaf = same_leaf(batch, task.targets)
        return task
    return by_shapes(seen, batch, beside)


def same_leaf(batch, targets: torch.Tensor) -> int | None:
    """The tensor of the batch that holds these targets, if one does."""
    flat = targets.detach().flatten().double() if not targets.is_complex() else targets.flatten()
    for index, leaf in enumerate(tensors(batch)):
        if leaf.numel() == flat.numel() and not leaf.is_complex():
            if torch.equal(leaf.detach().flatten().double(), flat):
                return index
    return None


def by_shapes(seen: Pass, batch, beside) -> Task:
    """The task of a loss that is written by hand: by what was not given to the model."""
    if not seen.outputs:
        return Task("unknown", None, None)
    answers, leaves = seen.outputs[0].detach(), tensors(batch)
    given = {leaf.data_ptr() for leaf in seen.inputs}
    rest = [i for i, leaf in enumerate(leaves) if leaf.data_ptr() not in given and i not in beside]
    count = examples(batch)
    for index in rest:
        leaf = leaves[index]
        if axis_of(leaf, count) is None or leaf.is_complex():
            continue
        whole = not leaf.is_floating_point()
        if whole and answers.dim() > 1 and leaf.numel() * answers.shape[1] == answers.numel():
            if answers.shape[1] > 1 and leaf.numel() and int(leaf.max()) < answers.shape[1]:
                return Task("classes", answers, leaf, leaf=index)
        if leaf.shape == answers.shape and leaf.dim() == 2 and leaf.shape[1] > 1:
            if bool((leaf >= 0).all()) and bool(((leaf.sum(1) - 1).abs() < 1e-3).all()):
                return Task("classes", answers, leaf, leaf=index)
        if leaf.numel() == answers.numel():
            return Task("values", answers, leaf, leaf=index)
    return Task("unknown", answers, None)
