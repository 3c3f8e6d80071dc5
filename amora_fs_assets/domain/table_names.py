"""The names of all tables that the offline store holds, each written `dataset.table`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amora_fs_assets.domain.feature_view import FeatureView
    from amora_fs_assets.domain.source import Source

STAGED = "_staged_"
"""The prefix of the names of staged tables."""

_TRAINING_SET = "training_set_"


def table_name(definition: Source | FeatureView, dataset: str) -> str:
    """The table with the rows of a source or a feature view."""
    return definition.table or f"{dataset}.{definition.name}"


def version_table(name: str, version: str, dataset: str) -> str:
    """The table with the rows of one version of a training set."""
    return f"{dataset}.{_TRAINING_SET}{name}_{version.replace('-', '_').lower()}"


def is_version_table(table: str, name: str) -> bool:
    """Whether the table can be a version of the training set `name`."""
    return table.rpartition(".")[2].startswith(f"{_TRAINING_SET}{name}_")


def staged_table(name: str, run_id: str, dataset: str) -> str:
    """The table with the rows that a run staged for a definition, before their publication."""
    return f"{dataset}.{STAGED}{name}_{hashlib.sha256(run_id.encode()).hexdigest()[:12]}"


def publications_table(dataset: str) -> str:
    """The log of all publications."""
    return f"{dataset}._publications"


def applied_table(dataset: str) -> str:
    """The applied definition of each feature view, for publications to compare with."""
    return f"{dataset}._applied"


def sequence_table(dataset: str) -> str:
    """One row with the newest sequence, for stores whose transactions conflict only on changed rows."""
    return f"{dataset}._sequence"


def dropped_table(name: str, dataset: str) -> str:
    """The keys of a feature view that lost all their rows of an interval, by publication."""
    return f"{dataset}._dropped_{name}"


def pushed_table(name: str, dataset: str) -> str:
    """The rows that were pushed to a feature view, by publication: keys and times."""
    return f"{dataset}._pushed_{name}"
