"""Publications in the offline store, and run records in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from amora_fs_assets.domain.job_costs import Job
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.types import DataType

RunKind = Literal[
    "load_source",
    "compute",
    "check",  # of an external table
    "materialize",
    "push",
    "rollback",
    "unpin",
    "parity",
    "training_set",
    "prune",  # of a version of a training set
    "hold",
    "release",
]
RunStatus = Literal["succeeded", "failed"]
PUSH = "push-"
"""The prefix of the run ids of pushes. The prefix distinguishes pushed publications from computed ones."""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A row of `<dataset>._publications`: one interval of one table was replaced.

    Sequences grow by one from 1 over all tables of a dataset, in the order of the publications' transactions.
    """

    sequence: int
    name: str  # of the feature view, source or training set
    table: str
    start: datetime | None  # None: the whole table
    end: datetime | None
    rows: int
    run_id: str
    definition_hash: str
    schema_hash: str
    sql_hash: str
    published_at: datetime
    # Null for publications of earlier releases, and for rows that no transform computed:
    identity: str | None = None  # the computing identity of the view that made the rows
    inputs: str | None = None  # what the computation read, as JSON: see `operations/offline/inputs.py`
    computed_from: datetime | None = None  # the rows are those of [computed_from, computed_until),
    computed_until: datetime | None = None  # the clock at most, also where the whole table was replaced
    # The identities of docs/protocol.md; null for publications of earlier releases.
    publication_id: str | None = None
    view_id: str | None = None
    incarnation: str | None = None  # of the table that holds the rows

    @property
    def pushed(self) -> bool:
        """Whether the rows were pushed. Pushed rows are added to computed rows, and cover no interval."""
        return self.run_id.startswith(PUSH)

    @property
    def computed(self) -> Interval | None:
        """The interval that was computed, for a whole table too; None if unknown."""
        if self.computed_from is None or self.computed_until is None:
            return None
        return Interval(self.computed_from, self.computed_until)


PUBLICATION_COLUMNS: Mapping[str, DataType] = {
    "sequence": DataType.INT64,
    "name": DataType.STRING,
    "table": DataType.STRING,
    "start": DataType.TIMESTAMP,
    "end": DataType.TIMESTAMP,
    "rows": DataType.INT64,
    "run_id": DataType.STRING,
    "definition_hash": DataType.STRING,
    "schema_hash": DataType.STRING,
    "sql_hash": DataType.STRING,
    "published_at": DataType.TIMESTAMP,
    "identity": DataType.STRING,
    "inputs": DataType.STRING,
    "computed_from": DataType.TIMESTAMP,
    "computed_until": DataType.TIMESTAMP,
    "publication_id": DataType.STRING,
    "view_id": DataType.STRING,
    "incarnation": DataType.STRING,
}
"""The columns of `<dataset>._publications`, on every engine: the fields of Publication, in its order.

To add a column: add the field, with the default None, to Publication and to Draft (`domain/ports/offline.py`), and a
line here. Both engines create the column, add the column to tables of earlier releases at the next publication, and
read the column as null until then.
"""


@dataclass(frozen=True, kw_only=True)
class Input:
    """An input of a run: a table, and the newest publication of the table, if the table has publications."""

    name: str
    table: str
    sequence: int | None = None


@dataclass(frozen=True, kw_only=True)
class Output:
    """An output of a run: a publication of a table, or an online generation that became live."""

    name: str
    table: str = ""
    sequence: int | None = None
    generation: int | None = None


@dataclass(frozen=True, kw_only=True)
class RuleResult:
    """One rule of one check: how many rows broke it."""

    rule: str
    failed_rows: int


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The result of one check: of a column, of the uniqueness of keys, or of the parity of online data."""

    name: str
    rules: tuple[RuleResult, ...]
    failing_rows: tuple[dict[str, Any], ...] = ()  # a few of them, JSON-ready

    @property
    def passed(self) -> bool:
        """Whether every row passed every rule."""
        return all(rule.failed_rows == 0 for rule in self.rules)

    @property
    def failed_rows(self) -> int:
        """The number of rows that broke a rule, summed over the rules."""
        return sum(rule.failed_rows for rule in self.rules)


@dataclass(frozen=True, kw_only=True)
class SourceColumn:
    """A column of an input."""

    name: str  # of the source or feature view
    column: str


ColumnLineage = dict[str, tuple[SourceColumn, ...]]
"""For each column that a run wrote, the columns that it was made from."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What one run did to one definition, successful or not. A record is written once and never changed."""

    kind: RunKind
    name: str
    run_id: str
    status: RunStatus
    started_at: datetime
    finished_at: datetime
    interval_start: datetime | None = None
    interval_end: datetime | None = None
    rows: int = 0
    clipped_rows: int = 0
    bytes: int | None = None  # scanned, as the engine reports; None for an engine that does not report, such as DuckDB
    sequence: int | None = None
    commit: str = ""  # the git commit of the feature code, with "-dirty" for local changes; empty: unknown
    code_version: str = ""  # a hash of the view's code, columns and sources
    definition_hash: str = ""
    schema_hash: str = ""
    sql_hash: str = ""
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    column_lineage: ColumnLineage = field(default_factory=dict)
    jobs: tuple[Job, ...] = ()  # of the offline store, if the engine reports jobs
    details: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    completed: bool = False  # a later run wrote this record from `_publications`, since this run was killed

    @property
    def duration(self) -> timedelta:
        """The duration of the run."""
        return self.finished_at - self.started_at

    @property
    def interval(self) -> Interval | None:
        """The computed interval, if the run computed one."""
        if self.interval_start is None or self.interval_end is None:
            return None
        return Interval(self.interval_start, self.interval_end)


@dataclass(frozen=True, kw_only=True)
class Ancestor:
    """A reference to an older snapshot, so that a search for a time need not read every snapshot in between."""

    hash: str
    number: int
    applied_at: datetime


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A state of the catalogue with its parent, named by the hash of its content."""

    hash: str  # of the parent, the time and the catalogue: applying an older catalogue again makes a new snapshot
    parent: str | None
    applied_at: datetime  # never before the parent's
    catalogue_hash: str  # of the definitions alone: equal definitions have equal hashes
    number: int = 1  # 1, 2, and so on
    ancestors: tuple[Ancestor, ...] = ()  # the last earlier snapshots whose numbers are divisible by 1, 2, 4, 8, ...

    @property
    def ancestors_of_next(self) -> tuple[Ancestor, ...]:
        """The ancestors of the snapshot after this one, oldest first."""
        known = {each.number: each for each in self.ancestors}
        known[self.number] = Ancestor(hash=self.hash, number=self.number, applied_at=self.applied_at)
        divisible = {self.number >> power << power for power in range(self.number.bit_length())}
        return tuple(known[number] for number in sorted(divisible & known.keys()))
