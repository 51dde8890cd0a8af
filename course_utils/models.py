"""Kernels and how they are initialised, and torchvision's layers; models are in the notebooks."""

import math
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import nn


def kernels(model: nn.Module) -> list[nn.Parameter]:
    """Weight matrices and convolution kernels of `model`: its parameters with two or more axes.

    Biases and BatchNorm's scales and shifts have one axis and are left out, as Keras'
    ``kernel_regularizer`` leaves them out.
    """
    return [p for p in model.parameters() if p.ndim >= 2]


def count_parameters(model: nn.Module) -> int:
    """Number of trainable scalars in `model`."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def fans(weight: torch.Tensor) -> tuple[int, int]:
    """Fan-in and fan-out of a kernel of shape (out, in, *window): inputs and outputs of a unit.

    Matrices that torch stacks, an LSTM's gates or an attention's query, key and value, count as one
    with that many outputs, as Keras counts gates; an embedding's rows count as outputs.
    """
    if weight.ndim < 2:
        raise ValueError(f"weight must have 2 or more axes, got shape {tuple(weight.shape)}")
    window = math.prod(weight.shape[2:])
    return weight.shape[1] * window, weight.shape[0] * window


def initial_variance(weight: torch.Tensor, scheme: str) -> float:
    """Variance of one entry of `weight` (out, in, *window) under an initialisation scheme.

    "kaiming": 2 / fan_in (He et al. 2015, "Delving deep into rectifiers", eq. 10).
    "glorot": 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 12).
    "torch": 1 / (3 fan_in), what ``nn.Linear`` and ``nn.Conv*d`` do when left alone.
    "fixed": 0.05 squared, whatever the size of the layer.
    """
    fan_in, fan_out = fans(weight)
    variances = {
        "kaiming": 2 / fan_in,
        "glorot": 2 / (fan_in + fan_out),
        "torch": 1 / (3 * fan_in),
        "fixed": 0.05**2,
    }
    if scheme not in variances:
        raise ValueError(f"unknown scheme {scheme!r}; expected one of {', '.join(variances)}")
    return variances[scheme]


@torch.no_grad()
def initialise(model: nn.Module, scheme: str) -> nn.Module:
    """Draw every kernel of `model` from N(0, variance) and set linear and conv biases to 0.

    In place, frozen kernels too; the model is returned. For `scheme` see `initial_variance`; of a
    transposed convolution the window counts as in any other, whatever the stride.
    """
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]
    turned = {layer.weight: layer.groups for layer in layers if getattr(layer, "transposed", False)}
    for weight in kernels(model):
        shaped = _as_convolution(weight, turned[weight]) if weight in turned else weight
        weight.normal_(0.0, initial_variance(shaped, scheme) ** 0.5)
    for layer in layers:
        if layer.bias is not None:
            layer.bias.zero_()
    return model


def _as_convolution(weight: torch.Tensor, groups: int) -> torch.Tensor:
    """A transposed convolution's kernel, (in, out / groups, *window), as a plain one's."""
    return weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)


def composed(first: nn.Conv2d, second: nn.Conv2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Two convolutions with nothing between them as one: its filters (out, pixels) and bias (out,).

    Weight a of the first kernel and weight b of the second do together what a * b does at the sum
    of their offsets. So `second(first(image))` is ``patches @ filters.T + bias`` for the image's
    patches (places, pixels), windows of the sum of both kernel sizes less one; gradients flow to
    both kernels. Of one input channel and square kernels of one size, stride 1, without padding.
    """
    (size, other) = first.kernel_size
    plain = all(
        layer.stride == (1, 1) and layer.dilation == (1, 1) and layer.padding == (0, 0)
        for layer in (first, second)
    )
    if first.in_channels != 1 or size != other or second.kernel_size != (size, size) or not plain:
        raise ValueError(
            f"first and second must be plain convolutions of one input channel and square kernels "
            f"of one size, got {first} and {second}"
        )
    products = second.weight.flatten(2).mT @ first.weight.flatten(1)  # (out, pixels, pixels)
    filters = F.fold(products, 2 * size - 1, size).flatten(1)
    return filters, second.bias + second.weight.sum((2, 3)) @ first.bias


def torchvision() -> ModuleType:
    """torchvision, imported when somebody asks for it, because that is slow; see `_vision`."""
    from course_utils._vision import torchvision

    return torchvision
