"""Syntax trees of functions, in a form without variable names, positions and differences of Python releases."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Protocol

from amora_fs_assets.domain.identity.forms import scalar

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SKIPPED = {"ctx", "annotation", "returns", "type_comment", "type_params", "kind"}


class Outside(Protocol):
    """The values of the names that a function takes from outside."""

    def value(self, name: str, path: tuple[str, ...] = ()) -> Any:
        """The form of `name.path`."""

    def imported(self, module: str, level: int, name: str | None, path: tuple[str, ...] = ()) -> Any:
        """The form of a name that is imported inside the function."""


def syntax_of(function: types.FunctionType) -> ast.AST | None:
    """The function's node in the tree of its file; None if the text is missing or several nodes match."""
    try:
        lines, _ = inspect.findsource(function)
        nodes = _functions("".join(lines))
    except (OSError, SyntaxError, TypeError):
        return None
    code = function.__code__
    found = [node for node in nodes.get(code.co_firstlineno, ()) if _is(node, code)]
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=256)
def _functions(text: str) -> dict[int, list[ast.AST]]:
    found: dict[int, list[ast.AST]] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, _FUNCTIONS):
            decorators = getattr(node, "decorator_list", [])
            line = min([node.lineno, *(each.lineno for each in decorators)])
            found.setdefault(line, []).append(node)
    return found


def _is(node: Any, code: types.CodeType) -> bool:
    if not isinstance(node, ast.Lambda):
        return bool(node.name == code.co_name)
    if code.co_name != "<lambda>":
        return False
    body = node.body
    places = [(line, column, end, last) for line, end, column, last in code.co_positions() if line and last]
    return all(
        (body.lineno, body.col_offset) <= (line, column) and (end, last) <= (body.end_lineno, body.end_col_offset)
        for line, column, end, last in places
        if (column, last) != (0, 0)
    )


def normal_form(tree: ast.AST, outside: Outside) -> Any:
    """The tree as plain data: variables are numbers, names from outside are replaced by their forms."""
    return _Reader(outside).function(tree)


class _Scope:
    """The names that a function, class or comprehension binds: variables and imported names."""

    def __init__(self, node: ast.AST) -> None:
        self.names: set[str] = set()
        self.outer: set[str] = set()
        self.imports: dict[str, tuple[str, int, str | None]] = {}
        for each in _own(node):
            self._bind(each)
        self.names -= self.outer

    def _bind(self, node: Any) -> None:
        match node:
            case ast.Name(ctx=ast.Store()):
                self.names.add(node.id)
            case ast.arg():
                self.names.add(node.arg)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self.names.add(node.name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                self.names.add(name)
            case ast.MatchMapping(rest=str(name)):
                self.names.add(name)
            case ast.Global() | ast.Nonlocal():
                self.outer.update(node.names)
            case ast.Import():
                for alias in node.names:
                    whole = alias.name if alias.asname else alias.name.partition(".")[0]
                    self.imports[alias.asname or whole] = (whole, 0, None)
            case ast.ImportFrom():
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = (node.module or "", node.level, alias.name)


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of the scope that `node` opens, without the nodes of nested scopes."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            pending: list[ast.AST] = [*_arguments(node.args), *node.body]
        case ast.Lambda():
            pending = [*_arguments(node.args), node.body]
        case ast.ClassDef():
            pending = list(node.body)
        case _:  # a comprehension
            pending = [each.target for each in getattr(node, "generators", [])]
    while pending:
        each = pending.pop()
        yield each
        if isinstance(each, (*_FUNCTIONS, ast.ClassDef)):
            pending += [*getattr(each, "decorator_list", []), *_defaults(each)]
        elif isinstance(each, _COMPREHENSIONS):  # := binds a name in the scope around the comprehension
            pending += [part.target for part in ast.walk(each) if isinstance(part, ast.NamedExpr)]
        else:
            pending += ast.iter_child_nodes(each)


def _arguments(node: ast.arguments) -> list[ast.AST]:
    single = [each for each in (node.vararg, node.kwarg) if each is not None]
    return [*node.posonlyargs, *node.args, *node.kwonlyargs, *single]


def _defaults(node: ast.AST) -> list[ast.AST]:
    arguments = getattr(node, "args", None)
    if not isinstance(arguments, ast.arguments):
        return list(getattr(node, "bases", []))
    return [each for each in (*arguments.defaults, *arguments.kw_defaults) if each is not None]


class _Reader:
    """Reads one function. Variables are numbered in the order in which they are read."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._scopes: list[_Scope] = []
        self._numbers: dict[tuple[int, str], int] = {}

    def function(self, node: Any) -> Any:
        """A function's parameters and body, without its name, decorators and defaults."""
        self._scopes.append(_Scope(node))
        try:
            kinds = [
                [kind, [self._name(each.arg) for each in given]]
                for kind in ("posonlyargs", "args", "kwonlyargs")
                if (given := getattr(node.args, kind))
            ]
            kinds += [
                [kind, self._name(given.arg)] for kind in ("vararg", "kwarg") if (given := getattr(node.args, kind))
            ]
            body = node.body if isinstance(node.body, list) else [ast.Return(node.body)]
            return [type(node).__name__.startswith("Async"), kinds, self._body(body)]
        finally:
            self._scopes.pop()

    def _body(self, statements: list[Any]) -> list[Any]:
        if statements and isinstance(statements[0], ast.Expr) and isinstance(statements[0].value, ast.Constant):
            statements = statements[1:]  # a docstring, or another unused constant
        skipped = (ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Pass)
        return [self.form(each) for each in statements if not isinstance(each, skipped)]

    def form(self, node: Any) -> Any:
        """The form of a node, a list of nodes, or another value of a node's field."""
        match node:
            case list():
                return self._body(node) if node and isinstance(node[0], ast.stmt) else [self.form(e) for e in node]
            case ast.Constant():
                return ["constant", scalar(node.value) or "..."]
            case ast.Name():
                return self._named(node.id, ())
            case ast.Attribute():
                return self._attribute(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                inner = [self.form(each) for each in (*getattr(node, "decorator_list", []), *_defaults(node))]
                name = self._name(node.name) if hasattr(node, "name") else None
                return ["function", name, inner, self.function(node)]
            case ast.ClassDef():
                return self._class(node)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                return self._comprehension(node)
            case ast.AnnAssign():
                return [] if node.value is None else ["Assign", [self.form(node.target)], self.form(node.value)]
            case ast.Assign():
                return ["Assign", [self.form(each) for each in node.targets], self.form(node.value)]
            case ast.AST():
                return self._generic(node)
            case _:
                return node

    def _generic(self, node: ast.AST) -> Any:
        binds = isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar | ast.MatchMapping)
        form: list[Any] = [type(node).__name__]
        for field, value in ast.iter_fields(node):
            if field in _SKIPPED or value is None or value == []:
                continue
            form.append([field, self._name(value) if binds and isinstance(value, str) else self.form(value)])
        return form

    def _attribute(self, node: ast.Attribute) -> Any:
        path, base = [node.attr], node.value
        while isinstance(base, ast.Attribute):
            path.append(base.attr)
            base = base.value
        if isinstance(base, ast.Name):
            return self._named(base.id, tuple(reversed(path)))
        return ["attribute", self.form(node.value), node.attr]

    def _class(self, node: ast.ClassDef) -> Any:
        outer = [self.form(each) for each in (*node.decorator_list, *node.bases, *node.keywords)]
        name = self._name(node.name)
        self._scopes.append(_Scope(node))
        try:
            return ["class", name, outer, self._body(node.body)]
        finally:
            self._scopes.pop()

    def _comprehension(self, node: Any) -> Any:
        first = self.form(node.generators[0].iter)  # evaluated in the scope around the comprehension
        self._scopes.append(_Scope(node))
        try:
            parts = [
                [self.form(each.target), first if each is node.generators[0] else self.form(each.iter),
                 [self.form(condition) for condition in each.ifs], each.is_async]
                for each in node.generators
            ]  # fmt: skip
            made = [self.form(getattr(node, part)) for part in ("key", "value", "elt") if hasattr(node, part)]
            return [type(node).__name__, parts, made]
        finally:
            self._scopes.pop()

    def _name(self, name: str) -> Any:
        """The number of a variable that is bound in one of the scopes."""
        return self._named(name, ())

    def _named(self, name: str, path: tuple[str, ...]) -> Any:
        for scope in reversed(self._scopes):
            if name in scope.outer:
                continue
            if name in scope.imports:
                module, level, part = scope.imports[name]
                return self._outside.imported(module, level, part, path)
            if name in scope.names:
                number = self._numbers.setdefault((id(scope), name), len(self._numbers))
                form: Any = ["variable", number]
                for part in path:
                    form = ["attribute", form, part]
                return form
        return ["outside", self._outside.value(name, path)]
