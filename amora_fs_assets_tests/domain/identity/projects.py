"""Packages of a data team as text, imported anew for each state of their code."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.operations.registry.apply import collect

VIEWS = """
    import ibis
    from amora_fs_assets import Entity, FeatureSchema, Source, SourceSchema, Timestamp, feature_view
    from shop import helpers

    class Orders(SourceSchema):
        customer: int
        at: Timestamp
        amount: int

    class V(FeatureSchema):
        customer: int
        plain: int
        scaled: int

    orders = Source("orders", Orders, timestamp_field="at")

    @feature_view(schema=V, entities=[Entity("customer")], sources=[orders], start="2026-11-01")
    def v(orders):
        paid = orders.filter(orders.amount > 0)
        return paid.select(
            "customer", plain=paid.amount, scaled=helpers.scaled(paid.amount), event_timestamp=paid["at"]
        )
"""
HELPERS = """
    FACTOR = {"k": [2]}

    def scaled(x):
        return x * FACTOR["k"][0]
"""


@contextmanager
def imported(folder: Path, modules: Mapping[str, str]) -> Iterator[None]:
    """Modules of these texts, by dotted name, can be imported; others of these names are forgotten."""
    tops = {name.partition(".")[0] for name in modules}
    for name, text in modules.items():
        path = folder.joinpath(*name.split("."))
        inner = any(other.startswith(f"{name}.") for other in modules)
        path = path / "__init__.py" if inner else path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    sys.path.insert(0, str(folder))
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    importlib.invalidate_caches()
    _forget(tops)
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes
        sys.path.remove(str(folder))
        _forget(tops)


def _forget(packages: set[str]) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] in packages]:
        del sys.modules[name]


def code(folder: Path, modules: Mapping[str, str], package: str = "shop") -> Catalogue:
    """What the package of these modules defines, read as plan reads it."""
    with imported(folder, modules):
        catalogue = collect(package)
        _ = catalogue.to_plain()  # reads all code, while its modules can be imported
        return catalogue


def shop(folder: Path, *, views: str = VIEWS, helpers: str = HELPERS, **others: str) -> Catalogue:
    """The package `shop` with a view over a helper, and other modules by their names."""
    modules = {"shop": "", "shop.views": views, "shop.helpers": helpers}
    return code(folder, modules | {name.replace("__", "."): text for name, text in others.items()})
