"""The page about sessions and funnels: its code runs, and its views equal plain Python in any partitions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets import FeatureView, Interval
from amora_fs_assets.testing import assert_splits, compute

PAGE = (Path(__file__).parents[1] / "docs" / "sessions-and-funnels.md").read_text()
MINUTE = timedelta(minutes=1)
START = datetime(2026, 1, 5, tzinfo=UTC)
END = START + timedelta(days=2)
DAY = timedelta(days=1)


def code() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": __name__}
    for block in PAGE.split("```python\n")[1:]:
        exec(compile(block.split("```")[0], "page", "exec", dont_inherit=True), names)
    return names


NAMES = code()
Click = tuple[str, datetime, str]
times = st.one_of(
    st.integers(-26 * 2, 48 * 2).map(lambda half: START + 30 * half * MINUTE),
    st.integers(-26 * 60, 48 * 60 - 1).map(lambda minutes: START + minutes * MINUTE),
    st.integers(-90, 90).map(lambda minutes: START + minutes * MINUTE),
)
clicks = st.lists(st.tuples(st.sampled_from("ab"), times, st.sampled_from(["view", "cart", "pay"])), max_size=25)
cuts = st.lists(st.integers(1, 47), max_size=2).map(
    lambda hours: sorted({START, *(START + timedelta(hours=hour) for hour in hours), END})
)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("test_")])
def test_the_page_passes_its_own_tests(name: str) -> None:
    NAMES[name]()


def sessions(given: list[Click]) -> set[tuple[Any, ...]]:
    """Customer, end, clicks and length of each session that ends within the two days."""
    found = set()
    for customer in "ab":
        own = sorted(at for who, at, _ in given if who == customer)
        session: list[datetime] = []
        for at, following in zip_longest(own, own[1:]):
            session.append(at)
            if following is None or following >= at + 30 * MINUTE:
                if START <= at + 30 * MINUTE < END and session[-1] - session[0] < DAY:
                    found.add((customer, at + 30 * MINUTE, len(session), (session[-1] - session[0]).total_seconds()))
                session = []
    return found


def funnels(given: list[Click]) -> set[tuple[Any, ...]]:
    """Customer, time, and furthest step with the newest view from which it was reached in order within a day."""
    found = set()
    for customer, now, _ in given:
        if not START <= now < END:
            continue
        own = {step: [at for who, at, what in given if who == customer and what == step and now - DAY <= at <= now]
               for step in ("view", "cart", "pay")}  # fmt: skip
        viewed = own["view"]
        carted = [view for view in viewed for cart in own["cart"] if view <= cart]
        paid = [view for view in viewed for cart in own["cart"] for pay in own["pay"] if view <= cart <= pay]
        step = 3 if paid else 2 if carted else 1 if viewed else 0
        found.add((customer, now, step, max(paid or carted or viewed, default=None)))
    return found


VIEWS: dict[str, tuple[Callable[[list[Click]], set[tuple[Any, ...]]], tuple[str, str]]] = {
    "last_session": (sessions, ("clicks", "seconds")),
    "funnel": (funnels, ("step", "since")),
}


def compare(name: str, given: list[Click], cuts: list[datetime]) -> None:
    """A computation in parts gives exactly the rows of the definition."""
    oracle, columns = VIEWS[name]
    rows = [dict(zip(("customer", "at", "step"), click, strict=True)) for click in given]
    found = [
        (row["customer"], row["event_timestamp"], *(row[column] for column in columns))
        for start, end in pairwise(cuts)
        for row in compute(NAMES[name], Interval(start, end), clicks=rows).to_pylist()
    ]
    assert len(set(found)) == len(found)
    assert set(found) == oracle(given)


@pytest.mark.slow
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_of_the_page_equals_plain_python_in_any_partitions(name: str) -> None:
    @settings(
        max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), phases=set(Phase) - {Phase.shrink}
    )
    @given(clicks, cuts)
    def check(given: list[Click], cuts: list[datetime]) -> None:
        compare(name, given, cuts)

    check()


def test_a_session_of_a_day_or_more_gives_no_row_in_any_partitions() -> None:
    midnight = START + timedelta(days=1)
    robot = [("a", midnight + 20 * n * MINUTE, "view") for n in range(-80, 20)]
    long = [("b", midnight + 29 * n * MINUTE, "view") for n in range(-24, 24)]
    assert len(sessions([*robot, *long])) == 1
    compare("last_session", [*robot, *long], [START, midnight, midnight + 12 * timedelta(hours=1), END])


def test_the_audit_finds_a_session_that_is_cut_at_the_end_of_a_partition() -> None:
    view: FeatureView = NAMES["last_session"]
    cut = FeatureView(
        view.name, NAMES["Session"], view.entities, view.sources, transform=view.transform, start="2026-01-01"
    )
    with pytest.raises(AssertionError, match="differs in parts"):
        assert_splits(cut, NAMES["TWO_DAYS"], clicks=NAMES["CLICKS"])
