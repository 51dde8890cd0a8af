"""What two notebooks need of a model: kernels, initialisations, torchvision's layers.

A notebook's own model stays there.
"""

import math
from collections.abc import Iterator
from types import ModuleType

import torch
from torch import nn

from course_utils import _arguments


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
    """Fan-in and fan-out of a kernel of shape (out, in, *window): inputs and outputs of a unit.

    Matrices that torch stacks, an LSTM's gates or an attention's query, key and value, count as one
    with that many outputs, as Keras counts gates; an embedding's rows count as outputs.
    """
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
    if not weight.numel():
        raise ValueError(f"weight must hold numbers, got shape {tuple(weight.shape)}")
    variances = {
        "kaiming": 2 / fan_in,
        "glorot": 2 / (fan_in + fan_out),
        "torch": 1 / (3 * fan_in),
        "fixed": _arguments.number("fixed_std", fixed_std, 0) ** 2,
    }
    if scheme not in variances:
        raise ValueError(f"unknown scheme {scheme!r}; expected one of {', '.join(variances)}")
    return variances[scheme]


@torch.no_grad()
def initialise(
    model: nn.Module, scheme: str, seed: int | None = None, fixed_std: float = 0.05
) -> nn.Module:
    """Draw every kernel of `model` from N(0, variance) and set linear and conv biases to 0.

    Frozen kernels are drawn, too.

    Parameters
    ----------
    scheme
        See `initial_variance`; of a transposed convolution the window counts as in any other,
        whatever the stride.
    seed
        Of an own generator; without it the global one is used.

    Returns
    -------
    The model itself, changed in place.
    """
    weights = kernels(model)
    generator = None if seed is None else torch.Generator().manual_seed(_arguments.seed(seed))
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]
    turned = {layer.weight: layer.groups for layer in layers if getattr(layer, "transposed", False)}
    for weight in weights:
        shaped = _as_convolution(weight, turned[weight]) if weight in turned else weight
        weight.normal_(0.0, initial_variance(shaped, scheme, fixed_std) ** 0.5, generator=generator)
    for layer in layers:
        if layer.bias is not None:
            layer.bias.zero_()
    return model


def _as_convolution(weight: torch.Tensor, groups: int) -> torch.Tensor:
    """A transposed convolution's kernel, (in, out / groups, *window), as a plain one's."""
    return weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)


def torchvision() -> ModuleType:
    """torchvision, whose models and layers the notebooks use; also a build not made for this torch.

    It is slow to import, and so imported only when somebody asks for it.
    """
    from course_utils._vision import torchvision

    return torchvision
