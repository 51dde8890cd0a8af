"""The changes of one thing at a time: what they take away, and when there is a reason to."""

import torch
from torch import nn

from ._data import oddity
from ._gradients import held_by
from ._learners import plain_adam


def standardised(exam):
    """Each feature (2 axes), channel (4) or last axis (otherwise) to mean 0 and spread 1."""
    statistics = []
    for values in exam.float_inputs():
        values = values.detach().float()
        axis = 1 if values.dim() in (2, 4) else values.dim() - 1
        axes = [a for a in range(values.dim()) if a != axis]
        if not oddity(values)[1]:
            statistics.append(None)
            continue
        mean, spread = values.mean(axes, keepdim=True), values.std(axes, keepdim=True)
        statistics.append((mean, torch.where(spread > 1e-12, spread, torch.ones_like(spread))))

    def change(twin):
        def before(module, args, kwargs):
            left = iter(statistics)

            def scaled(leaf):
                if not (isinstance(leaf, torch.Tensor) and leaf.is_floating_point()):
                    return leaf
                pair = next(left, None)
                fits = pair is not None and pair[0].dim() == leaf.dim()
                return ((leaf - pair[0]) / pair[1]).to(leaf.dtype) if fits else leaf

            args = tuple(scaled(leaf) for leaf in args)
            return args, {name: scaled(leaf) for name, leaf in kwargs.items()}

        twin.model.register_forward_pre_hook(before, with_kwargs=True)

    return change


def target_oddity(exam) -> tuple[str, float]:
    """In a few words what is unusual about the targets of a regression, and by what factor."""
    if exam.task.kind != "values" or exam.task.targets is None:
        return "", 0.0
    values = exam.task.targets.float()
    mean, spread = float(values.mean()), float(values.std()) if values.numel() > 1 else 1.0
    if spread > 5 or abs(mean) > 5 * max(spread, 1e-12) or spread < 0.02:
        factor = max(spread, abs(mean) / max(spread, 1e-12), 1 / max(spread, 1e-12))
        return f"targets with mean {mean:.3g} and spread {spread:.3g}", factor
    return "", 0.0


def scaled_answers(exam):
    """Answers times the targets' spread, plus their mean."""
    values = exam.task.targets.float()
    mean, spread = values.mean(), values.std()

    def change(twin):
        def after(module, args, output):
            return output * spread + mean if isinstance(output, torch.Tensor) else output

        twin.model.register_forward_hook(after)

    return change


def dropped(exam) -> float:
    """The largest share that is dropped anywhere."""
    rates = [0.0]
    for call in exam.seen.calls:
        if "dropout" in call.name and call.argument(2, "training", True):
            rates.append(float(call.argument(1, "p", 0.5)))
    return max(rates)


def without_dropout(twin) -> None:
    """No dropout, in modules."""
    for module in twin.model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0


def no_decay(twin) -> None:
    """No weight decay."""
    for group in twin.optimizer.param_groups:
        group["weight_decay"] = 0.0


USUAL = {"eps": 1e-8, "betas": (0.9, 0.999), "momentum": 0.9, "alpha": 0.99, "dampening": 0}


def odd_settings(groups) -> tuple[str, str]:
    """Settings beside the rate that are far from usual."""
    for group in groups:
        if group.get("eps", 0) > 1e-6:
            return "optimiser_settings", f"eps = {group['eps']:g}"
        betas = group.get("betas", (0.9, 0.999))
        if isinstance(betas, tuple) and (betas[0] > 0.96 or betas[1] < 0.9 or betas[1] > 0.99995):
            return "momentum" if betas[0] > 0.96 else "optimiser_settings", f"betas = {betas}"
        if isinstance(group.get("momentum", 0), float) and group["momentum"] > 0.96:
            return "momentum", f"momentum = {group['momentum']:g}"
    return "", ""


def default_settings(twin) -> None:
    """The usual settings in place of the run's."""
    for group in twin.optimizer.param_groups:
        for name, value in USUAL.items():
            if name in group and group[name] not in (0, None, False):
                group[name] = value


def plain_loop(twin):
    """The same optimiser in the plain loop."""
    return lambda batch: twin.plain_step(batch, twin.optimizer)


def rated(factor: float):
    """The rate times a factor, whatever the schedule sets it to."""

    def change(twin):
        scheduled = []

        def before(optimizer, *_):
            scheduled[:] = [group["lr"] for group in optimizer.param_groups]
            for group in optimizer.param_groups:
                group["lr"] = group["lr"] * factor

        def after(optimizer, *_):
            for group, rate in zip(optimizer.param_groups, scheduled, strict=True):
                group["lr"] = rate

        twin.optimizer.register_step_pre_hook(before)
        twin.optimizer.register_step_post_hook(after)

    return change


def all_weights(twin):
    """Every weight of the model, frozen or forgotten, in a new Adam."""
    parameters = list(twin.model.parameters())
    for parameter in parameters:
        parameter.requires_grad_(parameter.is_floating_point())
    return plain_adam(twin, 3e-3, parameters)


def quick_adam(twin):
    """Adam, three times as fast as its default."""
    return plain_adam(twin, 3e-3)


def quick_adam_of_held(twin):
    """The same on the weights alone that the run itself moves."""
    held = held_by(twin.optimizer)
    return plain_adam(twin, 3e-3, [p for p in twin.model.parameters() if id(p) in held])


def kept_as_they_are(model) -> list:
    """Matrices of modules that do not know how to draw their weights anew."""
    return [
        p
        for module in model.modules()
        if not hasattr(module, "reset_parameters") and not hasattr(module, "_reset_parameters")
        for p in module.parameters(recurse=False)
        if p.dim() > 1 and p.requires_grad
    ]


def redrawn(twin) -> None:
    """Glorot's draw for the matrices that are nobody's to draw."""
    for parameter in kept_as_they_are(twin.model):
        nn.init.xavier_uniform_(parameter)


def skipping(layers: int):
    """What enters a layer is added to what leaves it, where both have one shape."""

    def after(module, args, output):
        given = args[0] if args else None
        both = isinstance(given, torch.Tensor) and isinstance(output, torch.Tensor)
        return given + output / layers**0.5 if both and given.shape == output.shape else output

    def change(twin):
        for module in twin.model.modules():
            if any(p.dim() > 1 for p in module.parameters(recurse=False)):
                module.register_forward_hook(after)

    return change
