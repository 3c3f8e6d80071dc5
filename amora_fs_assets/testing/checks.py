"""The contract of feature views: what every view keeps, on generated rows of its sources.

`pytest --amora-features` and `amora-fs test` run these checks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.operations.offline.audit import RULES, Finding, Rule, audit
from amora_fs_assets.testing.computed import given_rows
from amora_fs_assets.testing.defaults import interval_of
from amora_fs_assets.testing.golden import ENGINES, sql_of
from amora_fs_assets.testing.strategies import source_rows

NOTHING = "no generated rows of the sources give rows of the view, so nothing was tested"


@dataclass(frozen=True)
class Check:
    """One check of a view. `run` raises AssertionError for a fault, and returns why nothing was tested, or ""."""

    view: FeatureView
    name: str
    run: Callable[[], str]


def checks_of(view: FeatureView, *, examples: int) -> list[Check]:
    """The checks of a computed view, on a number of generated sets of source rows."""
    words: dict[Rule, str] = {
        "looks ahead": "no row depends on what was not yet known",
        "differs in parts": "the parts of an interval add up",
        "differs when computed again": "a second computation gives the same rows",
    }
    rules = [Check(view, text, partial(_keeps, view, rule, examples)) for rule, text in words.items()]
    return rules + [
        Check(view, f"the transform has SQL for {engine}, with the schema's types", partial(_compiles, view, engine))
        for engine in ENGINES
    ]


@dataclass
class _Audited:
    rows: int = 0
    findings: dict[Rule, Finding] = field(default_factory=dict)


@cache
def _audited(view: FeatureView, examples: int) -> _Audited:
    """The first finding of each rule on generated rows. All rules share the computations."""
    interval, found = interval_of(view), _Audited()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.fixed_dictionaries({each.name: source_rows(each, interval, view.lookback) for each in view.sources}))
    def check(rows: dict[str, Any]) -> None:
        left = [rule for rule in RULES if rule not in found.findings]
        if left:
            with given_rows(view, rows) as (plain, store):
                result = audit(plain, interval, store=store, instants=2, parts=3, rules=left)
            found.rows += result.rows
            found.findings |= {each.rule: each for each in result.findings}

    check()
    return found


def _keeps(view: FeatureView, rule: Rule, examples: int) -> str:
    found = _audited(view, examples)
    assert rule not in found.findings, f"{view} {found.findings[rule]}"
    return "" if found.rows else NOTHING


def _compiles(view: FeatureView, engine: str) -> str:
    assert sql_of(view, engine)
    return ""
