"""What can be measured on any model: norms, what its layers do, Adam's steps, curvature, FLOPs.

Measuring changes nothing: models are copied, random states are put back, optimisers are only read.
Statistics of half precision are taken in single, because squares in half are soon 0 or infinite.
"""

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parameters_to_vector
from torch.utils.flop_counter import FlopCounterMode

from course_utils import _arguments
from course_utils.models import kernels
from course_utils.training import Loss

CONVOLUTION = nn.modules.conv._ConvNd
RECURRENT = nn.RNNBase | nn.RNNCellBase
OTHERS = nn.Linear | nn.Bilinear | nn.MultiheadAttention | nn.Embedding | nn.EmbeddingBag


def _single(values: Tensor) -> Tensor:
    """`values` in single precision or, if they come in it, in double."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def weight_norm(model: nn.Module, norm: str = "l2") -> Tensor:
    """Size of all kernels of `model` together, a scalar that gradients flow through.

    "l2" is the sum of squares (as Keras' ``regularizers.L2``, without the factor 1/2 of many
    textbooks), "l1" the sum of absolute values, "max" the largest absolute value.
    """
    weights = [_single(w.abs() if w.is_complex() else w) for w in kernels(model)]
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
    *,
    batch_axis: int = 0,
) -> pd.DataFrame:
    """Spread and gradient at the output of each layer of torch's in `model` that has a kernel.

    They are taken in the mode, train or eval, that the model is in.

    Parameters
    ----------
    loss
        ``loss(model(inputs), targets)``, a scalar: the mean over all examples.
    batch_axis
        The axis of `inputs` along which the examples lie: 1 where time comes first.

    Returns
    -------
    A row for each use of a layer, by its name; "name (2)" if it is used again. Where only the last
    state of a recurrent layer is used, both columns are of that state.

    "spread"
        Between-sample spread: the standard deviation over the examples of each number that the
        layer puts out, root mean square over those numbers. Unlike their overall size, which
        biases keep up, it says whether the examples can still be told apart. NaN where the
        examples have no axis of their own, as in (examples · times, features).
    "gradient"
        Root mean square of the derivative of an example's loss with respect to those numbers. NaN
        where the loss does not depend on them, or their graph is cut.

    Under ReLU, and without normalisation, both change by √(fan · variance / 2) from layer to layer,
    fan being fan-in for the spread and fan-out for the gradient (He et al. 2015, "Delving deep into
    rectifiers", sec. 2.2): for equally wide layers by 0.41, 0.71, 1 under the schemes "torch",
    "glorot", "kaiming" of `course_utils.models.initial_variance`.
    """
    count = inputs.shape[batch_axis]
    if count < 2:
        raise ValueError(f"inputs must hold 2 or more examples to be told apart, got {count}")
    if isinstance(targets, Tensor) and targets.ndim and count not in targets.shape:
        raise ValueError(
            f"inputs hold {count} examples along axis {batch_axis}, but targets have the shape "
            f"{tuple(targets.shape)}; where time comes first, pass batch_axis=1"
        )
    model, uses = copy.deepcopy(model), {}
    for name, module in model.named_modules():
        if isinstance(module, CONVOLUTION | RECURRENT | OTHERS):
            module.register_forward_hook(_keep_outputs(uses, name))
    with torch.enable_grad(), torch.random.fork_rng():
        # Times the count at once: the derivatives of a mean may be 0 in half precision.
        value = count * _value(loss, model(inputs.clone()), targets)
    if not uses:
        raise ValueError("model uses no layer of torch.nn that has a kernel")
    if value.requires_grad:
        value.backward(inputs=[output for _, outputs in uses.values() for output in outputs])
    rows = {name: _row(name, *use, count) for name, use in uses.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def _keep_outputs(uses: dict[str, tuple], name: str) -> Callable[..., Any]:
    """A forward hook that keeps a layer's outputs, and hands on copies for in-place functions."""

    def copied(output: Any, outputs: list[Tensor]) -> Any:
        if isinstance(output, nn.utils.rnn.PackedSequence):
            return output._replace(data=copied(output.data, outputs))
        if type(output) is tuple:
            return tuple(copied(part, outputs) for part in output)
        if not isinstance(output, Tensor):
            return output
        outputs.append(output.requires_grad_())  # also behind frozen layers
        output.retain_grad()
        return output.clone()

    def hook(module: nn.Module, _inputs: tuple, output: Any) -> Any:
        outputs, again = [], sum(used is module for used, _ in uses.values())
        handed_on = copied(output, outputs)
        if outputs:
            uses[f"{name} ({again + 1})" if again else name] = module, outputs
        return handed_on

    return hook


def _row(name: str, module: nn.Module, outputs: list[Tensor], count: int) -> dict[str, float]:
    """Spread and gradient of the first of a layer's outputs that the loss depends on."""
    output = next((one for one in outputs if one.grad is not None), outputs[0])
    # A convolution's examples come first, any other layer's features last.
    places = range(1 if isinstance(module, CONVOLUTION) else output.ndim - 1)
    axes = [place for place in places if output.shape[place] == count]
    if len(axes) > 1:
        raise ValueError(
            f"which axis of {name}'s output, {tuple(output.shape)}, is that of the {count} "
            f"examples cannot be told: give another number of examples"
        )
    spread = size = math.nan
    if axes:
        spread = _single(output.detach()).var(axes[0], correction=0).mean().sqrt()
    if output.grad is not None:
        size = _single(output.grad).abs().square().mean().sqrt()
    return {"spread": float(spread), "gradient": float(size)}


def _value(loss: Callable[..., Tensor], outputs: Tensor, targets: Tensor) -> Tensor:
    """The loss, a scalar. Cross-entropy over a single score is 0, whatever the score."""
    got = _shape(outputs)
    if loss is F.cross_entropy and (type(got) is str or len(got) < 2 or got[1] == 1):
        raise ValueError(
            f"cross-entropy needs a tensor with a score for each class, but model returns {got}: "
            "pass a loss such as lambda outputs, targets: "
            "F.binary_cross_entropy_with_logits(outputs.flatten(), targets.flatten().float()), or "
            "F.cross_entropy(outputs.logits, targets)"
        )
    value = loss(outputs, targets)
    if _shape(value) != ():
        raise ValueError(f"loss must return a scalar tensor, got {_shape(value)}")
    return value


def _shape(value: Any) -> tuple[int, ...] | str:
    """Of a tensor; of anything else its type, by name."""
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__


def linear_probe(features: Tensor, targets: Tensor) -> float:
    """Share of the examples that a linear classifier on `features` gets right, by least squares.

    It tells how much of the classes can still be read off at some place of a network (Alain &
    Bengio 2016, "Understanding intermediate layers using linear classifier probes").

    Parameters
    ----------
    features
        (examples, ...), flattened. There must be more examples than numbers of one of them, as
        otherwise any classes can be separated; with a few times more, noise still looks good.
    targets
        (examples,), int64: the classes. The share is of these very examples.
    """
    _arguments.examples("features", features, "targets", targets)
    if targets.dtype != torch.int64 or targets.ndim != 1:
        raise ValueError(
            f"targets must be classes, int64 of shape (examples,), got {targets.dtype}, "
            f"{tuple(targets.shape)}"
        )
    flat = features.detach().flatten(1).double()
    flat = torch.cat([flat, torch.ones_like(flat[:, :1])], 1)
    if len(flat) <= flat.shape[1]:
        raise ValueError(
            f"features are {flat.shape[1] - 1} for each of {len(flat)} examples, with which even "
            f"noise would be read: give more than {flat.shape[1]} examples"
        )
    # The pseudo-inverse: dead units make the matrix singular.
    weights = torch.linalg.pinv(flat, rtol=1e-10) @ F.one_hot(targets).double()
    return ((flat @ weights).argmax(1) == targets).double().mean().item()


def class_numbers(targets: Tensor, logits: Tensor) -> Tensor:
    """Targets in any common form as int64 (examples,); -100, as in PyTorch, is no class and stays.

    `targets` are class numbers, of any type, (examples,) or (examples, 1), or one-hot; `logits` are
    (examples, classes).
    """
    given, (count, classes) = targets.double(), logits.shape
    targets = given.flatten()
    if given.numel() == logits.numel():
        one_hot = given.reshape(logits.shape)
        valid = (one_hot.sum(1) == 1) & (one_hot.amax(1) == 1)
        targets = torch.where(valid, one_hot.argmax(1).double(), math.nan)
    valid = (targets == -100) | torch.isin(targets, torch.arange(classes).to(targets))
    if len(targets) != count or not valid.all():
        raise ValueError(
            f"targets must be a class from 0 to {classes - 1} for each of {count} examples, as a "
            f"number or one-hot (-100: none), got {tuple(given.shape)}, {given.min():g} to "
            f"{given.max():g}"
        )
    return targets.long()


def right_probabilities(outputs: Any, targets: Tensor) -> dict[str, Tensor]:
    """Each example's probability of its class, by each way in which a loss may read `outputs`.

    Outputs between 0 and 1 are taken for probabilities; a single one, for that of class 1; of an
    object with ``logits``, these. Several logits may go through a softmax or through sigmoids,
    which cannot be seen: the result then holds both. For `targets` see `class_numbers`.

    Returns
    -------
    "softmax" and "sigmoids", "sigmoid", or "as probabilities": double precision (examples, 1), of
    the examples that have a class.
    """
    given = getattr(outputs, "logits", outputs).detach()
    given = given.double().reshape(len(given), -1)
    single, ready = given.shape[1] == 1, bool(((given >= 0) & (given <= 1)).all())
    if single:  # of class 1
        given = torch.cat([1 - given if ready else torch.zeros_like(given), given], 1)
    targets = class_numbers(targets, given)
    given, right = given[targets >= 0], targets[targets >= 0, None]
    if ready:
        readings = {"as probabilities": given}
    elif single:
        readings = {"sigmoid": given.softmax(1)}
    else:
        readings = {"softmax": given.softmax(1), "sigmoids": given.sigmoid()}
    return {way: p.gather(1, right) for way, p in readings.items()}


def adam_statistics(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """What Adam (or AdamW) did to the parameters in its last step, over all that it has moved.

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
    roots, means, updates = [], [], []
    for _, group, state in _moved(optimizer):
        root = _root_v(state, group)
        m = _single(state["exp_avg"])
        m = m / (1 - float(group["betas"][0]) ** float(state["step"]))
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


def path_length(optimizer: torch.optim.Optimizer) -> Callable[[], float]:
    """How far an optimiser walks: the returned function gives the summed size of its steps so far.

    The size of a step is the root mean square of what it adds to the parameters, over all of them:
    in units of a weight, so that optimisers compare. It counts from the call on, and costs two
    copies of the parameters a step.
    """
    _arguments.instance("optimizer", optimizer, torch.optim.Optimizer, "a torch.optim.Optimizer")
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    walked, before = torch.zeros((), dtype=torch.float64), []

    def remember(*_: Any) -> None:
        before[:] = [parameters_to_vector(held).detach()]

    def add(*_: Any) -> None:
        moved = parameters_to_vector(held).detach() - before[0]
        walked.add_(moved.square().mean().sqrt().to(walked))

    optimizer.register_step_pre_hook(remember)
    optimizer.register_step_post_hook(add)
    return walked.item


def _moved(optimizer: torch.optim.Optimizer) -> Iterator[tuple[nn.Parameter, dict, dict]]:
    """Adam's parameters that have taken a step, with their group and state."""
    if not isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW):
        kind = type(optimizer).__name__
        raise TypeError(f"optimizer must be torch's Adam or AdamW, whose v is read; got {kind}")
    for group in optimizer.param_groups:
        for p in group["params"]:
            if state := optimizer.state.get(p):  # state[p] would make one
                yield p, group, state


def _root_v(state: dict[str, Tensor], group: dict) -> Tensor:
    """√v of one parameter, without its bias."""
    v = _single(state.get("max_exp_avg_sq", state["exp_avg_sq"]))
    return (v / (1 - float(group["betas"][1]) ** float(state["step"]))).sqrt()


def preconditioned_sharpness(
    loss: Tensor, optimizer: torch.optim.Optimizer, iterations: int = 10
) -> float:
    """Largest eigenvalue, by size, of the Hessian of `loss` as Adam sees it, by power iteration.

    That is of P^-1 H with P = diag(√v + ε), over the parameters that have taken a step and are not
    frozen. Full-batch Adam becomes unstable where it exceeds (2 + 2 β1) / ((1 - β1) lr), 38 / lr at
    β1 = 0.9 (Cohen et al. 2022, "Adaptive gradient methods at the edge of stability"). NaN before
    the optimiser's first step.

    Parameters
    ----------
    loss
        A scalar that depends on the optimiser's parameters, with its graph.
    iterations
        Of the power method, from a fixed start: more come closer, from below.
    """
    iterations = _arguments.whole_number("iterations", iterations, 1)
    moved = [part for part in _moved(optimizer) if part[0].requires_grad]
    if not moved:
        return math.nan
    given = [parameter for parameter, *_ in moved]
    gradients = torch.autograd.grad(loss, given, create_graph=True, allow_unused=True)
    # P^-1/2 H P^-1/2 is symmetric and has the same eigenvalues; a constant gradient adds none.
    parts = [
        (p, g, (_root_v(state, group) + group["eps"]).rsqrt())
        for (p, group, state), g in zip(moved, gradients, strict=True)
        if g is not None and g.requires_grad
    ]
    return _largest_eigenvalue(*zip(*parts, strict=True), iterations) if parts else 0.0


def _largest_eigenvalue(
    parameters: list[Tensor], gradients: list[Tensor], scales: list[Tensor], iterations: int
) -> float:
    generator = torch.Generator().manual_seed(0)
    vector = [torch.randn(s.shape, generator=generator).to(s) for s in scales]
    for _ in range(iterations):
        norm = torch.cat([v.flatten() for v in vector]).norm()
        if norm == 0:
            break
        vector = [(s * v / norm).to(g) for s, v, g in zip(scales, vector, gradients, strict=True)]
        try:
            product = torch.autograd.grad(
                gradients, parameters, vector, retain_graph=True, materialize_grads=True
            )
        except RuntimeError as error:
            error.add_note(
                "If a fast kernel has no second derivative, compute the loss of attention within "
                "torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), of recurrent "
                "layers within torch.backends.cudnn.flags(enabled=False)."
            )
            raise
        vector = [s * h for s, h in zip(scales, product, strict=True)]
    return torch.cat([v.flatten() for v in vector]).norm().item()


def sample_gradients(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> Tensor:
    """Each example's own gradient, (examples, trainable parameters): large for a large network.

    `inputs` and `targets` are (examples, ...); ``loss(outputs, targets)`` is a scalar, of a batch
    of one. Dropout, in training mode, draws for each example anew.
    """
    _check_alone(copy.deepcopy(model), inputs[:2].clone())
    model, inputs = copy.deepcopy(model), inputs.detach().clone()
    trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    if not trained:
        raise ValueError("the model has no trainable parameter")

    def of_one(parameters: dict[str, Tensor], example: Tensor, target: Tensor) -> Tensor:
        return _value(loss, functional_call(model, parameters, (example[None],)), target[None])

    with torch.random.fork_rng(), sdpa_kernel(SDPBackend.MATH):  # vmap knows no other attention
        if any(isinstance(module, RECURRENT) for module in model.modules()):  # nor these
            each = [grad(of_one)(trained, *pair) for pair in zip(inputs, targets, strict=True)]
            parts = [torch.stack(part) for part in zip(*map(dict.values, each), strict=True)]
        else:
            of_all = vmap(grad(of_one), (None, 0, 0), randomness="different")
            parts = of_all(trained, inputs, targets).values()
    return torch.cat([part.flatten(1) for part in parts], 1)


@torch.no_grad()
def _check_alone(model: nn.Module, pair: Tensor) -> None:
    """Raise an error if what `model` says of an example depends on the others in the batch."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if any(norm.training or norm.running_mean is None for norm in norms):
        raise ValueError("BatchNorm mixes the examples: call model.eval(), keep running statistics")

    def alike(one: Tensor, other: Tensor) -> bool:
        return one.shape == other.shape and bool((one - other).norm() <= 0.01 * other.norm())

    with torch.random.fork_rng():
        together, again = model(pair), model(pair)
        if not isinstance(together, Tensor) or not alike(again, together):
            return  # what is random cannot be compared
        alone = torch.cat([model(one[None]).flatten() for one in pair])
    if not alike(alone, together.flatten()):
        raise ValueError("model mixes the examples, or they do not lie along its first axis")


def cosines(gradients: Tensor) -> Tensor:
    """Cosine between each two of `gradients`, (examples, parameters) to (examples, examples).

    NaN where one of the two is zero, as all are once a loss of float32 has reached its zero.
    """
    gradients = _single(gradients)
    unit = gradients / gradients.norm(dim=1, keepdim=True)
    return unit @ unit.T


def noise_scale(gradients: Tensor) -> float:
    """The batch size beyond which averaging `gradients`, (examples, parameters), pays little.

    tr Σ / |G|², with Σ the covariance of the examples' gradients and G their expectation, both
    estimated without bias (McCandlish et al. 2018, "An empirical model of large-batch training",
    eq. 2.9 and appendix A.1). One more than it is Yin et al.'s bound on the batch size, examples
    times gradient diversity (2018, "Gradient diversity"). Infinite where the examples' mean cannot
    be told from noise, NaN where all gradients are zero.
    """
    gradients, count = _single(gradients), len(gradients)
    if count < 2:
        raise ValueError(f"gradients must be of 2 or more examples, got {tuple(gradients.shape)}")
    size = gradients.square().sum(1).mean().item()
    of_mean = gradients.mean(0).square().sum().item()
    if size == 0:
        return math.nan
    variance = (size - of_mean) * count / (count - 1)
    signal = (count * of_mean - size) / (count - 1)
    return variance / signal if signal > 0 else math.inf


def steps_to(losses: xr.DataArray, target: float, window: int = 10) -> xr.DataArray:
    """Steps until the loss is at `target`: `losses` without `step`, infinite if it never is.

    That is the middle of the first `window` steps whose mean is at most `target`: single
    minibatches are too noisy, and a mean up to now lags behind.
    """
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
    counted: there torch's counter takes grouped convolutions for full ones.
    """
    # With gradients: without them torch takes a path for attention that its counter does not see.
    model = copy.deepcopy(model).requires_grad_()
    with torch.random.fork_rng(), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as counter:
            missed = _count_missed(model, counter)
            loss(model, inputs.clone(), targets)
    return 3 * (counter.get_total_flops() + sum(missed))


def _count_missed(model: nn.Module, counter: FlopCounterMode) -> list[int]:
    """What the counter will not see in fused recurrent layers: filled while the model runs.

    That is two for each weight at each time of each example, less what it does see there.
    """
    missed, seen = [], []

    def before(_module: nn.Module, _inputs: tuple) -> None:
        seen.append(counter.get_total_flops())

    def after(module: nn.Module, _inputs: tuple, output: tuple) -> None:
        times = output[0].data.shape[:-1].numel()  # also of a PackedSequence
        counted = counter.get_total_flops() - seen.pop()
        missed.append(2 * times * sum(w.numel() for w in kernels(module)) - counted)

    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module.register_forward_pre_hook(before)
            module.register_forward_hook(after)
    return missed
