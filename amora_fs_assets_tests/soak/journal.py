"""The journal of a history: the model, the clock of both, what was done, and how a wrong answer is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from amora_fs_assets_tests.soak.model import Model
from amora_fs_assets_tests.soak.world import START, Row, View


class WrongError(AssertionError):
    """The store gave, or did, what it must not."""


class Party(Protocol):
    """Who does operations: a worker, or the executor of this process."""

    def ask(self, command: str, *, kill_after: float | None = None, **arguments: Any) -> tuple[str, Any]:
        """What came of an operation."""

    def restart(self) -> None:
        """Begin anew, with nothing in memory."""


@dataclass
class Counts:
    """What a history went through."""

    operations: int = 0
    values: int = 0
    faults: int = 0
    by_operation: dict[str, int] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """What another history went through, too."""
        self.operations += other.operations
        self.values += other.values
        self.faults += other.faults
        for name, count in other.by_operation.items():
            self.by_operation[name] = self.by_operation.get(name, 0) + count


class Journal:
    """The model of the store, and the log of what was done to both."""

    def __init__(self, views: Mapping[str, View], now: datetime) -> None:
        self.model = Model(dict(views))
        self.now = now
        self.counts = Counts()
        self.log: list[str] = []

    @property
    def days(self) -> float:
        """Days lived."""
        return (self.now - START) / timedelta(days=1)

    def note(self, operation: str, **arguments: Any) -> None:
        """Keep the operation in the log."""
        self.counts.operations += 1
        self.counts.by_operation[operation] = self.counts.by_operation.get(operation, 0) + 1
        said = ", ".join(f"{name}={brief(value)}" for name, value in arguments.items() if value is not None)
        self.log.append(f"{self.now:%Y-%m-%d %H:%M:%S}  {operation}({said})")

    def wrong(self, what: str) -> WrongError:
        """The error, with the moment at which it came."""
        return WrongError(f"At {self.now.isoformat()}, after {self.log[-1] if self.log else 'nothing'}:\n{what}")

    def done(self, answer: tuple[str, Any]) -> Any:
        """The value of an operation that must not be refused. Raises WrongError."""
        outcome, value = answer
        if outcome != "done":
            raise self.wrong(f"It was refused: {value}")
        return value

    def _refused(self, answer: tuple[str, Any], error: str, reason: object) -> None:
        outcome, value = answer
        if outcome != "refused" or value[0] != error:
            raise self.wrong(f"It was {outcome} ({value}); right is {error}, since {reason}.")


def brief(value: Any) -> str:
    """A value in a line of the log."""
    if isinstance(value, datetime):
        return value.strftime("%m-%dT%H:%M:%S") + (f".{value.microsecond:06}" if value.microsecond else "")
    if isinstance(value, Row):
        created = "" if value.created is None else f" created {brief(value.created)}"
        return f"{value.key} at {brief(value.at)}{created}: {dict(value.values)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {brief(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(brief, value)) + "]"
    return repr(value)
