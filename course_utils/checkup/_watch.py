"""What happens in one pass: the functions that are called, by the model and by its loss."""

from dataclasses import dataclass, field

import torch
from torch.overrides import TorchFunctionMode

from ._batches import tensors

LOSSES = {
    *("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"),
    *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "poisson_nll_loss"),
    *("gaussian_nll_loss", "ctc_loss", "hinge_embedding_loss", "margin_ranking_loss"),
    *("triplet_margin_loss", "cosine_embedding_loss", "multi_margin_loss", "soft_margin_loss"),
}
PASSED_ON = {  # functions that hand the same numbers on
    *("reshape", "view", "flatten", "squeeze", "unsqueeze", "float", "double", "to", "contiguous"),
    *("permute", "transpose", "__getitem__", "view_as", "clone", "swapaxes", "movedim", "half"),
    *("type", "bfloat16", "expand", "expand_as", "unflatten", "narrow", "select", "t", "long"),
    *("cpu", "cuda", "detach"),
}


@dataclass
class Call:
    """One torch function as it was called: its name, arguments, result, and by whom."""

    name: str
    args: tuple
    kwargs: dict
    result: object
    in_model: bool

    def argument(self, position: int, name: str, default=None):
        """An argument, whether it was given by position or by name."""
        if len(self.args) > position:
            return self.args[position]
        return self.kwargs.get(name, default)


@dataclass
class Pass:
    """One recorded pass."""

    calls: list[Call] = field(default_factory=list)
    inputs: list[torch.Tensor] = field(default_factory=list)  # tensors that the model was given
    outputs: list[torch.Tensor] = field(default_factory=list)  # floating tensors that it returned
    output: object = None  # what it returned, as it was
    forwards: int = 0  # how often the loss called the model
    loss: torch.Tensor | None = None

    def maker(self, tensor: torch.Tensor) -> Call | None:
        """The call that computed these numbers, past reshapes and changes of type."""
        for call in reversed(self.calls):
            if call.result is tensor:
                if call.name in PASSED_ON and isinstance(call.args[0], torch.Tensor):
                    return self.maker(call.args[0]) if call.args[0] is not tensor else None
                return call
        return None

    def losses(self) -> list[Call]:
        """The calls of torch's own loss functions."""
        return [call for call in self.calls if call.name in LOSSES]


class Watch(TorchFunctionMode):
    """Records calls of torch functions, and what the root module takes and returns."""

    def __init__(self, model):
        super().__init__()
        self.seen, self.depth = Pass(), 0
        self.hooks = [
            model.register_forward_pre_hook(self.enter, with_kwargs=True),
            model.register_forward_hook(self.leave),
        ]

    def enter(self, module, args, kwargs):
        self.depth += 1
        if self.depth == 1:
            self.seen.inputs += tensors([list(args), dict(kwargs)])

    def leave(self, module, args, output):
        self.depth -= 1
        if self.depth == 0:
            self.seen.forwards += 1
            if self.seen.forwards == 1:
                self.seen.output = output
            found = [leaf for leaf in tensors([output]) if leaf.is_floating_point()]
            self.seen.outputs += found

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "")
        if name != "__get__":
            self.seen.calls.append(Call(name, args, kwargs or {}, result, self.depth > 0))
        return result


def watched(twin, batch) -> Pass:
    """The run's loss of one batch with everything that was called on the way."""
    watch = Watch(twin.model)
    try:
        with watch:
            watch.seen.loss = twin.loss(batch)
    finally:
        for hook in watch.hooks:
            hook.remove()
    return watch.seen
