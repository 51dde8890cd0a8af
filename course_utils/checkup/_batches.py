"""Batches of any make: pairs, triples, dicts; their tensors, and some of their examples."""

import copy
from collections import Counter
from collections.abc import Mapping

import torch

MOST = 24  # batches that are looked at; of a longer list or loader the first ones
ENOUGH = 512  # examples; of small batches more are taken until they hold as many


def gather(batches) -> tuple[list, str]:
    """The batches as a list of at most `MOST`, and one sentence if some were left out."""
    if isinstance(batches, torch.Tensor | Mapping | str) or not hasattr(batches, "__iter__"):
        raise TypeError(
            f"batches is a {type(batches).__name__}; it should be a list or a loader of whatever "
            "your loss takes: checkup(model, loss, [batch, batch, ...])"
        )
    taken, held = [], 0
    for batch in batches:
        taken.append(batch)
        held += max(examples(batch), 1)
        if len(taken) >= MOST and held >= ENOUGH:
            break
    if not taken:
        raise ValueError("batches is empty: at least one batch is needed")
    one_shot = iter(batches) is batches
    whole = hasattr(batches, "__len__") and len(batches) <= len(taken)
    if one_shot:
        return taken, f"batches is an iterator: its next {len(taken)} were taken out of it"
    return taken, "" if whole else f"only the first {len(taken)} batches were looked at"


def tensors(batch) -> list[torch.Tensor]:
    """Every tensor of a nested batch, in order."""
    if isinstance(batch, torch.Tensor):
        return [batch]
    parts = children(batch)
    return [] if parts is None else [leaf for part in parts for leaf in tensors(part)]


def children(batch) -> list | None:
    """What a container holds; None of anything else."""
    if isinstance(batch, Mapping):
        return list(batch.values())
    if isinstance(batch, list | tuple):
        return list(batch)
    if hasattr(batch, "__dict__") and not callable(batch):
        return list(vars(batch).values())
    return None


def rebuilt(batch, change):
    """The same structure with `change(leaf)` in place of each leaf."""
    if isinstance(batch, torch.Tensor) or children(batch) is None:
        return change(batch)
    if isinstance(batch, Mapping):
        other = copy.copy(batch)
        for key in batch:
            other[key] = rebuilt(batch[key], change)
        return other
    if isinstance(batch, list | tuple):
        if batch and not any(tensors(part) for part in batch):  # texts, names: one per example
            return change(batch)
        parts = [rebuilt(part, change) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    other = copy.copy(batch)
    vars(other).update({key: rebuilt(value, change) for key, value in vars(batch).items()})
    return other


def examples(batch) -> int:
    """How many examples a batch holds: the commonest first axis, the last tensor's among equals."""
    sizes = [leaf.shape[0] for leaf in tensors(batch) if leaf.dim()]
    if not sizes:
        return 0
    counts = Counter(sizes)
    return max(reversed(sizes), key=counts.__getitem__)


def axis_of(leaf: torch.Tensor, count: int) -> int | None:
    """The axis along which the examples of a tensor lie: the first, or the second (time first)."""
    return next((axis for axis in range(min(leaf.dim(), 2)) if leaf.shape[axis] == count), None)


def take(batch, rows: torch.Tensor):
    """The batch with only these examples, in this order."""
    count = examples(batch)

    def pick(leaf):
        if isinstance(leaf, torch.Tensor):
            axis = axis_of(leaf, count)
            return leaf if axis is None else leaf.index_select(axis, rows.to(leaf.device))
        if isinstance(leaf, list | tuple) and len(leaf) == count:
            return type(leaf)(leaf[row] for row in rows.tolist())
        return leaf

    return rebuilt(batch, pick)


def replaced(batch, leaf: int, tensor: torch.Tensor):
    """The batch with another tensor in the place of one of its tensors."""
    place = iter(range(len(tensors(batch))))

    def other(part):
        return tensor if isinstance(part, torch.Tensor) and next(place) == leaf else part

    return rebuilt(batch, other)


def renumbered(batch, leaf: int, numbers: torch.Tensor):
    """The batch with other numbers for its targets."""
    targets = tensors(batch)[leaf]
    return replaced(batch, leaf, numbers.to(targets.dtype)[targets.long()])


def few(batches: list, count: int = 32) -> list:
    """The first batches, cut so that they hold about `count` examples together."""
    chosen, held = [], 0
    for batch in batches:
        size = examples(batch)
        if size > count - held:
            batch = take(batch, torch.arange(count - held))
        chosen.append(batch)
        held += max(size, 1)
        if held >= count:
            break
    return chosen


def joined(batches: list):
    """Several batches as one; None where their parts do not fit together."""
    count = [examples(batch) for batch in batches]
    columns = [iter(column) for column in zip(*(tensors(batch) for batch in batches), strict=False)]
    if len({len(tensors(batch)) for batch in batches}) != 1:
        return None
    place = iter(columns)

    def join(leaf):
        if not isinstance(leaf, torch.Tensor):
            return leaf
        parts = list(next(place))
        axis = axis_of(leaf, count[0])
        return leaf if axis is None else torch.cat(parts, axis)

    try:
        return rebuilt(batches[0], join)
    except RuntimeError:
        return None


def shuffled(batches: list) -> list | None:
    """The same examples in batches of the same size, in another order; None if they do not fit."""
    whole = joined(batches)
    if whole is None:
        return None
    chance = torch.Generator().manual_seed(0)
    order = torch.randperm(examples(whole), generator=chance).split(examples(batches[0]))
    return [take(whole, rows) for rows in order]
