"""What can be measured on any model: the norms of its weights and the penalty on them."""

from numbers import Real

import torch
from torch import Tensor, nn

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
