"""A wide network that helps a narrow one out: what the narrow one cannot learn, it does."""

import torch
from torch import nn

from ._batches import examples, tensors
from ._learners import plain_adam

WIDE, WORDS = 128, 16  # units of a network that helps out, and of each name among its inputs
MOST, NAMED = 4096, 10_000  # numbers of an example that it takes, and different names


class Beside(nn.Module):
    """A plain network of two wide layers on whatever the model is given, added to its answers."""

    def __init__(self, inputs: list[torch.Tensor], answers: torch.Tensor):
        super().__init__()
        self.shape = answers.shape[1:]
        self.names = nn.ModuleDict()
        width = 0
        for place, leaf in enumerate(inputs):
            numbers = leaf[0].numel()
            if not leaf.is_floating_point():
                self.names[str(place)] = nn.Embedding(int(leaf.max()) + 1, WORDS)
                numbers *= WORDS
            width += numbers
        self.layers = nn.Sequential(
            *(nn.Linear(width, WIDE), nn.ReLU(), nn.Linear(WIDE, WIDE), nn.ReLU()),
            nn.Linear(WIDE, self.shape.numel()),
        )

    def forward(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        parts = [
            self.names[str(place)](leaf) if str(place) in self.names else leaf.float()
            for place, leaf in enumerate(inputs)
        ]
        parts = [part.reshape(len(part), -1) for part in parts]
        return self.layers(torch.cat(parts, 1)).reshape(-1, *self.shape)


def beside(exam):
    """A wide network that helps the model out; None where inputs or answers do not fit one."""
    if exam.task.leaf is None or exam.answers_itself:
        return None  # what is learnt of the inputs alone may have to pass through few units
    inputs, output = exam.seen.inputs, exam.seen.output
    batches = [tensors(batch) for batch in exam.run.batches]
    count = examples(exam.run.batches[0])
    if not isinstance(output, torch.Tensor) or output.shape[:1] != (count,):
        return None
    if output[0].numel() > MOST or any(leaf.shape[:1] != (count,) for leaf in inputs):
        return None
    whole = []
    for place, leaf in enumerate(inputs):
        at = exam.input_leaves[place] if len(inputs) == len(exam.input_leaves) else None
        parts = [batch[at] for batch in batches] if at is not None else []
        if not parts or leaf[0].numel() > MOST or any(p.shape[1:] != leaf.shape[1:] for p in parts):
            return None
        whole.append(torch.cat(parts))
        if (
            not leaf.is_floating_point()
            and not 0 <= int(whole[-1].min()) <= int(whole[-1].max()) < NAMED
        ):
            return None

    def change(twin):
        helper = Beside(whole, output)

        def after(module, args, kwargs, given):
            return given + helper(tensors([list(args), dict(kwargs)]))

        twin.model.register_forward_hook(after, with_kwargs=True)
        wanted = [p for p in twin.model.parameters() if p.requires_grad]
        return plain_adam(twin, 3e-3, [*wanted, *helper.parameters()])

    return change
