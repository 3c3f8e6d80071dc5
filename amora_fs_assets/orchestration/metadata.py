"""Metadata for the Dagster UI: schemas, lineage, failing rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.job_costs import costs
from amora_fs_assets.domain.records import CheckResult, ColumnLineage, RunRecord
from amora_fs_assets.orchestration.names import NAMES, Names

DATA_VERSION = "dagster/data_version"
"""The tag with the data version of a materialization."""


def column_schema(columns: Sequence[Column]) -> dg.TableSchema:
    """A table's columns with types, descriptions and rules."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.type),
                description=column.description or None,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, other=[rule.words for rule in column.rules]
                ),
            )
            for column in columns
        ]
    )


def record_metadata(run: RunRecord, where: str, code: Catalogue, names: Names = NAMES) -> dict[str, Any]:
    """The metadata of a run from its record at the location `where`."""
    return {
        "rows written" if run.kind in _TO_READERS else "dagster/row_count": run.rows,
        "registry record": where,
        **({"interval": str(run.interval), "clipped rows": run.clipped_rows} if run.interval else {}),
        **{name: _shares(name, value) for name, value in run.details.items()},
        **costs(run.jobs),
        **({"publication": run.sequence} if run.sequence is not None else {}),
        **(lineage_metadata(run.column_lineage, code, names) if run.column_lineage else {}),
    }


_TO_READERS = {"materialize", "push", "rollback", "unpin"}
"""Runs whose `rows` are the rows that they wrote, rather than all rows of the asset."""


def _shares(name: str, value: Any) -> Any:
    """Null rates and label balance as a table with the columns and shares; other values unchanged."""
    heading = {"null rates": "null [%]", "label balance": "true [%]"}.get(name)
    if heading is None:
        return value
    rows = [dg.TableRecord({"column": column, heading: f"{100 * (share or 0):.2f}"}) for column, share in value.items()]
    return dg.MetadataValue.table(rows, schema=_text_table(["column", heading])) if rows else "no label is a boolean"


def lineage_metadata(lineage: ColumnLineage, code: Catalogue, names: Names = NAMES) -> dict[str, Any]:
    """Column lineage in Dagster's form, and as a table, since the open-source UI does not draw column lineage."""

    def key(name: str) -> dg.AssetKey:
        return names.key("feature_view" if name in code.feature_views else "raw", name)

    deps = {
        column: [dg.TableColumnDep(asset_key=key(source.name), column_name=source.column) for source in sources]
        for column, sources in lineage.items()
    }
    rows = [
        dg.TableRecord({"column": column, "made from": ", ".join(f"{s.name}.{s.column}" for s in sources) or "-"})
        for column, sources in lineage.items()
    ]
    return {
        "dagster/column_lineage": dg.TableColumnLineage(deps_by_column=deps),
        "column lineage": dg.MetadataValue.table(rows, schema=_text_table(["column", "made from"])),
    }


def words_of(view: FeatureView | None) -> dict[str, str]:
    """The rules of a view's columns in words, by their names in records."""
    columns = view.row_columns if view is not None else ()
    return {str(rule): rule.words for column in columns for rule in column.rules}


def check_result(
    result: CheckResult, asset_key: dg.AssetKey, words: Mapping[str, str] | None = None
) -> dg.AssetCheckResult:
    """A check's result for the UI: the number of failed rows per rule, and examples. `words` come from `words_of`."""
    known = {"not null": "null", "unique": "rows of the same key"}
    rules = {rule.rule: (words or {}).get(rule.rule, rule.rule) for rule in result.rules}
    broken = {known.get(rule.rule, f"not {rules[rule.rule]}"): rule.failed_rows for rule in result.rules}
    metadata: dict[str, Any] = dict(broken)
    if result.failing_rows:
        names = list(result.failing_rows[0])
        records = [dg.TableRecord({name: _cell(row[name]) for name in names}) for row in result.failing_rows]
        metadata["failing rows"] = dg.MetadataValue.table(records, schema=_text_table(names))
    return dg.AssetCheckResult(
        passed=result.passed,
        asset_key=asset_key,
        check_name=result.name,
        severity=dg.AssetCheckSeverity.ERROR,
        description=_holds(rules.values())
        if result.passed
        else f"{', '.join(f'{count:,} {name}' for name, count in broken.items() if count)}: not published.",
        metadata=metadata,
    )


def _holds(rules: Iterable[str]) -> str:
    """The description of a passed check."""
    passed_rules = ", ".join("one row per key" if rule == "unique" else rule for rule in rules)
    return f"Every row passes: {passed_rules}." if passed_rules else "Every value is accepted."


def _text_table(names: Sequence[str]) -> dg.TableSchema:
    return dg.TableSchema(columns=[dg.TableColumn(name=name, type="string") for name in names])


def _cell(value: Any) -> str:
    return "null" if value is None else str(value)


def tags_of(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that Dagster accepts: those with a value."""
    return {name: value for name, value in tags.items() if value}


def owners_of(owner: str) -> list[str] | None:
    """The owner in Dagster's form."""
    return [owner] if owner else None
