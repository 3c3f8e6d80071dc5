"""What the commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from amora_fs_assets.domain.errors import FeatureStoreError

Command = TypeVar("Command", bound=Callable[..., Any])


def explained(command: Command) -> Command:
    """Errors of the feature store as one message, without a traceback; exit code 1."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except FeatureStoreError as error:
            raise click.ClickException(str(error)) from error

    return run  # type: ignore[return-value]


def examples(*commands: str) -> str:
    """The end of a command's help."""
    lines = "\n".join(f"  amora-fs {command}" for command in commands)
    return f"\b\nExample{'s' * (len(commands) > 1)}:\n{lines}"
