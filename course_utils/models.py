"""What two notebooks need of a model: the initialisations. A notebook's own model stays there."""

import math

import torch
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
    """Fan-in and fan-out of a kernel of shape (out, in, *window): inputs and outputs of a unit."""
    window = math.prod(weight.shape[2:])
    return weight.shape[1] * window, weight.shape[0] * window


def initial_variance(weight: torch.Tensor, scheme: str, fixed_std: float = 0.05) -> float:
    """Variance of one entry of `weight` (out, in, *window) under an initialisation scheme.

    "kaiming": 2 / fan_in (He et al. 2015, "Delving deep into rectifiers", eq. 10).
    "glorot": 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 12).
    "torch": 1 / (3 fan_in), what ``nn.Linear`` and ``nn.Conv*d`` do when left alone.
    "fixed": `fixed_std` squared, whatever the size of the layer.

    Raises
    ------
    ValueError
        If `scheme` is none of these.
    """
    fan_in, fan_out = fans(weight)
    variances = {
        "kaiming": 2 / fan_in,
        "glorot": 2 / (fan_in + fan_out),
        "torch": 1 / (3 * fan_in),
        "fixed": fixed_std**2,
    }
    if scheme not in variances:
        raise ValueError(f"unknown scheme {scheme!r}; expected one of {', '.join(variances)}")
    return variances[scheme]


@torch.no_grad()
def initialise(
    model: nn.Module, scheme: str, seed: int | None = None, fixed_std: float = 0.05
) -> nn.Module:
    """Draw every kernel of `model` from N(0, variance) and set linear and conv biases to 0.

    Parameters
    ----------
    scheme
        See `initial_variance`.
    seed
        Of an own generator; without it the global one is used.

    Returns
    -------
    The model itself, changed in place.

    Raises
    ------
    ValueError
        If `scheme` is unknown, or a layer of `model` has no units.
    """
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.numel() == 0:
            raise ValueError(
                f"{name} has shape {tuple(weight.shape)}: every width must be 1 or larger, got 0"
            )
    for weight in kernels(model):
        std = initial_variance(weight, scheme, fixed_std) ** 0.5
        weight.normal_(0.0, std, generator=generator)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd) and module.bias is not None:
            module.bias.zero_()
    return model
