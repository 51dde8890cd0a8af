"""The fingerprint of an experiment: which source and which constants its numbers depend on.

A stored result may only be used for the very experiment that made it. So the fingerprint follows
an experiment from name to name: every function, class and constant of the notebook that it uses,
recursively, and every module of this package that it can reach. Comments, docstrings and blank
lines do not count; library objects count by name (their versions are recorded with the result).
Out of reach are names looked up at run time, as in ``globals()["width"]``, attributes set on a
class after its definition, and what the reader's own modules import in turn.
"""

import ast
import functools
import hashlib
import importlib
import inspect
import io
import linecache
import symtable
import sysconfig
import textwrap
import tokenize
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

PACKAGE = __name__.partition(".")[0]
# Every run passes through this module, whether the experiment names it or not.
ALWAYS = f"{PACKAGE}.reproducibility"


def fingerprint(experiment: Any) -> dict[str, str]:
    """Name and digest of everything in reach of `experiment`; equal dicts mean equal experiments.

    Raises
    ------
    TypeError
        If something that it uses has no source and no value that can be compared.
    """
    found = _Found()
    try:
        _describe("experiment", experiment, found)
    except RecursionError as error:
        raise TypeError("the experiment uses objects too entangled to compare") from error
    for name in _package_modules(ALWAYS):
        found[name] = _digest(_normalised(_module_source(name)))
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


def _digest(text: str) -> str:
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
        _describe_module(value, found)
    elif isinstance(value, functools.partial):
        found[name] = "partial"
        _describe(f"{name}.func", value.func, found)
        _describe(f"{name}.args", (value.args, value.keywords), found)
    elif isinstance(value, type) or callable(value) and hasattr(value, "__qualname__"):
        _describe_code(name, value, found)
    else:
        found[name] = _digest(_constant(name, value, found))


def _describe_module(module: types.ModuleType, found: _Found) -> None:
    if module.__name__.partition(".")[0] == PACKAGE:
        for name in _package_modules(module.__name__):
            found[name] = _digest(_normalised(_module_source(name)))
    elif not _is_library(module.__name__):
        found[module.__name__] = _digest(_normalised(inspect.getsource(module)))


def _describe_code(name: str, value: Any, found: _Found) -> None:
    value = inspect.unwrap(value) if not isinstance(value, type) else value
    module = getattr(value, "__module__", None) or "builtins"
    if module.partition(".")[0] == PACKAGE:
        _describe_module(importlib.import_module(module), found)
        found[name] = f"{module}.{value.__qualname__}"
    elif _is_library(module):
        found[name] = f"{module}.{value.__qualname__}"
    elif not found.again(name, value):
        source = _source(name, value)
        found[name] = _digest(_normalised(source))
        for used, thing, own in _references(value, source):
            _describe(f"{name}: {used}" if own else used, thing, found)


def _is_library(module: str) -> bool:
    """Whether `module` is installed or built in, as opposed to written by the reader."""
    if module == "__main__":
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
    """Source of a function or class that the reader wrote."""
    try:
        if not isinstance(value, type):
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


def _references(value: Any, source: str) -> Iterator[tuple[str, Any, bool]]:
    """What the source of a function or class takes from outside: name, value, and whose it is.

    A global is everybody's; what a function closes over, and its defaults, are its own.
    """
    functions = [value] if not isinstance(value, type) else []
    if isinstance(value, type):
        members = [getattr(m, "__func__", getattr(m, "fget", m)) for m in vars(value).values()]
        functions = [inspect.unwrap(m) for m in members if hasattr(m, "__code__")]
        yield from ((base.__name__, base, False) for base in value.__bases__)
    everybodys: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for function in functions:
        if isinstance(function, types.FunctionType):
            everybodys |= function.__globals__
            cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
            own |= {name: cell.cell_contents for name, cell in cells if name != "__class__"}
            defaults = (function.__defaults__, function.__kwdefaults__)
            if any(defaults):
                yield f"{function.__qualname__} defaults", defaults, False
    try:
        table = symtable.symtable(source, "source", "exec")
    except SyntaxError as error:
        raise TypeError(f"cannot read the source of {value!r}: define it with def") from error
    for name in sorted(_global_names(table)):
        if name in own:
            yield name, own[name], True
        elif name in everybodys:
            yield name, everybodys[name], False


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


def _package_modules(name: str) -> set[str]:
    """`name` and the modules of this package that it imports, recursively."""
    pending, seen = {name}, set()
    while pending:
        module = pending.pop()
        seen.add(module)
        for node in ast.walk(ast.parse(_module_source(module))):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported = {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
            elif isinstance(node, ast.Import):
                imported = {alias.name for alias in node.names}
            else:
                continue
            pending |= {m for m in imported if _is_package_module(m)} - seen
    return seen


def _is_package_module(name: str) -> bool:
    return name.count(".") == 1 and name.startswith(f"{PACKAGE}.") and _module_file(name).exists()


def _module_file(name: str) -> Path:
    tail = name.partition(".")[2]
    return Path(__file__).parent / f"{tail or '__init__'}.py"


def _module_source(name: str) -> str:
    return _module_file(name).read_text(encoding="utf-8")


def _normalised(source: str) -> str:
    """`source` without comments, docstrings and blank lines, whatever the line ends."""
    lines = source.replace("\r\n", "\n").split("\n")
    dropped: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO("\n".join(lines)).readline):
        row, column = token.start
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1][:column]
        if token.type in (tokenize.NL, tokenize.COMMENT) and not lines[row - 1].strip():
            dropped.add(row)
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(
            node
        ):
            dropped |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    kept = [line.rstrip() for row, line in enumerate(lines, 1) if row not in dropped]
    return "\n".join(kept).strip()
