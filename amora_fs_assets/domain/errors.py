"""The tree of errors. Every message names the thing and the fix.

FeatureStoreError
├── DefinitionError               an argument or function of a definition is wrong (raised at import)
│   └── UnsupportedType           a column's type is not supported by the stores
├── DefinitionNotApplied          the code differs from the registry: run `amora-fs apply`
├── BreakingChanges               applying would break reads: `amora-fs apply --allow-breaking`
├── LeaksFound                    a new or changed view looks into the future: `amora-fs apply --allow-leaks`
├── NotFound
│   ├── EntityNotFound
│   ├── SourceNotFound
│   ├── FeatureViewNotFound
│   ├── FeatureNotFound
│   ├── FeatureServiceNotFound
│   ├── TrainingSetNotFound
│   └── TableNotFound             a table was never filled
├── InvalidRequest                wrong arguments: missing join key, wrong type, name clash
├── SourceMismatch                a source's table does not match its schema
├── TransformError                a transform returned columns or types that do not match its schema
├── TrainingSetAltered            a version's table is missing, or its rows changed since they were built
├── ChecksFailed                  the gate: rows broke the schema, nothing was published
├── ViewsFailed                   some of several views failed: the message names each of them and the reason
├── ViewSkipped                   a view was not computed, since a view that it reads failed
├── SettingsError                 a setting is missing or malformed
├── RegistryError
│   ├── RegistryConflict          another apply moved the head first
│   └── RegistryCorrupt           an object does not match its hash or format
├── OfflineStoreError
│   ├── OfflineStoreBusy          another process holds the embedded database
│   ├── PublicationRefused        another run published the same interval meanwhile: run the computation again
│   └── BudgetExceeded            a query would scan more bytes than the settings allow
└── OnlineStoreError
    ├── OnlineStateLost           Redis was emptied: load the view again
    └── OnlineStoreUnavailable    Redis cannot be reached
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from reprlib import Repr
from typing import Any, Self


class FeatureStoreError(Exception):
    """Base of all errors that this package raises on purpose. Messages are always printable."""

    def __str__(self) -> str:
        return super().__str__().encode("utf-8", "backslashreplace").decode("utf-8")


def message_of(error: BaseException) -> str:
    """The message of an error, for records. Other packages' errors get their type too: `KeyError: 'amount'`."""
    return str(error) if isinstance(error, FeatureStoreError) else f"{type(error).__name__}: {error}"


def shown(value: object) -> str:
    """A value as text for messages: one short line, whatever its `repr` returns."""
    short = Repr()
    short.maxstring = short.maxother = 60
    return " ".join(short.repr(value).split())


class DefinitionError(FeatureStoreError):
    """A definition is wrong."""


class UnsupportedType(DefinitionError):
    """A column has a type that the stores do not support."""


class DefinitionNotApplied(FeatureStoreError):
    """The code's definition differs from the definition in the registry."""


class BreakingChanges(FeatureStoreError):
    """Applying the code would break reads."""


class LeaksFound(FeatureStoreError):
    """Views that would be applied look into the future, or depend on how time is divided."""

    def __init__(self, findings: Sequence[str]) -> None:
        self.findings = "\n".join(findings)
        super().__init__(
            "Nothing was applied, since rows depend on more than was known at their event_timestamp, or on how time is "
            f"divided.\n{self.findings}\nCorrect the transform: see docs/writing-features.md. To apply it as it is: "
            "`amora-fs apply --allow-leaks` or `fs.apply(allow_leaks=True)`. AMORA_FS_AUDIT_AT_APPLY=false turns the "
            "audit off."
        )


class NotFound(FeatureStoreError):
    """No definition has the name."""

    kind = "Definition"

    @classmethod
    def named(cls, name: str, known: Iterable[str]) -> Self:
        """The error for `name`, with the nearest of the `known` names as a hint."""
        known, name = sorted(known), name if len(name) <= 200 else f"{name[:200]}..."
        near = get_close_matches(name, known, n=1)
        if near:
            hint = f"Did you mean '{near[0]}'?"
        else:
            hint = f"Known: {', '.join(known)}." if known else "The registry has none yet: run `amora-fs apply`."
        return cls(f"{cls.kind} '{name}' is not known. {hint}")


class EntityNotFound(NotFound):
    """No entity of that name."""

    kind = "Entity"


class SourceNotFound(NotFound):
    """No source of that name."""

    kind = "Source"


class FeatureViewNotFound(NotFound):
    """No feature view of that name."""

    kind = "Feature view"


class FeatureNotFound(NotFound):
    """No feature of that name in its view."""

    kind = "Feature"


class FeatureServiceNotFound(NotFound):
    """No feature service of that name or version."""

    kind = "Feature service"


class TrainingSetNotFound(NotFound):
    """No training set of that name or version."""

    kind = "Training set"


class TableNotFound(NotFound):
    """A table was never filled."""

    kind = "Table"


class InvalidRequest(FeatureStoreError, ValueError):
    """The arguments of a request are wrong."""


class SourceMismatch(FeatureStoreError):
    """A source's table does not match its schema."""


class TransformError(FeatureStoreError):
    """A transform returned columns or types that do not match its schema."""


class TrainingSetAltered(FeatureStoreError):
    """A training set's version is missing, or its rows changed since they were built."""


class ChecksFailed(FeatureStoreError):
    """Rows broke the schema's rules, so the gate published nothing."""


class ViewSkipped(FeatureStoreError):
    """A view was not computed, since a view that it reads failed."""


class ViewsFailed(FeatureStoreError):
    """Some of several views failed. Every view was tried; the results of the other views stay."""

    def __init__(self, verb: str, results: Mapping[str, Any], errors: Mapping[str, Exception]) -> None:
        """List each failed view with its error; views with the same error are listed together."""
        self.results = dict(results)
        """Results by view; for a view that failed halfway, its results until then."""
        self.errors = dict(errors)
        """Errors by view."""
        by_message: dict[str, list[str]] = {}
        for name, error in self.errors.items():
            by_message.setdefault(message_of(error), []).append(f"'{name}'")
        done = [f"'{name}'" for name in self.results if name not in self.errors]
        reasons = " ".join(f"{', '.join(names)}: {message}" for message, names in by_message.items())
        rest = f" Done: {', '.join(done)}." if done else ""
        count = len(self.errors)
        super().__init__(f"{verb}: {count} feature view{'s' * (count != 1)} failed. {reasons}{rest}")


class SettingsError(FeatureStoreError, ValueError):
    """A setting is missing or malformed."""


class RegistryError(FeatureStoreError):
    """The registry could not be read or written."""


class RegistryConflict(RegistryError):
    """Another apply moved the head first."""


class RegistryCorrupt(RegistryError):
    """An object of the registry does not match its hash or its format."""


class OfflineStoreError(FeatureStoreError):
    """The offline store could not do an operation."""


class PublicationRefused(OfflineStoreError):
    """Another run published the same interval after this run had begun to read."""


class OfflineStoreBusy(OfflineStoreError):
    """Another process holds the embedded database."""


class BudgetExceeded(OfflineStoreError):
    """A query would cost more than the settings allow; it was not run."""


class OnlineStoreError(FeatureStoreError):
    """The online store could not do an operation."""


class OnlineStateLost(OnlineStoreError):
    """A view was loaded, but the online store no longer has its data."""


class OnlineStoreUnavailable(OnlineStoreError):
    """Redis cannot be reached."""


FINAL: tuple[type[FeatureStoreError], ...] = (
    DefinitionError,
    DefinitionNotApplied,
    BreakingChanges,
    InvalidRequest,
    SourceMismatch,
    TransformError,
    ChecksFailed,
    SettingsError,
    BudgetExceeded,
)
"""Errors in code, settings or rows: a retry fails again until a person fixes the cause. Any other error may pass by
itself: a busy file, a network, a quota, an external table that is not filled yet."""
