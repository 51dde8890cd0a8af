"""What two notebooks need of a model: kernels, initialisations, torchvision's layers.

A notebook's own model stays there.
"""

import math
from collections.abc import Iterator
from types import ModuleType

import torch
from torch import nn

from course_utils import _arguments

MOST_STD = 1e6  # of a kernel's entries: far from an overflow, and from anything that trains


def kernels(model: nn.Module) -> list[nn.Parameter]:
    """Weight matrices and convolution kernels of `model`: its parameters with two or more axes.

    Biases and BatchNorm's scales and shifts have one axis and are left out, as Keras'
    ``kernel_regularizer`` leaves them out.
    """
    return [p for p in _parameters(model) if p.ndim >= 2]


def count_parameters(model: nn.Module) -> int:
    """Number of trainable scalars in `model`."""
    return sum(p.numel() for p in _parameters(model) if p.requires_grad)


def _parameters(model: nn.Module) -> Iterator[nn.Parameter]:
    """Of `model`; checked by trying, because a penalty asks for them at each step."""
    try:
        return model.parameters()
    except AttributeError:
        raise TypeError(f"model must be a torch.nn.Module, got {model!r:.80}") from None


def fans(weight: torch.Tensor) -> tuple[int, int]:
    """Fan-in and fan-out of a kernel of shape (out, in, *window): inputs and outputs of a unit."""
    _arguments.tensor("weight", weight, 2)
    window = math.prod(weight.shape[2:])
    return weight.shape[1] * window, weight.shape[0] * window


def initial_variance(weight: torch.Tensor, scheme: str, fixed_std: float = 0.05) -> float:
    """Variance of one entry of `weight` (out, in, *window) under an initialisation scheme.

    "kaiming": 2 / fan_in (He et al. 2015, "Delving deep into rectifiers", eq. 10).
    "glorot": 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 12).
    "torch": 1 / (3 fan_in), what ``nn.Linear`` and ``nn.Conv*d`` do when left alone.
    "fixed": `fixed_std` squared, whatever the size of the layer.
    """
    fan_in, fan_out = fans(weight)
    if not fan_in * fan_out:
        raise ValueError(f"weight must hold numbers, got shape {tuple(weight.shape)}")
    fixed_std = _arguments.number("fixed_std", fixed_std, 0, MOST_STD)
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
    """
    weights = kernels(model)
    generator = None if seed is None else torch.Generator().manual_seed(_arguments.seed(seed))
    for name, weight in model.named_parameters():
        if weight.numel() == 0:
            raise ValueError(
                f"{name} has shape {tuple(weight.shape)}: every width must be 1 or larger, got 0"
            )
    for weight in weights:
        std = initial_variance(weight, scheme, fixed_std) ** 0.5
        weight.normal_(0.0, std, generator=generator)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd) and module.bias is not None:
            module.bias.zero_()
    return model


def torchvision() -> ModuleType:
    """torchvision, whose models and layers the notebooks use; also a build not made for this torch.

    It is slow to import, and so imported only when somebody asks for it.
    """
    from course_utils._vision import torchvision

    return torchvision
