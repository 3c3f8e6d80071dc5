"""Content hashes: of plain data, and of a function with the project's code and constants that it uses."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import textwrap
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from types import CodeType, FunctionType
from typing import Any

_CONSTANTS = (int, float, str, bytes, bool, date, timedelta, tuple, frozenset)


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal data give equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_hash(value: object) -> str:
    """SHA-256 of plain data, in hex."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def function_hash(function: Callable[..., Any]) -> str:
    """SHA-256 of a function's code, in hex.

    Includes the functions and simple constants of the same top-level package that the function refers to. Comments,
    docstrings, line numbers and formatting do not change the hash.
    """
    return content_hash(list(_used(function, _package(function), set())))


def _package(function: Callable[..., Any]) -> str:
    return (function.__module__ or "").partition(".")[0]


def _used(function: Callable[..., Any], package: str, seen: set[str]) -> Iterator[tuple[str, str]]:
    name = f"{function.__module__}.{function.__qualname__}"
    if name in seen:
        return
    seen.add(name)
    yield name, _normal_form(function)
    # Not the globals of getclosurevars, which lack the names in nested comprehensions and lambdas.
    known = {name: value for name, value in function.__globals__.items() if name in _names(function.__code__)}
    named = {**known, **inspect.getclosurevars(function).nonlocals}
    for used, value in sorted(named.items()):
        if isinstance(value, FunctionType) and _package(value) == package:
            yield from _used(value, package, seen)
        elif isinstance(value, _CONSTANTS):
            yield f"{function.__module__}:{used}", repr(value)


def _names(code: CodeType) -> set[str]:
    """Every name that the code and its nested functions refer to."""
    inner = (_names(const) for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*inner)


def _normal_form(function: Callable[..., Any]) -> str:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):  # typed into an interpreter, or a lambda in the middle of an expression
        code = function.__code__
        return f"{code.co_code.hex()} {code.co_consts!r} {code.co_names!r}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.decorator_list = []
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)
