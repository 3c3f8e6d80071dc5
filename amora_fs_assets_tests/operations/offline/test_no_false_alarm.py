"""The audit finds nothing in a thousand random views that do not look ahead."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from amora_fs_assets.operations.offline.audit import audit
from amora_fs_assets_tests.operations.offline.causal_views import SHAPES, InMemory, causal_views, tables

THOUSAND = {
    "row_wise": 150, "preceding_rows": 170, "preceding_time": 170, "periods": 170, "windows": 40, "joined_as_of": 70,
    "over_a_view": 160, "two_tables": 70,
}  # fmt: skip


@pytest.fixture(scope="module")
def store() -> Iterator[InMemory]:
    found = InMemory(tables())
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _uncollected() -> Iterator[None]:
    """A third of the time would be spent on looking for cycles among the objects of expressions."""
    gc.disable()
    yield
    gc.enable()
    gc.collect()


def _audited(shape: str, number: int, store: InMemory, part: int = 0) -> Counter[str]:
    """Audit a number of random views of the shape. Returns how many there were, and how many had rows to compare."""
    counted: Counter[str] = Counter()

    @seed(part)
    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def check(data: st.DataObject) -> None:
        view, interval = data.draw(causal_views(shape))
        found = audit(view, interval, store=store, instants=1, parts=data.draw(st.sampled_from((0, 0, 1, 2))))
        assert found.passed, "\n".join(map(str, found.findings))
        counted.update(views=1, compared=found.rows > 0)

    check()
    return counted


@pytest.mark.parametrize("shape", SHAPES)
def test_causal_views_of_each_shape_pass(shape: str, store: InMemory) -> None:
    assert _audited(shape, 2, store)["views"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("part", [1, 2])
@pytest.mark.parametrize("shape", THOUSAND)
def test_a_thousand_causal_views_pass(shape: str, part: int, store: InMemory) -> None:
    half = THOUSAND[shape] // 2
    counted = _audited(shape, half, store, part)
    assert counted["views"] == half
    assert counted["compared"] > half / 2  # filters may leave no row of an interval


def test_there_are_a_thousand_of_all_shapes() -> None:
    assert (sum(THOUSAND.values()), set(THOUSAND)) == (1_000, set(SHAPES))
