"""An edit that changes what is computed names the features whose meaning it changes; another one changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.comparison import compare
from amora_fs_assets.domain.identity.definition import computing_identity
from amora_fs_assets_tests.domain.identity.projects import HELPERS, VIEWS, shop


def differences(before: Catalogue, after: Catalogue) -> list[str]:
    return [each.what for change in compare(before, after) for each in change.differences]


def edited(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[2]", "[3]"),
        ('FACTOR["k"][0]', 'FACTOR["k"][0] + 1'),
        ("return x *", "return x - x *"),
    ],
    ids=["a number in a list in a dict", "its code", "its arithmetic"],
)
def test_a_changed_helper_names_the_one_feature_that_it_makes(tmp_path: Path, old: str, new: str) -> None:
    before = shop(tmp_path / "before")
    after = shop(tmp_path / "after", helpers=edited(HELPERS, old, new))
    assert differences(before, after) == ["feature 'scaled' is computed differently"]
    assert computing_identity(before.feature_view("v")) != computing_identity(after.feature_view("v"))


@pytest.mark.parametrize(
    ("views", "helpers"),
    [
        (VIEWS, HELPERS.replace("x", "value")),
        (VIEWS, f"{HELPERS}\n    # a word"),
        (VIEWS, edited(HELPERS, "def scaled(x):", 'def scaled(x):\n        """Words."""')),
        (VIEWS, edited(HELPERS, "FACTOR", "TIMES")),
        (VIEWS, edited(HELPERS, "scaled", "other") + "\n    scaled = other"),
        (edited(VIEWS, "paid", "bought"), HELPERS),
        (edited(VIEWS, "orders.amount > 0", "0 < orders.amount"), HELPERS),
        (edited(VIEWS, "from shop import helpers", "from shop import helpers as tools").replace(
            "helpers.scaled", "tools.scaled"), HELPERS),
        (edited(VIEWS, 'plain=paid.amount, scaled=helpers.scaled(paid.amount)',
                'scaled=helpers.scaled(paid.amount), plain=paid.amount'), HELPERS),
        (edited(VIEWS, "return paid.select(", "return paid.mutate(n=paid.amount + 1).select("), HELPERS),
    ],
    ids=["a parameter's name", "a comment", "a docstring", "a constant's name", "a function's name",
         "a variable's name", "a comparison the other way round", "an import's name", "another order of columns",
         "a column that is dropped"],
)  # fmt: skip
def test_an_edit_of_words_and_names_changes_nothing(tmp_path: Path, views: str, helpers: str) -> None:
    before, after = shop(tmp_path / "before"), shop(tmp_path / "after", views=views, helpers=helpers)
    assert differences(before, after) == []
    assert computing_identity(before.feature_view("v")) == computing_identity(after.feature_view("v"))
    assert before.hash == after.hash


def test_a_function_that_is_moved_to_another_package_changes_nothing(tmp_path: Path) -> None:
    before = shop(tmp_path / "before")
    after = shop(tmp_path / "after", helpers="from elsewhere.deep import scaled", elsewhere="", elsewhere__deep=HELPERS)
    assert differences(before, after) == []


def test_a_changed_filter_changes_every_column_and_says_why(tmp_path: Path) -> None:
    before = shop(tmp_path / "before")
    after = shop(tmp_path / "after", views=edited(VIEWS, "orders.amount > 0", "orders.amount >= 0"))
    assert differences(before, after) == ["every column is computed differently: other rows (filters, joins or groups)"]


def test_a_column_that_is_added_touches_no_other(tmp_path: Path) -> None:
    before = shop(tmp_path / "before")
    more = edited(VIEWS, "scaled: int", "scaled: int\n        more: int").replace(
        "plain=paid", "more=paid.amount + 1, plain=paid"
    )
    after = shop(tmp_path / "after", views=more)
    (difference,) = differences(before, after)
    assert difference.startswith("new feature 'more'")
    was, is_ = before.feature_view("v").meaning, after.feature_view("v").meaning
    assert was is not None
    assert is_ is not None
    assert [was.column(name) for name in was.columns] == [is_.column(name) for name in was.columns]
