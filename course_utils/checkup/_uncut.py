"""Gradients let through where a run cuts them off: by detach(), by .data, by a clamp."""

import torch
from torch.overrides import TorchFunctionMode

from ._changes import quick_adam
from ._gradients import CLAMPS


class Attached(TorchFunctionMode):
    """Cuts of the graph are passed over: detach() and .data give the tensor itself."""

    CUTS = (torch.Tensor.detach, torch.Tensor.detach_, torch.detach, torch.Tensor.data.__get__)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in self.CUTS:
            return args[0]
        return function(*args, **(kwargs or {}))


def attached(twin) -> None:
    """The loss without any cut of the graph."""
    whole = twin._loss

    def loss(model, batch):
        with Attached():
            return whole(model, batch)

    twin._loss = loss


class Unclipped(TorchFunctionMode):
    """A clamp's result, with the gradient that its logarithm has without the clamp.

    Of a probability p that is cut off to c below, c / p of it; above, (1 - c) / (1 - p); of other
    numbers all of it. A clamped softmax's logarithm is log_softmax, as p may be 0 already.
    """

    def __init__(self):
        super().__init__()
        self.logits = []  # pairs: a softmax, clamped or not, and a function for its logarithm

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name, given = getattr(function, "__name__", ""), args[0] if args else None
        log = next((log for shares, log in self.logits if shares is given), None)
        if name == "log" and log is not None:
            return log()
        result = function(*args, **(kwargs or {}))
        if name == "softmax":
            rest = args[1:], kwargs or {}
            self.logits.append((result, lambda: given.log_softmax(*rest[0], **rest[1])))
        if name not in CLAMPS or given.shape != result.shape:
            return result
        passed = self.passed(given, result)
        if log is not None:
            self.logits.append((passed, log))
        return passed

    @staticmethod
    def passed(given: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
        """The result's numbers, and a gradient."""
        before, after = given.detach(), result.detach()
        size = torch.ones_like(after)
        if bool(((before >= 0) & (before <= 1) & (after > 0) & (after <= 1)).all()):
            low, high = before < after, before > after
            size[low] = after[low] / before[low].clamp_min(1e-30)
            size[high] = (1 - after[high]) / (1 - before[high]).clamp_min(1e-12)
        return after + size * (given - before)


def unclipped(twin):
    """A quick Adam, and gradients pass each clamp."""
    whole = twin._loss

    def loss(model, batch):
        with Unclipped():
            return whole(model, batch)

    twin._loss = loss
    return quick_adam(twin)


def attached_step(twin):
    """A quick Adam, and no cut of the graph."""
    attached(twin)
    return quick_adam(twin)


def cuts(exam) -> bool:
    """Whether a supervised loss cuts the graph of its model, and can do without."""
    if exam.task.leaf is None:
        return False  # a target of one's own making is cut off on purpose
    calls = [call for call in exam.seen.calls if call.name == "detach" and call.in_model]
    if not any(call.args[0].requires_grad for call in calls):
        return False
    twin = exam.run.twin()
    attached(twin)
    try:
        for batch in (exam.run.batches * 2)[:2]:
            twin.loss(batch).backward()
    except RuntimeError:
        return False  # of a state that is kept from batch to batch the cut is needed
    return True
