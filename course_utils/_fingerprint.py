"""The fingerprint of an experiment: which source and which constants its numbers depend on.

A stored result may only be used for the very experiment that made it. So the fingerprint follows
an experiment from name to name, in the notebook and in this package alike: every function, class
and constant that it uses, recursively, and what isolates and seeds every run. Layout, comments,
docstrings, annotations and the messages of errors do not count; library objects count by name
(their versions are recorded with the result). Out of reach are names looked up at run time, as in
``globals()["width"]``, imports within a function, attributes set on a class after its definition,
and what the reader's own modules import in turn.
"""

import ast
import functools
import hashlib
import inspect
import linecache
import symtable
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from course_utils import _runs

PACKAGE = __name__.partition(".")[0]
CHECKS = "_arguments"  # the words that its functions are given only go into errors
PLAIN = bool | int | float | complex | str | bytes | None | range | slice | type(...)
PLAIN |= torch.dtype | torch.device  # constants that their repr stands for


def fingerprint(experiment: Any) -> dict[str, str]:
    """Name and digest of all that is in reach of `experiment`; equal dicts, equal experiments.

    A TypeError names what it uses that has no source and no value that can be compared.
    """
    return follow({"experiment": experiment, "the run": _runs.result_of})


def follow(named: dict[str, Any]) -> dict[str, str]:
    """Name and digest of everything in reach of these objects, whatever they are."""
    found = _Found()
    try:
        for name, value in named.items():
            found.describe(name, value)
    except RecursionError as error:
        raise TypeError("the experiment uses objects too entangled to compare") from error
    return found.digests


def digest_of(text: str) -> str:
    """What stands for `text` in a fingerprint."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Found:
    """Digests by name; `names` says by identity what is described already, and where."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        self.names: dict[int, str] = {}

    def describe(self, name: str, value: Any) -> None:
        """Add what `value`, used under `name`, is made of."""
        if name in self.digests:
            return
        if isinstance(value, types.MethodType):
            value = value.__func__, value.__self__
        elif isinstance(value, functools.partial):
            value = value.func, value.args, value.keywords
        if isinstance(value, types.ModuleType):
            if not _is_library(value.__name__):
                self.digests[value.__name__] = digest_of(bare(inspect.getsource(value)))
        elif _is_code(value):
            self._describe_code(name, value)
        else:
            self.digests[name] = digest_of(self._constant(name, value))

    def _again(self, name: str, value: Any) -> bool:
        """Whether `value` is described already; if so, `name` becomes a reference to it."""
        first = self.names.setdefault(id(value), name)
        if first != name:
            self.digests[name] = f"see {first}"
        return first != name

    def _describe_code(self, name: str, value: Any) -> None:
        value = inspect.unwrap(value) if not isinstance(value, type) else value
        module = getattr(value, "__module__", None) or "builtins"
        full_name = f"{module}.{value.__qualname__}"
        if _is_library(module):
            self.digests[name] = full_name
            return
        if _is_ours(module) and name != full_name:
            self.digests[name], name = full_name, full_name
        if name not in self.digests and not self._again(name, value):
            tree = _bare_tree(_source(name, value))
            self.digests[name] = digest_of(_spelled(tree))
            for used, thing in _references(name, value, tree):
                self.describe(used, thing)

    def _constant(self, name: str, value: Any) -> str:
        """A text that is equal for equal values, whatever the process."""
        if isinstance(value, PLAIN):
            return repr(value)
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu().numpy()
        if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
            return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
        if isinstance(value, dict):
            parts = [f"{k!r}: {self._part(f'{name}[{k!r}]', part)}" for k, part in value.items()]
            return f"dict({', '.join(parts)})"
        if isinstance(value, list | tuple):
            parts = [self._part(f"{name}[{place}]", part) for place, part in enumerate(value)]
            return f"{type(value).__name__}({', '.join(parts)})"
        if isinstance(value, set | frozenset):
            return f"set({sorted(map(repr, value))})"
        if hasattr(value, "__dict__"):
            if self._again(f"value of {name}", value):
                return self.digests[f"value of {name}"]
            self._describe_code(f"type of {name}", type(value))
            return self._constant(name, vars(value))
        if _is_ours(name):  # what the package keeps for itself: a lock, who watches
            return type(value).__name__
        raise TypeError(
            f"{name!r} is a {type(value).__name__}, which cannot be compared with a stored one: "
            f"make it a setting or create it inside the experiment"
        )

    def _part(self, name: str, value: Any) -> str:
        """An element of a container: its value, or the name under which it is described."""
        if isinstance(value, types.ModuleType | functools.partial) or callable(value):
            self.describe(name, value)
            return name
        return self._constant(name, value)


def _is_code(value: Any) -> bool:
    return isinstance(value, type) or callable(value) and hasattr(value, "__qualname__")


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == PACKAGE


def _is_library(module: str) -> bool:
    """Whether `module` is installed or built in, as opposed to written by the reader, or ours."""
    root = module.partition(".")[0]
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    installed = {"site-packages", "dist-packages"} & set(Path(file).parts)
    return root in sys.stdlib_module_names or bool(installed and not _is_ours(module))


def _source(name: str, value: Any) -> str:
    """Source of a function or class."""
    try:
        if isinstance(value, type) and not _is_ours(value.__module__):
            return _class_source(value)
        return textwrap.dedent(inspect.getsource(value))
    except (OSError, TypeError) as error:
        raise TypeError(f"no source for {name!r} ({value!r}): define it in a cell") from error


def _class_source(cls: type) -> str:
    """Source of `cls`, found through one of its methods.

    ``inspect.getsource`` of a class looks for the file of its module, and a notebook has none.
    """
    for function in _functions(cls):
        lines = linecache.getlines(function.__code__.co_filename)
        for node in ast.walk(ast.parse("".join(lines))):
            inside = isinstance(node, ast.ClassDef) and node.name == cls.__name__
            if inside and node.lineno <= function.__code__.co_firstlineno <= node.end_lineno:
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                return textwrap.dedent("".join(lines[first - 1 : node.end_lineno]))
    # A class of fields only, a dataclass perhaps.
    plain = {k: v for k, v in vars(cls).items() if not k.startswith("__") and not callable(v)}
    fields = {k: repr(v) for k, v in {**cls.__annotations__, **plain}.items()}
    bases = tuple(base.__qualname__ for base in cls.__bases__)
    return f"{cls.__name__} = {bases!r}, {fields!r}\n"


def _functions(value: Any) -> list[types.FunctionType]:
    """The functions whose code a function or class consists of."""
    members = vars(value).values() if isinstance(value, type) else [value]
    found = (getattr(one, "__func__", getattr(one, "fget", one)) for one in members)
    unwrapped = (inspect.unwrap(one) for one in found if callable(one))
    return [one for one in unwrapped if isinstance(one, types.FunctionType)]


def _references(name: str, value: Any, tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """What a function or class takes from outside: its full name, and itself.

    A global of a notebook is everybody's; what a function closes over is its own.
    """
    home = f"{value.__module__}." if _is_ours(value.__module__) else ""
    shared, own = {}, {}
    for function in _functions(value):
        shared |= function.__globals__
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        own |= {used: cell.cell_contents for used, cell in cells if used != "__class__"}
        defaults = (function.__defaults__, function.__kwdefaults__)
        if any(defaults):
            yield f"{home}{function.__qualname__} defaults", defaults
    if isinstance(value, type):
        yield from ((base.__name__, base) for base in value.__bases__)
    for used in sorted(_global_names(symtable.symtable(ast.unparse(tree), "source", "exec"))):
        if used in own:
            yield f"{name}: {used}", own[used]
        elif isinstance(shared.get(used), types.ModuleType):
            yield from _of_module(shared[used], used, tree)
        elif used in shared:
            yield f"{home}{used}", shared[used]


def _of_module(module: types.ModuleType, name: str, tree: ast.AST) -> Iterator[tuple[str, Any]]:
    """What is used of `module`, known as `name`: of one of this package the attributes named."""
    if not _is_ours(module.__name__):
        yield module.__name__, module
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == name:
            yield f"{module.__name__}.{node.attr}", getattr(module, node.attr)


def _global_names(table: symtable.SymbolTable) -> set[str]:
    """Names that a piece of source reads from the scope around it.

    What a nested function takes from the function around it is not among them, even if the
    notebook has something of that name.
    """
    top = table.get_type() == "module"
    names = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (symbol.is_global() or top)
    }
    return names.union(*(_global_names(child) for child in table.get_children()))


def bare(source: str) -> str:
    """`source` as its syntax tree, written out: equal for sources that compute the same things."""
    return _spelled(_bare_tree(source))


def _bare_tree(source: str) -> ast.Module:
    try:
        return _Bare().visit(ast.parse(source))
    except SyntaxError as error:
        raise TypeError(f"cannot read {source!r:.80}: define it with def") from error


class _Bare(ast.NodeTransformer):
    """Takes out of a tree what moves no number."""

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        return super().visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant("")  # that there is a field counts: `__init__` takes it
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(kind, None)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if getattr(getattr(node.func, "value", None), "id", None) == CHECKS:
            node.args = [one for one in node.args if not _is_text(one)]
        elif getattr(node.func, "attr", None) == "add_note":
            node.args = []
        return node


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or isinstance(getattr(node, "value", None), str)


def _spelled(part: Any) -> str:
    """A tree as text. (The form of ``ast.dump`` differs between versions of Python.)"""
    if isinstance(part, ast.AST):
        inside = ast.iter_fields(part)
        fields = [f"{k}={_spelled(v)}" for k, v in inside if v not in (None, []) and k != "ctx"]
        return f"{type(part).__name__}({', '.join(fields)})"
    if isinstance(part, list):
        return f"[{', '.join(map(_spelled, part))}]"
    return repr(part)
