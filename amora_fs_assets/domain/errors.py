"""What can go wrong, as one tree. Every message names the thing and says how to mend it.

FeatureStoreError
├── DefinitionError               a view, source, service or training set is written wrongly (raised at import)
│   └── UnsupportedType           a column of a type that the stores do not carry
├── DefinitionNotApplied          the code differs from the registry: run `amora-fs apply`
├── BreakingChanges               applying would break what is read: `amora-fs apply --allow-breaking`
├── NotFound
│   ├── EntityNotFound
│   ├── SourceNotFound
│   ├── FeatureViewNotFound
│   ├── FeatureNotFound
│   ├── FeatureServiceNotFound
│   ├── TrainingSetNotFound
│   └── TableNotFound             a table that was never filled
├── InvalidRequest                arguments that cannot be answered: missing join key, wrong type, name clash
├── SourceMismatch                a source's table is not what its schema declares
├── TransformError                a transform returned other columns or types than its schema declares
├── TrainingSetAltered            a version's table is gone, or holds other rows than were built
├── ChecksFailed                  the gate: rows broke the schema, nothing was published
├── ViewsFailed                   of several views some failed: each was tried, its message names each and why
├── ViewSkipped                   a view was not computed, since one that it reads failed
├── SettingsError                 a setting that is missing or malformed
├── RegistryError
│   ├── RegistryConflict          somebody else moved the head first
│   └── RegistryCorrupt           an object does not match its hash or format
├── OfflineStoreError
│   ├── OfflineStoreBusy          another process holds the embedded database
│   ├── PublicationRefused        another run published the same interval meanwhile: run it again
│   └── BudgetExceeded            a query would scan more bytes than the settings allow
└── OnlineStoreError
    ├── OnlineStateLost           Redis was emptied: load the view again
    └── OnlineStoreUnavailable    Redis cannot be reached
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from reprlib import Repr
from typing import Any, Self


class FeatureStoreError(Exception):
    """Base of everything that this package raises on purpose. Its message can be printed, whatever values it shows."""

    def __str__(self) -> str:
        return super().__str__().encode("utf-8", "backslashreplace").decode("utf-8")


def message_of(error: BaseException) -> str:
    """What is kept of an error: its message; of one that is not ours its kind too, since `'amount'` says little."""
    return str(error) if isinstance(error, FeatureStoreError) else f"{type(error).__name__}: {error}"


def shown(value: object) -> str:
    """Any value as messages show it: on one line and short, whatever its own `repr` does."""
    short = Repr()
    short.maxstring = short.maxother = 60
    return " ".join(short.repr(value).split())


class DefinitionError(FeatureStoreError):
    """A definition is written wrongly."""


class UnsupportedType(DefinitionError):
    """A column has a type that the stores do not carry."""


class DefinitionNotApplied(FeatureStoreError):
    """The code's definition is not the one that the registry holds."""


class BreakingChanges(FeatureStoreError):
    """Applying the code would break what somebody reads."""


class NotFound(FeatureStoreError):
    """A name that nobody defined."""

    kind = "object"

    @classmethod
    def named(cls, name: str, known: Iterable[str]) -> Self:
        """The error for `name`, with the nearest of the `known` names as a hint."""
        known, name = sorted(known), name if len(name) <= 200 else f"{name[:200]}..."
        near = get_close_matches(name, known, n=1)
        if near:
            hint = f"Did you mean '{near[0]}'?"
        else:
            hint = f"Known: {', '.join(known)}." if known else "The registry holds none yet: run `amora-fs apply`."
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
    """A table that was never filled."""

    kind = "Table"


class InvalidRequest(FeatureStoreError, ValueError):
    """Arguments that cannot be answered as they are."""


class SourceMismatch(FeatureStoreError):
    """A source's table is not what its schema declares."""


class TransformError(FeatureStoreError):
    """A transform returned other columns or types than its schema declares."""


class TrainingSetAltered(FeatureStoreError):
    """A version of a training set is not what it was when it was built."""


class ChecksFailed(FeatureStoreError):
    """The gate held: rows broke the schema and nothing was published."""


class ViewSkipped(FeatureStoreError):
    """A view was not computed, since one that it reads failed."""


class ViewsFailed(FeatureStoreError):
    """Of several views some failed. Every view was tried; what the others did is done."""

    def __init__(self, verb: str, results: Mapping[str, Any], errors: Mapping[str, Exception]) -> None:
        """Say each view that failed and why; views that failed in the same words together."""
        self.results = dict(results)
        """By view what it gave; of a view that failed half way what it gave until then."""
        self.errors = dict(errors)
        """By view why it failed."""
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
    """Somebody else moved the head first."""


class RegistryCorrupt(RegistryError):
    """An object of the registry does not match its hash or its format."""


class OfflineStoreError(FeatureStoreError):
    """The offline store could not do what was asked."""


class PublicationRefused(OfflineStoreError):
    """Another run published the same interval after this one had begun to read."""


class OfflineStoreBusy(OfflineStoreError):
    """Another process holds the embedded database."""


class BudgetExceeded(OfflineStoreError):
    """A query would cost more than the settings allow; it was not run."""


class OnlineStoreError(FeatureStoreError):
    """The online store could not do what was asked."""


class OnlineStateLost(OnlineStoreError):
    """A view was loaded, and the online store has nothing of it any more."""


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
"""Errors of what was written or of the rows, which the same work meets again until a person mends something. All others
may pass by themselves: a busy file, a network, a quota, a table that somebody else fills."""
