"""What can be measured on any model: norms, what its layers do, Adam's steps, curvature."""

import copy
import math
from collections.abc import Callable

import pandas as pd
import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils.flop_counter import FlopCounterMode

from course_utils import _arguments
from course_utils.models import kernels
from course_utils.training import Loss

MOST_CLASSES = 10_000  # of a linear probe: it has a column for each


def weight_norm(model: nn.Module, norm: str = "l2") -> Tensor:
    """Size of all kernels of `model` together, a scalar that gradients flow through.

    "l2" is the sum of squares (as Keras' ``regularizers.L2``, without the factor 1/2 of many
    textbooks), "l1" the sum of absolute values, "max" the largest absolute value.
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
    """`strength` times `weight_norm`: what a regulariser adds to the reported loss."""
    return _arguments.number("strength", strength, 0) * weight_norm(model, norm)


def by_layer(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> pd.DataFrame:
    """Spread and gradient at the output of each linear and convolutional layer of `model`.

    Works on a copy: neither weights, gradients nor BatchNorm's averages of `model` change. It is
    taken in the mode, train or eval, that it is in.

    Parameters
    ----------
    loss
        ``loss(model(inputs), targets)``, a scalar: the mean over the examples.

    Returns
    -------
    A row for each layer, in the order in which they are used, with its name as index:

    "spread"
        Between-sample spread: the standard deviation over the examples of each number that the
        layer puts out, root mean square over those numbers. Unlike their overall size, which
        biases keep up, it says whether the examples can still be told apart.
    "gradient"
        Root mean square of the derivative of an example's loss with respect to those numbers.

    Under ReLU, and without normalisation, both change by √(fan · variance / 2) from layer to layer,
    fan being fan-in for the spread and fan-out for the gradient (He et al. 2015, "Delving deep into
    rectifiers", sec. 2.2): 0.41, 0.71, 1 for the schemes "torch", "glorot", "kaiming" of
    `course_utils.models.initial_variance` where layers are equally wide.
    """
    _arguments.instance("model", model, nn.Module, "a torch.nn.Module")
    _arguments.tensor("inputs", inputs)
    _arguments.function("loss", loss)
    if len(inputs) < 2:
        raise ValueError(f"inputs must hold 2 or more examples to be told apart, got {len(inputs)}")
    model, outputs = copy.deepcopy(model), {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            module.register_forward_hook(_keep_output(outputs, name))
    with torch.enable_grad():
        # Of this copy, so that there is a graph even where the first layers are frozen.
        value = loss(model(inputs.detach().requires_grad_(inputs.is_floating_point())), targets)
    if not outputs:
        raise ValueError("the model uses no linear or convolutional layer")
    if value.ndim:
        raise ValueError(f"loss must be a scalar, got shape {tuple(value.shape)}")
    gradients = torch.autograd.grad(value, outputs.values(), allow_unused=True)
    rows = {
        name: {
            "spread": output.detach().var(0, correction=0).mean().sqrt().item(),
            "gradient": math.nan if g is None else len(g) * g.square().mean().sqrt().item(),
        }
        for (name, output), g in zip(outputs.items(), gradients, strict=True)
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _keep_output(outputs: dict[str, Tensor], name: str) -> Callable[..., Tensor]:
    """A forward hook that keeps a layer's output, and hands on a copy for in-place functions."""

    def hook(_module: nn.Module, _inputs: tuple, output: Tensor) -> Tensor:
        outputs[name] = output
        return output.clone()

    return hook


def linear_probe(features: Tensor, targets: Tensor) -> float:
    """Share of the examples that a linear classifier on `features` gets right, by least squares.

    How much of the classes is still to be had at some place of a network, by the simplest reader
    (Alain & Bengio 2016, "Understanding intermediate layers using linear classifier probes").

    Parameters
    ----------
    features
        (examples, ...), flattened; more numbers than examples make any classes separable.
    targets
        (examples,), int64: the classes. The share is of these very examples.
    """
    _arguments.examples("features", features, "targets", targets)
    if targets.dtype != torch.int64 or targets.ndim != 1:
        raise ValueError(
            f"targets must be int64 of shape (examples,), got {targets.dtype}, "
            f"{tuple(targets.shape)}"
        )
    if targets.min() < 0 or targets.max() >= MOST_CLASSES:
        raise ValueError(f"targets must be classes from 0 to {MOST_CLASSES - 1}")
    if not features.isfinite().all():
        raise ValueError("features must be finite, and some are not")
    flat = features.detach().flatten(1).double()
    flat = torch.cat([flat, torch.ones_like(flat[:, :1])], 1)
    # The pseudo-inverse: dead units make the matrix singular.
    weights = torch.linalg.pinv(flat, rtol=1e-10) @ F.one_hot(targets).double()
    return ((flat @ weights).argmax(1) == targets).double().mean().item()


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
    """
    if not isinstance(optimizer, torch.optim.Adam):
        raise TypeError(f"optimizer must be Adam or AdamW, got {type(optimizer).__name__}")
    _arguments.instance("loss", loss, Tensor, "a scalar tensor")
    if loss.ndim or not loss.requires_grad:
        raise ValueError(
            f"loss must be a scalar with its graph, got shape {tuple(loss.shape)}"
            + ("" if loss.requires_grad else ", without one")
        )
    iterations = _arguments.whole_number("iterations", iterations, 1)
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


def sample_gradients(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> Tensor:
    """Each example's own gradient, (examples, trainable parameters), taken in one pass.

    Nothing of `model` changes. Dropout, in training mode, draws for each example anew. The result
    holds as many numbers as examples times parameters: of a large network take few examples.

    Parameters
    ----------
    inputs, targets
        (examples, ...), equally many.
    loss
        ``loss(outputs, targets)``, a scalar, for a batch of one.
    """
    _arguments.instance("model", model, nn.Module, "a torch.nn.Module")
    _arguments.function("loss", loss)
    _arguments.examples("inputs", inputs, "targets", targets)
    norms = (m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))
    if any(module.training for module in norms):
        raise ValueError("BatchNorm in training mode mixes the examples: call model.eval() first")
    trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    if not trained:
        raise ValueError("the model has no trainable parameter")

    def of_one(parameters: dict[str, Tensor], example: Tensor, target: Tensor) -> Tensor:
        return loss(functional_call(model, parameters, (example[None],)), target[None])

    gradients = vmap(grad(of_one), (None, 0, 0), randomness="different")(trained, inputs, targets)
    return torch.cat([part.flatten(1) for part in gradients.values()], 1)


def cosines(gradients: Tensor) -> Tensor:
    """Cosine between each two of `gradients`, (examples, parameters) to (examples, examples).

    NaN where one of the two is zero, as it is once a loss of float32 has reached its zero.
    """
    _check_gradients(gradients, 1)
    unit = gradients / gradients.norm(dim=1, keepdim=True)
    return unit @ unit.T


def noise_scale(gradients: Tensor) -> float:
    """The batch size beyond which averaging `gradients`, (examples, parameters), pays little.

    tr Σ / |G|², with Σ the covariance of the examples' gradients and G their expectation, both
    estimated without bias (McCandlish et al. 2018, "An empirical model of large-batch training",
    eq. 2.9 and appendix A.1). One more than it is Yin et al.'s bound on the batch size, examples
    times gradient diversity (2018, "Gradient diversity"). Infinite where the
    examples' mean cannot be told from noise, NaN where all gradients are zero.
    """
    _check_gradients(gradients, 2)
    count = len(gradients)
    size = gradients.square().sum(1).mean().item()
    of_mean = gradients.mean(0).square().sum().item()
    variance = (size - of_mean) * count / (count - 1)
    signal = (count * of_mean - size) / (count - 1)
    if size == 0:
        return math.nan
    return variance / signal if signal > 0 else math.inf


def _check_gradients(gradients: Tensor, least: int) -> None:
    _arguments.tensor("gradients", gradients, 0)
    if gradients.ndim != 2 or len(gradients) < least:
        raise ValueError(
            f"gradients must have shape (examples, parameters) with {least} or more examples, "
            f"got {tuple(gradients.shape)}"
        )


def steps_to(losses: xr.DataArray, target: float, window: int = 10) -> xr.DataArray:
    """Steps until the loss is at `target`: `losses` without `step`, infinite if it is never.

    It is there at the middle of the first `window` steps whose mean is at most `target`: single
    minibatches are too noisy, and a mean up to now lags behind.
    """
    _arguments.instance("losses", losses, xr.DataArray, "a DataArray over step")
    target, window = (
        _arguments.number("target", target),
        _arguments.whole_number("window", window, 1),
    )
    if not losses.sizes.get("step"):
        raise ValueError(f"losses must have a dimension 'step', not empty, got {losses.sizes}")
    window = min(window, losses.sizes["step"] + 1)  # no longer one is full either
    there = losses.rolling(step=window).mean() <= target
    first = there.argmax("step") + 1 - window / 2
    return first.where(there.any("step"), math.inf).drop_vars("step", errors="ignore")


def step_flops(model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss) -> int:
    """Additions and multiplications in a step on this batch: forward and backward.

    torch's own counter counts those of the forward pass: matrix products and convolutions, not
    normalisations, activations or the optimiser. The backward pass needs twice as many, for the
    gradients of inputs and weights (Kaplan et al. 2020, "Scaling laws", sec. 2.1). It is not
    counted: there torch's counter takes grouped convolutions for full ones. Works on a copy.
    """
    _arguments.instance("model", model, nn.Module, "a torch.nn.Module")
    _arguments.tensor("inputs", inputs)
    _arguments.tensor("targets", targets)
    _arguments.function("loss", loss)
    model = copy.deepcopy(model)
    with torch.random.fork_rng(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        loss(model, inputs, targets)
    return 3 * counter.get_total_flops()
