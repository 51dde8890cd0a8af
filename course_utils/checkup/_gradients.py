"""The gradient of one batch: missing, zero, not finite; and what stands still behind it."""

import warnings
from collections import Counter

import torch

from ._batches import tensors
from ._copies import seed_everything
from ._run import SEED
from ._watch import watched

CLAMPS = ("clamp", "clip", "clamp_min", "clamp_max")
DEAD = 0.98  # share of a layer's units that answer zero to every example


def gradients(exam) -> None:
    """Whether the loss and its gradient are finite and reach the weights."""
    loss, model = exam.seen.loss, exam.twin.model
    value = float(loss)
    exam.measured["loss_of_the_first_batch"] = value
    if not torch.isfinite(loss):
        return not_finite(exam, f"the loss of the first batch is {value}")
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not loss.requires_grad:
        what = "no weight wants one" if not trainable else "the graph is cut (detach, item, numpy)"
        exam.add("no_gradient", "certain", f"the loss has no gradient: {what}", "a gradient")
        return None
    loss.backward(retain_graph=True)
    found = [(name, p.grad) for name, p in model.named_parameters() if p.grad is not None]
    if not found:
        exam.add("no_gradient", "certain", "the loss's gradient reaches no weight", "some weight")
        return None
    bad = [name for name, grad in found if not bool(torch.isfinite(grad).all())]
    if bad:
        return not_finite(exam, f"the gradient of {bad[0]} is not finite, the loss is {value:.4g}")
    exam.gradient = {name: grad.detach().clone() for name, grad in found}
    norms = {name: float(grad.norm()) for name, grad in found}
    exam.measured["gradient_norm"] = sum(n * n for n in norms.values()) ** 0.5
    exam.measured["gradient_norms"] = norms
    if exam.measured["gradient_norm"] == 0 and value != 0:
        exam.add(
            "no_gradient",
            "certain",
            f"the gradient is exactly 0 in all {len(found)} tensors of weights",
            "above 0, unless the loss is at its lowest",
        )
    return None


def not_finite(exam, measured: str) -> None:
    """A number that is none; the pass again, with torch's own search for the operation."""
    weights = [n for n, p in exam.twin.model.named_parameters() if not torch.isfinite(p).all()]
    where = ""
    if weights:
        where = f"; {len(weights)} tensors of weights are not finite already ({weights[0]})"
    else:
        where = first_operation(exam)
    exam.add("not_finite", "certain", measured + where, "finite numbers")
    exam.stopped = True


def first_operation(exam) -> str:
    """The first function whose result is not finite, or the one whose gradient is not."""
    for call in exam.seen.calls:
        result = call.result
        if isinstance(result, torch.Tensor) and result.is_floating_point():
            if not bool(torch.isfinite(result).all()) and not call.name.startswith("__get"):
                side = "the model" if call.in_model else "the loss"
                return f"; the first is the result of {call.name} in {side}"
    twin, zeros = exam.run.twin(), zeros_given(exam)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with torch.autograd.detect_anomaly(check_nan=True):
                watched(twin, exam.run.batches[0]).loss.backward()
    except RuntimeError as error:
        return f"; {str(error).split('.')[0]}{zeros}"
    return zeros


def zeros_given(exam) -> str:
    """Which functions that have no slope at 0 are given one."""
    for call in exam.seen.calls:
        place = 1 if "div" in call.name else 0
        sharp = call.name in ("sqrt", "rsqrt", "log", "div", "true_divide", "__truediv__", "norm")
        given = call.args[place] if sharp and len(call.args) > place else None
        if isinstance(given, torch.Tensor) and bool((given == 0).any()):
            return f"; {call.name} is given {int((given == 0).sum())} of {given.numel()} zeros"
    return ""


def at_a_clip(exam) -> None:
    """The share of numbers in the loss that a clamp has cut off: these no longer pull."""
    for call in exam.seen.calls:
        if call.in_model or call.name not in CLAMPS:
            continue
        given = call.argument(0, "input")
        if isinstance(given, torch.Tensor) and given.shape == call.result.shape:
            share = float((given != call.result).float().mean())
            exam.measured["share_beyond_a_clip"] = share


def dead_units(exam) -> None:
    """Layers whose units answer zero to every example."""
    shares = []
    for call in exam.seen.calls:
        result = call.result
        if call.in_model and call.name in ("relu", "relu_") and isinstance(result, torch.Tensor):
            if result.dim() >= 2 and result.shape[0] > 3:
                axes = [a for a in range(result.dim()) if a != 1 or result.dim() == 1]
                silent = (result == 0).all(dim=0) if result.dim() == 2 else None
                silent = silent if silent is not None else silent_channels(result, axes)
                shares.append(float(silent.float().mean()))
    exam.measured["share_of_dead_units"] = max(shares, default=0.0)


def silent_channels(result: torch.Tensor, axes: list[int]) -> torch.Tensor:
    """Which channels (axis 1) are zero everywhere."""
    return result.abs().amax(dim=axes) == 0


def unregistered(exam) -> None:
    """Weights that are used and belong to no module: a plain list of layers."""
    known = {id(p) for p in exam.twin.model.parameters()} | held_by(exam.twin.optimizer)
    seen: dict[int, torch.Tensor] = {}
    for call in exam.seen.calls:
        learns = any(leaf.requires_grad for leaf in tensors([call.result]))
        if call.in_model and learns:  # a hidden teacher is not meant to
            for arg in (*call.args, *call.kwargs.values()):
                if is_parameter(arg) and arg.requires_grad and id(arg) not in known:
                    seen[id(arg)] = arg
    if seen:
        shape = tuple(next(iter(seen.values())).shape)
        exam.add(
            "not_registered",
            "certain",
            f"{len(seen)} tensors of weights are used and not in model.parameters() "
            f"(the first: {shape})",
            "none: layers kept in a list or dict belong in nn.ModuleList or nn.ModuleDict",
            tensors=len(seen),
        )


def weights_of(call) -> list[torch.nn.Parameter]:
    """The parameters among a call's arguments, within lists as well."""
    return [leaf for leaf in tensors([list(call.args), dict(call.kwargs)]) if is_parameter(leaf)]


def is_parameter(leaf) -> bool:
    """Whether it is a weight, not only a tensor."""
    return isinstance(leaf, torch.nn.Parameter)


def cut(exam) -> None:
    """Weights that the loss changes with, and that get no gradient all the same."""
    if not exam.gradient or exam.seen.forwards != 1:
        return
    held = held_by(exam.twin.optimizer)
    names = [
        name
        for name, p in exam.twin.model.named_parameters()
        if p.requires_grad and p.grad is None and (not held or id(p) in held)
    ]
    exam.measured["used_without_gradient"] = names
    if names and not copy_of_another(exam.twin.model, names) and matter(exam, names):
        exam.add(
            "no_gradient",
            "likely",
            f"{len(names)} tensors of weights are used and get no gradient (the first: {names[0]})",
            "a gradient for all that is used and wants one: look for detach, no_grad, numpy",
        )


def matter(exam, names: list[str]) -> bool:
    """Whether the loss changes with these weights; what is computed and not used may stand by."""
    losses = []
    for noise in (0.0, 0.1):
        twin = exam.run.twin()
        twin.model.train()
        weights = dict(twin.model.named_parameters())
        with torch.no_grad():
            for name in names:
                weights[name] += noise * torch.randn_like(weights[name])
            seed_everything(SEED)
            losses.append(float(twin.loss(exam.run.batches[0])))
    return losses[0] != losses[1]


def copy_of_another(model, names: list[str]) -> bool:
    """Whether these weights are a second network of the same build: a target, or a teacher."""
    shapes = {n: p.shape for n, p in model.named_parameters()}
    rest = Counter(shapes[n] for n in shapes if n not in names)
    return len(names) > 3 and not Counter(shapes[n] for n in names) - rest


def held_by(optimizer) -> set[int]:
    """The ids of the weights that the optimiser moves; a target network's are not among them."""
    groups = optimizer.param_groups if optimizer is not None else []
    return {id(p) for group in groups for p in group["params"]}


def build(exam) -> None:
    """The narrowest layer, the number of layers, and how spread changes from first to last."""
    widths, spreads = [], []
    for call in exam.seen.calls:
        result = call.result[0] if isinstance(call.result, tuple) else call.result
        if not call.in_model or not weights_of(call) or not isinstance(result, torch.Tensor):
            continue
        matrix = max((p.dim() for p in weights_of(call)), default=0)
        if matrix < 2 or call.name == "embedding" or not result.is_floating_point():
            continue
        axis = 1 if call.name.startswith("conv") else -1
        widths.append(result.shape[axis] if result.dim() > 1 else 1)
        if result.dim() > 1 and result.shape[0] > 1:
            values = result.detach().float()
            spreads.append(float(values.std(0).mean() / values.abs().mean().clamp_min(1e-30)))
    if not widths:
        return
    exam.measured |= {"layers": len(widths), "narrowest": min(widths[:-1], default=0)}
    exam.measured["answers"] = widths[-1]
    if spreads and spreads[0] > 0:
        exam.measured["spread_last_over_first"] = spreads[-1] / spreads[0]


def all_zero(exam) -> None:
    """Every matrix of weights exactly zero."""
    matrices = [p for p in exam.run.model.parameters() if p.dim() >= 2]
    if len(matrices) > 1 and not any(bool(p.detach().any()) for p in matrices):
        exam.add(
            "initialisation",
            "certain",
            f"all {len(matrices)} matrices of weights are exactly 0",
            "a draw: between zeros no gradient passes, and units stay equal",
        )


def alike(model) -> str:
    """The first matrix whose units are all equal though a gradient reaches them."""
    for name, p in model.named_parameters():
        if p.dim() < 2 or p.shape[0] < 2 or p.grad is None or not bool(torch.isfinite(p).all()):
            continue
        rows = p.detach().reshape(p.shape[0], -1)
        size = float(rows.abs().max())
        if size > 0 and float((rows - rows[:1]).abs().max()) < 1e-5 * size:
            return name
    return ""
