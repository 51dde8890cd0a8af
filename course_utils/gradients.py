"""What the single examples of a batch want: their gradients, whether they agree, their noise."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from course_utils import checks
from course_utils.checks import function, instance, tensor


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

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its type; if inputs and targets are not equally many, or there are
        none; if nothing of `model` is trainable, or BatchNorm is in training mode: then a gradient
        is no single example's.
    """
    instance("model", model, nn.Module, "a torch.nn.Module")
    function("loss", loss)
    checks.examples("inputs", inputs, "targets", targets)
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

    Raises
    ------
    TypeError, ValueError
        If `gradients` is not a tensor, or not of that shape.
    """
    _check(gradients, 1)
    unit = gradients / gradients.norm(dim=1, keepdim=True)
    return unit @ unit.T


def noise_scale(gradients: Tensor) -> float:
    """The batch size beyond which averaging `gradients`, (examples, parameters), pays little.

    tr Σ / |G|², with Σ the covariance of the examples' gradients and G their expectation, both
    estimated without bias (McCandlish et al. 2018, "An empirical model of large-batch training",
    eq. 2.9 and appendix A.1). One more than it is Yin et al.'s bound on the batch size, examples
    times gradient diversity (2018, "Gradient diversity"). Infinite where the
    examples' mean cannot be told from noise, NaN where all gradients are zero.

    Raises
    ------
    TypeError, ValueError
        If `gradients` is not a tensor, or not of that shape, or holds fewer than 2 examples.
    """
    _check(gradients, 2)
    count = len(gradients)
    size = gradients.square().sum(1).mean().item()
    of_mean = gradients.mean(0).square().sum().item()
    variance = (size - of_mean) * count / (count - 1)
    signal = (count * of_mean - size) / (count - 1)
    if size == 0:
        return math.nan
    return variance / signal if signal > 0 else math.inf


def _check(gradients: Tensor, least: int) -> None:
    tensor("gradients", gradients, 0)
    if gradients.ndim != 2 or len(gradients) < least:
        raise ValueError(
            f"gradients must have shape (examples, parameters) with {least} or more examples, "
            f"got {tuple(gradients.shape)}"
        )
