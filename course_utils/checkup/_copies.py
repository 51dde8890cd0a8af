"""Copies of a run: model, optimiser, and whatever the loss and the step reach beyond arguments."""

import copy
import functools
import random
import types
from collections import deque
from contextlib import contextmanager

import numpy as np
import torch

SHARED = (types.ModuleType, type, torch.utils.data.DataLoader, torch.utils.data.Dataset)
SMALL = 1_000_000  # weights
KEPT_WITHIN = (list, dict, set, deque, types.SimpleNamespace)


def duplicate(value, memo: dict):
    """A deep copy, or the thing itself where it cannot or need not be copied."""
    if isinstance(value, SHARED):
        return value
    if isinstance(value, types.FunctionType | types.MethodType | functools.partial):
        return rebound(value, memo)
    before = dict(memo)
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # a file, a generator, a lock: left shared
        memo.clear()
        memo.update(before)
        return value


def duplicate_optimizer(optimizer, memo: dict):
    """A deep copy with what its author hung on it: a counter, an optimiser within.

    torch copies settings and state alone. Functions stay behind: a scheduler's hold the original.
    """
    twin = copy.deepcopy(optimizer, memo)
    for name, value in vars(optimizer).items() if optimizer is not None else ():
        if not hasattr(twin, name) and not callable(value):
            setattr(twin, name, duplicate(value, memo))
    return twin


def rebound(function, memo: dict):
    """The function with copies of the state it reaches (closure, globals, `self`)."""
    if id(function) in memo:
        return memo[id(function)]
    if isinstance(function, functools.partial):
        parts = duplicate(list(function.args), memo), duplicate(dict(function.keywords), memo)
        return functools.partial(rebound(function.func, memo), *parts[0], **parts[1])
    if isinstance(function, types.MethodType):
        owner = duplicate(function.__self__, memo)
        return types.MethodType(function.__func__, owner)
    if not isinstance(function, types.FunctionType):
        return duplicate(function, memo) if hasattr(function, "__dict__") else function
    world = function.__globals__
    if world.get("__name__", "").split(".")[0] in ("torch", "numpy"):
        return function
    cells = tuple(types.CellType() for _ in function.__closure__ or ())
    scope = dict(world)
    twin = types.FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, cells or None
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    memo[id(function)] = twin
    memo.setdefault(id(memo), []).append(function)  # keeps the identity alive, as copy does
    for name in names_used(function.__code__):
        if name in world and is_state(world[name], function):
            scope[name] = duplicate(world[name], memo)
    for cell, original in zip(cells, function.__closure__ or (), strict=True):
        try:
            cell.cell_contents = duplicate(original.cell_contents, memo)
        except ValueError:  # not filled yet
            pass
    return twin


def names_used(code: types.CodeType) -> set[str]:
    """Global names that a function and those within it mention."""
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return set(code.co_names).union(*(names_used(part) for part in inner))


def is_state(value, function) -> bool:
    """Whether a global of the run could be changed by running it."""
    if isinstance(value, types.FunctionType):
        return value.__globals__ is function.__globals__
    return isinstance(value, (torch.Tensor, *KEPT_WITHIN)) or (
        hasattr(value, "state_dict") and not isinstance(value, SHARED)
    )


@contextmanager
def random_state_kept():
    """Puts the global random states back, whatever happens within."""
    python, cpu = random.getstate(), torch.get_rng_state()
    numpy_state = np.random.get_state()  # noqa: NPY002
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


@contextmanager
def one_thread(model):
    """One thread for a small model: handing parts to others takes longer than the parts do."""
    before = torch.get_num_threads()
    if sum(p.numel() for p in model.parameters()) < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seed_everything(seed: int) -> None:
    """The same random numbers for every copy, so that copies can be compared."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def same_bits(one, other) -> bool:
    """Equal, NaN counted as equal to itself; tensors byte for byte."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if one.shape != other.shape or one.dtype != other.dtype:
            return False
        if one.layout == torch.sparse_coo and other.layout == torch.sparse_coo:
            one, other = one.detach().coalesce(), other.detach().coalesce()
            return same_bits(one.indices(), other.indices()) and same_bits(
                one.values(), other.values()
            )
        if one.numel() == 0 or one.layout != torch.strided:
            return one.layout == other.layout
        flat = one.detach().reshape(-1), other.detach().reshape(-1)
        return torch.equal(*(part.contiguous().view(torch.uint8) for part in flat))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_bits(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_bits, one, other))
    if isinstance(one, torch.Tensor) or isinstance(other, torch.Tensor):
        return False
    return one is other or one == other or (one != one and other != other)


def restore(model, optimizer, kept_model, kept_optimizer) -> bool:
    """Puts the original back to what its untouched copy says; whether anything had moved."""
    moved = False
    pairs = [*zip(model.parameters(), kept_model.parameters(), strict=True)]
    for mine, kept in [*pairs, *zip(model.buffers(), kept_model.buffers(), strict=True)]:
        if not same_bits(mine, kept):
            moved = True
            with torch.no_grad():
                mine.copy_(kept)
    for mine, kept in pairs:
        mine.requires_grad_(kept.requires_grad)
    for mine, kept in zip(model.modules(), kept_model.modules(), strict=True):
        moved |= mine.training != kept.training
        mine.training = kept.training
    return moved | (optimizer is not None and restore_optimizer(optimizer, kept_optimizer))


def restore_optimizer(optimizer, kept) -> bool:
    """The same for an optimiser's settings and state."""
    moved = False
    for mine, there in zip(optimizer.param_groups, kept.param_groups, strict=True):
        for key in there:
            if key != "params" and not same_bits(mine.get(key), there[key]):
                moved, mine[key] = True, there[key]
        for parameter, twin in zip(mine["params"], there["params"], strict=True):
            state, wanted = optimizer.state.get(parameter), kept.state.get(twin)
            if state is None and wanted is None:
                continue
            if state is None or wanted is None or state.keys() != wanted.keys():
                moved = True
                optimizer.state.pop(parameter, None)
                if wanted is not None:
                    optimizer.state[parameter] = dict(wanted)
                continue
            for key in wanted:
                if not same_bits(state[key], wanted[key]):
                    moved, state[key] = True, wanted[key]
    return moved
