"""Hashes of definitions: of all that they say, and of what determines a view's rows."""

from __future__ import annotations

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.fingerprint import canonical_json, content_hash
from amora_fs_assets.domain.identity.meaning import Meaning
from amora_fs_assets.domain.names import CREATED_TIMESTAMP
from amora_fs_assets.domain.places import place
from amora_fs_assets.domain.protocol import Applied
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.training_set import TrainingSet


def definition_hash(definition: FeatureView | TrainingSet) -> str:
    """SHA-256 of a definition and all definitions it refers to, to compare code and registry."""
    return Catalogue.of([definition]).hash


def hash_before_meanings(view: FeatureView) -> str:
    """The `definition_hash` of releases before meanings, to compare with their publications."""
    plain = Catalogue.of([view]).to_plain()
    for each in (*plain["sources"], *plain["feature_views"]):
        each.pop("loader", None)
        each.pop("meaning", None)
    return content_hash({part: plain[part] for part in _BEFORE_MEANINGS})


_BEFORE_MEANINGS = ("format", "entities", "sources", "feature_views", "feature_services", "training_sets")


def computing_identity(view: FeatureView) -> str:
    """SHA-256 of all that determines a view's rows: code, columns, rules, sources, lookback.

    Owner, description and tags are left out.
    """
    return _identity_by(view, view.meaning)


def applied_of(catalogue: Catalogue, name: str) -> Applied:
    """The view's row in `<dataset>._applied`, for publications to compare with."""
    view_id, identity = catalogue.view_ids.get(name, ""), computing_identity(catalogue.feature_view(name))
    return Applied(view=name, view_id=view_id, identity=identity, applied_number=catalogue.number)


def _identity_by(view: FeatureView, meaning: Meaning | None) -> str:
    return _identity(view, view.code_hash if meaning is None else meaning.to_plain())


def _identity(view: FeatureView, code: object) -> str:
    columns = [[c.name, c.type, c.nullable, sorted(map(str, c.rules))] for c in view.row_columns]
    sources: list[list[object]] = [
        [s.name]
        if isinstance(s, FeatureView)
        else [s.name, s.table, s.timestamp_field, s.available_at, str(s.valid_from), *_bound(s), *_place(s)]
        for s in view.sources
    ]
    where = [view.table, view.timestamp_field, view.join_keys, view.lookback.total_seconds(), *_place(view)]
    return content_hash([code, where, sorted(columns), sorted(sources, key=canonical_json)])


def _bound(source: Source) -> list[float]:
    """The source's max_lateness [s]; empty without one, so that identities of earlier releases stay the same."""
    return [] if source.max_lateness is None else [source.max_lateness.total_seconds()]


def _place(definition: Source | FeatureView) -> list[object]:
    """What says where rows are beside the table; empty for a plain table, so that earlier identities stay the same."""
    created = definition.created_timestamp_column if isinstance(definition, FeatureView) else CREATED_TIMESTAMP
    other = {} if created == CREATED_TIMESTAMP else {"created_timestamp_column": created}
    ends = definition.valid_to_field if isinstance(definition, FeatureView) else None
    found = place.to_plain(definition.where) | other | ({} if ends is None else {"valid_to_field": ends})
    return [found] if found else []


def code_version(definition: FeatureView | TrainingSet) -> str:
    """The code version in Dagster: twelve hex digits of what a view or a training set's spine computes.

    The transform runs once here. `apply` runs the transform twice, and refuses a transform that varies.
    """
    if isinstance(definition, FeatureView):
        return _identity_by(definition, definition.meaning_of_one_run())[:12]
    return definition.code_hash[:12] if definition.meaning is None else content_hash(definition.meaning.to_plain())[:12]
