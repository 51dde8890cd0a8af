"""What can be measured on any model: its weights' norms, Adam's steps, the loss's curvature."""

import math
from numbers import Real

import torch
from torch import Tensor, nn

from course_utils.checks import whole_number
from course_utils.models import kernels


def weight_norm(model: nn.Module, norm: str = "l2") -> Tensor:
    """Size of all kernels of `model` together, a scalar that gradients flow through.

    "l2" is the sum of squares (as Keras' ``regularizers.L2``, without the factor 1/2 of many
    textbooks), "l1" the sum of absolute values, "max" the largest absolute value.

    Raises
    ------
    ValueError
        If `norm` is none of these, or the model has no kernel.
    """
    weights = kernels(model)
    if not weights:
        raise ValueError("the model has no weight matrix or convolution kernel to measure")
    if norm == "l2":
        return sum(w.square().sum() for w in weights)
    if norm == "l1":
        return sum(w.abs().sum() for w in weights)
    if norm == "max":
        return torch.stack([w.abs().max() for w in weights]).max()
    raise ValueError(f"unknown norm {norm!r}; expected one of l2, l1, max")


def weight_penalty(model: nn.Module, strength: float, norm: str = "l2") -> Tensor:
    """`strength` times `weight_norm`: what a regulariser adds to the reported loss.

    Raises
    ------
    TypeError, ValueError
        If `strength` is not a number, is negative or NaN.
    """
    if not isinstance(strength, Real):
        raise TypeError(f"strength must be a number, got {strength!r}")
    if not strength >= 0:
        raise ValueError(f"strength must be 0 or larger, got {strength!r}")
    return strength * weight_norm(model, norm)


def adam_statistics(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """What Adam (or AdamW) did to the parameters in its last step, over all of them.

    Kingma & Ba 2015, Algorithm 1: a step is -lr m / (√v + ε), m and v without their bias.

    Returns
    -------
    "root_v"
        Median of √v, in units of a gradient: what ε has to be compared with. Under AMSGrad, v is
        the largest so far.
    "m"
        Root mean square of m, in units of a gradient.
    "update", "largest_update"
        Root mean square and largest absolute value of m / (√v + ε): a step in units of lr.

    All are NaN before the first step.

    Raises
    ------
    TypeError
        If `optimizer` is not Adam or AdamW.
    """
    if not isinstance(optimizer, torch.optim.Adam):  # AdamW is one
        raise TypeError(f"optimizer must be Adam or AdamW, got {type(optimizer).__name__}")
    roots, means, updates = [], [], []
    for group in optimizer.param_groups:
        for p in filter(optimizer.state.__contains__, group["params"]):
            root = _root_v(optimizer.state[p], group)
            m = optimizer.state[p]["exp_avg"]
            m = m / (1 - group["betas"][0] ** float(optimizer.state[p]["step"]))
            roots.append(root.flatten())
            means.append(m.flatten())
            updates.append((m / (root + group["eps"])).flatten())
    if not roots:
        return dict.fromkeys(("root_v", "m", "update", "largest_update"), math.nan)
    update = torch.cat(updates)
    return {
        "root_v": torch.cat(roots).median().item(),
        "m": torch.cat(means).square().mean().sqrt().item(),
        "update": update.square().mean().sqrt().item(),
        "largest_update": update.abs().max().item(),
    }


def _root_v(state: dict[str, Tensor], group: dict) -> Tensor:
    """√v of one parameter, without its bias."""
    v = state.get("max_exp_avg_sq", state["exp_avg_sq"])
    return (v / (1 - group["betas"][1] ** float(state["step"]))).sqrt()


def preconditioned_sharpness(
    loss: Tensor, optimizer: torch.optim.Optimizer, iterations: int = 10
) -> float:
    """Largest eigenvalue of the Hessian of `loss` as Adam sees it, by power iteration.

    That is of P^-1 H with P = diag(√v + ε). Full-batch Adam becomes unstable where it exceeds
    (2 + 2 β1) / ((1 - β1) lr), 38 / lr at β1 = 0.9 (Cohen et al. 2022, "Adaptive gradient methods
    at the edge of stability"). NaN before the optimiser's first step.

    Parameters
    ----------
    loss
        A scalar that depends on the optimiser's parameters, with its graph.
    iterations
        Of the power method, from a fixed start: more for a narrower error, which is on the low
        side.

    Raises
    ------
    TypeError, ValueError
        If `optimizer` is not Adam or AdamW, or `iterations` is not a whole number above 0.
    """
    if not isinstance(optimizer, torch.optim.Adam):
        raise TypeError(f"optimizer must be Adam or AdamW, got {type(optimizer).__name__}")
    iterations = whole_number("iterations", iterations, 1)
    pairs = [(p, group) for group in optimizer.param_groups for p in group["params"]]
    if not all(p in optimizer.state for p, _ in pairs):
        return math.nan
    # P^-1/2 H P^-1/2 is symmetric and has the same eigenvalues.
    scales = [(_root_v(optimizer.state[p], g) + g["eps"]).rsqrt() for p, g in pairs]
    parameters = [p for p, _ in pairs]
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    generator = torch.Generator().manual_seed(0)
    vector = [torch.randn(p.shape, generator=generator).to(p) for p in parameters]
    for _ in range(iterations):
        norm = torch.cat([v.flatten() for v in vector]).norm()
        vector = [s * v / norm for s, v in zip(scales, vector, strict=True)]
        product = torch.autograd.grad(gradients, parameters, vector, retain_graph=True)
        vector = [s * h for s, h in zip(scales, product, strict=True)]
    return torch.cat([v.flatten() for v in vector]).norm().item()
