"""Collect the definitions of a package, and apply them to the registry."""

from __future__ import annotations

import pkgutil
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from importlib import import_module
from types import ModuleType

from amora_fs_assets.domain.catalogue import Catalogue, Definition, module_of
from amora_fs_assets.domain.changes import KINDS, Change, kind_of
from amora_fs_assets.domain.errors import DefinitionError, RegistryConflict, shown
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.records import Snapshot
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.operations.registry.plan import Plan, plan

PATIENCE = 600.0
"""How long `apply` retries after conflicts with other applies [s]. A bucket accepts about one new head a second."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 4.0
"""The longest random pause before the second try, and before any later try [s]."""


def collect(package: str | ModuleType) -> Catalogue:
    """All definitions at the top level of a package's modules, or of one module. Raises DefinitionError.

    `Catalogue.packages` lists the definitions whose code is in the package, and all its services, but no imported
    definitions. Entities belong to no package.
    """
    modules = list(_modules(package))
    found = (value for module in modules for value in vars(module).values())
    definitions = [value for value in found if isinstance(value, Definition)]
    names = {module.__name__ for module in modules}
    packages: dict[str, dict[str, str]] = {}
    for each in definitions:
        if isinstance(each, FeatureService) or module_of(each) in names:
            packages.setdefault(KINDS[kind_of(each)], {})[each.name] = modules[0].__name__
    return replace(Catalogue.of(definitions), packages=packages)


def defined_elsewhere(definition: Source | FeatureView | OnDemandFeatureView | TrainingSet, code: Catalogue) -> bool:
    """Whether the definition belongs to another package, and the collected package only imports it."""
    if not code.packages or definition.name in code.packages.get(KINDS[kind_of(definition)], {}):
        return False
    module = sys.modules.get(module_of(definition))
    return module is not None and any(value is definition for value in vars(module).values())


def _modules(package: str | ModuleType) -> Iterator[ModuleType]:
    yield (module := _import_package(package) if isinstance(package, str) else package)
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{module.__name__}."):
        if not {"definitions", "defs"} & set(found.name[len(module.__name__) :].split(".")):
            yield import_module(found.name)


def _import_package(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise DefinitionError(f"definitions is {shown(name)}; give the name of a package, such as 'shop.features'.")
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # an existing module imports a missing one
        raise DefinitionError(
            f"There is no package '{name}' to read definitions from. Run from the folder that contains the package, or "
            "install it."
        ) from error


def apply(
    code: Catalogue, registry: Registry, *, clock: datetime, prune: bool = False, allow_breaking: bool = False
) -> Snapshot:
    """Apply the code's definitions. Definitions that the code no longer has stay, unless pruned.

    Raises BreakingChanges, before any change, unless breaking changes are allowed, and RegistryConflict if another
    apply came first.
    """
    return apply_plan(
        plan(code, registry, clock=clock, dataset="", prune=prune),
        registry,
        clock=clock,
        allow_breaking=allow_breaking,
    )


def apply_plan(planned: Plan, registry: Registry, *, clock: datetime, allow_breaking: bool = False) -> Snapshot:
    """Apply exactly this plan. Raises RegistryConflict if the head is no longer the plan's `parent`."""
    if not allow_breaking:
        planned.refuse_breaking()
    return registry.apply(planned.catalogue, parent=planned.parent, clock=clock)


def apply_anew(
    planning: Callable[[], Plan],
    registry: Registry,
    *,
    clock: Callable[[], datetime],
    allow_breaking: bool = False,
    show: Callable[[Plan], None] | None = None,
    checks: Sequence[Callable[[Plan], None]] = (),
    patience: float = PATIENCE,
) -> Snapshot:
    """Plan and apply. If another apply came first, pause for a random time and plan again.

    `show` receives each plan before it is tried, and `checks` each plan that is not refused. `allow_breaking` allows
    only the breaking changes of the first plan: breaking changes that appear through another apply are refused with
    BreakingChanges. Raises RegistryConflict after `patience` [s].
    """
    until, longest = time.monotonic() + patience, FIRST_PAUSE
    allowed: set[Change] | None = None
    while True:
        planned = planning()
        if show is not None:
            show(planned)
        if allow_breaking and allowed is None:
            allowed = set(planned.breaking)
        planned.refuse_breaking(allowed or ())
        for check in checks:
            check(planned)
        try:
            return apply_plan(planned, registry, clock=clock(), allow_breaking=True)
        except RegistryConflict:
            if time.monotonic() > until:
                raise
        time.sleep(random.uniform(0, longest))
        longest = min(2 * longest, LONGEST_PAUSE)
