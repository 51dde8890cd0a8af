"""The fingerprint of an experiment: which source and which constants its numbers depend on.

A stored result may only be used for the very experiment that made it. So the fingerprint follows
an experiment from name to name, in the notebook and in this package alike: every function, class
and constant that it uses, recursively, and what isolates and seeds every run. Layout, comments,
docstrings, annotations and the messages of errors do not count; library objects count by name
(their versions are recorded with the result). Out of reach are names looked up at run time, as in
``globals()["width"]``, attributes set on a class after its definition, and what the reader's own
modules import in turn.
"""

import ast
import functools
import hashlib
import importlib
import inspect
import linecache
import symtable
import sysconfig
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
            _describe(name, value, found)
    except RecursionError as error:
        raise TypeError("the experiment uses objects too entangled to compare") from error
    return dict(found)


class _Found(dict[str, str]):
    """Digests by name; `names` says by identity what is described already, and where."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[int, str] = {}

    def again(self, name: str, value: Any) -> bool:
        """Whether `value` is described already; if so, `name` becomes a reference to it."""
        first = self.names.setdefault(id(value), name)
        if first != name:
            self[name] = f"see {first}"
        return first != name


def digest_of(text: str) -> str:
    """What stands for `text` in a fingerprint."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _describe(name: str, value: Any, found: _Found) -> None:
    """Add what `value`, used under `name`, is made of to `found`."""
    if name in found:
        return
    if isinstance(value, types.MethodType):
        found[name] = "method"
        _describe(f"{name}.self", value.__self__, found)
        _describe(f"{name}.func", value.__func__, found)
    elif isinstance(value, types.ModuleType):
        if not _is_library(value.__name__):
            found[value.__name__] = digest_of(bare(inspect.getsource(value)))
    elif isinstance(value, functools.partial):
        found[name] = "partial"
        _describe(f"{name}.func", value.func, found)
        _describe(f"{name}.args", (value.args, value.keywords), found)
    elif isinstance(value, type) or callable(value) and hasattr(value, "__qualname__"):
        _describe_code(name, value, found)
    else:
        found[name] = digest_of(_constant(name, value, found))


def _describe_code(name: str, value: Any, found: _Found) -> None:
    value = inspect.unwrap(value) if not isinstance(value, type) else value
    module = getattr(value, "__module__", None) or "builtins"
    full_name = f"{module}.{value.__qualname__}"
    if _is_library(module):
        found[name] = full_name
        return
    if module.partition(".")[0] == PACKAGE and name != full_name:
        found[name], name = full_name, full_name
    if name not in found and not found.again(name, value):
        source = _source(name, value)
        found[name] = digest_of(bare(source))
        for used, thing in _references(name, value, source):
            _describe(used, thing, found)


@functools.cache
def _is_library(module: str) -> bool:
    """Whether `module` is installed or built in, as opposed to written by the reader, or ours."""
    if module == "__main__" or module.partition(".")[0] == PACKAGE:
        return False
    try:
        file = getattr(importlib.import_module(module.partition(".")[0]), "__file__", None)
    except ImportError:
        return False
    if file is None:
        return True
    folders = {sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    packaged = {"site-packages", "dist-packages"} & set(Path(file).parts)
    return bool(packaged) or any(Path(file).is_relative_to(folder) for folder in folders)


def _source(name: str, value: Any) -> str:
    """Source of a function or class."""
    try:
        if not isinstance(value, type) or value.__module__.partition(".")[0] == PACKAGE:
            return textwrap.dedent(inspect.getsource(value))
        return _class_source(value)
    except (OSError, TypeError) as error:
        raise TypeError(f"no source for {name!r} ({value!r}): define it in a cell") from error


def _class_source(cls: type) -> str:
    """Source of `cls`, found through one of its methods.

    ``inspect.getsource`` of a class looks for the file of its module, and a notebook has none.
    """
    for member in vars(cls).values():
        code = getattr(inspect.unwrap(member), "__code__", None) if callable(member) else None
        lines = linecache.getlines(code.co_filename) if code else []
        for node in ast.walk(ast.parse("".join(lines))):
            inside = isinstance(node, ast.ClassDef) and node.name == cls.__name__
            if inside and node.lineno <= code.co_firstlineno <= node.end_lineno:
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                return textwrap.dedent("".join(lines[first - 1 : node.end_lineno]))
    plain = {k: v for k, v in vars(cls).items() if not k.startswith("__") and not callable(v)}
    fields = {k: repr(v) for k, v in {**cls.__annotations__, **plain}.items()}
    bases = tuple(base.__qualname__ for base in cls.__bases__)
    return f"{cls.__name__} = {bases!r}, {fields!r}\n"  # a class of fields only, e.g. a dataclass


def _references(name: str, value: Any, source: str) -> Iterator[tuple[str, Any]]:
    """What the source of a function or class takes from outside: its full name, and itself.

    A global of a notebook is everybody's; what a function closes over is its own.
    """
    tree = _parsed(source, value)
    functions = [value] if not isinstance(value, type) else []
    if isinstance(value, type):
        members = [getattr(m, "__func__", getattr(m, "fget", m)) for m in vars(value).values()]
        functions = [inspect.unwrap(m) for m in members if hasattr(m, "__code__")]
        yield from ((base.__name__, base) for base in value.__bases__)
    packaged = value.__module__.partition(".")[0] == PACKAGE
    home = f"{value.__module__}." if packaged else ""
    known = dict(vars(importlib.import_module(value.__module__))) if packaged else {}
    own: dict[str, Any] = {}
    for function in functions:
        if isinstance(function, types.FunctionType):
            known |= function.__globals__
            cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
            own |= {name: cell.cell_contents for name, cell in cells if name != "__class__"}
            defaults = (function.__defaults__, function.__kwdefaults__)
            if any(defaults):
                yield f"{home}{function.__qualname__} defaults", defaults
    for used in sorted(_global_names(symtable.symtable(ast.unparse(tree), "source", "exec"))):
        if used in own:
            yield f"{name}: {used}", own[used]
        elif isinstance(known.get(used), types.ModuleType):
            yield from _of_module(known[used], used, tree)
        elif used in known:
            yield f"{home}{used}", known[used]
    for node in ast.walk(tree):  # what a function imports when it is called
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            module = importlib.import_module(node.module)
            for alias in node.names:
                yield f"{node.module}.{alias.name}", getattr(module, alias.name)


def _of_module(module: types.ModuleType, name: str, tree: ast.AST) -> Iterator[tuple[str, Any]]:
    """What is used of `module`, known as `name`: of one of this package the attributes named."""
    if module.__name__.partition(".")[0] != PACKAGE:
        yield module.__name__, module
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == name:
            yield f"{module.__name__}.{node.attr}", getattr(module, node.attr)


def _parsed(source: str, value: Any) -> ast.AST:
    """The tree of a source without what an error says and what annotates: only names that count."""
    try:
        return _Bare(names_only=True).visit(ast.parse(source))
    except SyntaxError as error:
        raise TypeError(f"cannot read the source of {value!r}: define it with def") from error


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


def _constant(name: str, value: Any, found: _Found) -> str:
    """A text that is equal for equal values, whatever the process."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"{value.dtype} {value.shape} {digest}"
    if isinstance(value, dict):
        items = [f"{k!r}: {_part(f'{name}[{k!r}]', v, found)}" for k, v in value.items()]
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list | tuple):
        items = [_part(f"{name}[{i}]", item, found) for i, item in enumerate(value)]
        return f"{type(value).__name__}({', '.join(items)})"
    if isinstance(value, set | frozenset):
        return f"set({sorted(map(repr, value))})"
    if isinstance(value, torch.dtype | torch.device | range | slice | type(...)):
        return repr(value)
    if hasattr(value, "__dict__"):
        if found.again(f"value of {name}", value):
            return found[f"value of {name}"]
        _describe_code(f"type of {name}", type(value), found)
        return _constant(name, vars(value), found)
    if name.startswith(f"{PACKAGE}."):  # what the package keeps for itself: a lock, who watches
        return type(value).__name__
    raise TypeError(
        f"{name!r} is a {type(value).__name__}, which cannot be compared with a stored one: "
        f"make it a setting or create it inside the experiment"
    )


def _part(name: str, value: Any, found: _Found) -> str:
    """An element of a container: its value, or the name under which it is described."""
    if isinstance(value, type | types.ModuleType | functools.partial) or callable(value):
        _describe(name, value, found)
        return name
    return _constant(name, value, found)


def bare(source: str) -> str:
    """`source` as its syntax tree, written out: equal for sources that compute the same things.

    Not by ``ast.dump``, whose form differs between versions of Python.
    """
    return _spelled(_Bare().visit(ast.parse(source)))


class _Bare(ast.NodeTransformer):
    """Takes out of a tree what moves no number; `names_only`, what needs no following, too."""

    def __init__(self, names_only: bool = False) -> None:
        self.names_only, self.in_class = names_only, False

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        return super().visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        before, self.in_class = self.in_class, True
        self.generic_visit(node)
        self.in_class = before
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        before, self.in_class, node.returns = self.in_class, False, None
        self.generic_visit(node)
        self.in_class = before
        self._forget_words(node)
        return node

    def _forget_words(self, function: ast.FunctionDef) -> None:
        """Empty the texts of `function` that were only there for the message of an error."""
        names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
        loaded = {name.id for name in names if isinstance(name.ctx, ast.Load)}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and _is_text(node.value):
                if not {getattr(target, "id", "") for target in node.targets} & {*loaded, ""}:
                    node.value = ast.Constant("")

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        if self.in_class and not self.names_only:
            return node  # a field of a dataclass is an argument of its __init__
        if node.value is None:
            return None if not self.in_class else ast.Pass()
        return ast.Assign([node.target], node.value, lineno=node.lineno)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(None if self.names_only else kind, None)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if getattr(getattr(node.func, "value", None), "id", None) == CHECKS:
            node.args = [one for one in node.args if not _is_text(one)]
        elif getattr(node.func, "attr", None) == "add_note":
            node.args = []
        return node


def _is_text(node: ast.AST | None) -> bool:
    return isinstance(node, ast.JoinedStr) or isinstance(getattr(node, "value", None), str)


def _spelled(part: Any) -> str:
    if isinstance(part, ast.AST):
        inside = ast.iter_fields(part)
        fields = [f"{k}={_spelled(v)}" for k, v in inside if v not in (None, []) and k != "ctx"]
        return f"{type(part).__name__}({', '.join(fields)})"
    if isinstance(part, list):
        return f"[{', '.join(map(_spelled, part))}]"
    return repr(part)
