"""Functions that several commands use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

import click

from amora_fs_assets.domain.errors import FeatureStoreError, InvalidRequest
from amora_fs_assets.domain.time import utc

Command = TypeVar("Command", bound=Callable[..., Any])
_GLOBAL = ("--definitions", "--as-of")


def time(value: str) -> datetime:
    """An argument in ISO 8601; without an offset it is UTC."""
    try:
        return utc(value)
    except InvalidRequest:
        raise click.BadParameter(f"{value!r} is not a time. Write 2013-01-01, or 2013-01-01T05:00Z.") from None


class Group(click.Group):
    """A group whose own options may follow the command, and whose commands' options may precede it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move the group's options before the command, unless the command has an option with the same name.

        Options of the command that precede it are moved behind it.
        """
        return super().parse_args(ctx, self._ordered(args))

    def _ordered(self, args: list[str]) -> list[str]:
        own = args[: args.index("--")] if "--" in args else args
        taken = _options_of(self, own)
        first: list[str] = []
        rest: list[str] = []
        position = 0
        while position < len(own):
            word = own[position]
            name, equals, _ = word.partition("=")
            if name in _GLOBAL and name not in taken:
                length = 1 if equals else 2
                first += own[position : position + length]
                position += length
            else:
                rest.append(word)
                position += 1
        return [*first, *self._behind(rest), *args[len(own) :]]

    def _behind(self, words: list[str]) -> list[str]:
        """The words with the options that precede the command at the end, unless the group has them itself."""
        place = next((i for i, word in enumerate(words) if word in self.commands), None)
        own = {option for parameter in self.params for option in (*parameter.opts, "-h", "--help")}
        if not place or not words[0].startswith("-") or words[0].partition("=")[0] in own:
            return words
        return [*words[place:], *words[:place]]


def _options_of(group: click.Group, args: list[str]) -> set[str]:
    """The options of the commands and subcommands in the arguments."""
    names: set[str] = set()
    command: click.Command | None = group
    for word in args:
        if isinstance(command, click.Group) and word in command.commands:
            command = command.commands[word]
            names |= {option for parameter in command.params for option in parameter.opts}
    return names


def explained(command: Command) -> Command:
    """Show errors of the feature store as one message, without a traceback; exit code 1.

    Commands in the message get --definitions if the user gave this option.
    """

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except FeatureStoreError as error:
            raise click.ClickException(_typed(str(error))) from error

    return run  # type: ignore[return-value]


def _typed(message: str) -> str:
    """The message, with --definitions in its commands if the user gave this option."""
    context = click.get_current_context(silent=True)
    given = context.find_root().params.get("definitions") if context else None
    return message.replace("`amora-fs ", f"`amora-fs --definitions {given} ") if given else message


def format_option(*forms: str, words: str = "For people, or for programs.") -> Callable[[Command], Command]:
    """The option --format, which a command receives as `form`; by default the first form."""
    return click.option("--format", "form", type=click.Choice(forms), default=forms[0], show_default=True, help=words)


def examples(*commands: str) -> str:
    """The examples at the end of a command's help."""
    lines = "\n".join(f"  amora-fs {command}" for command in commands)
    return f"\b\nExample{'s' * (len(commands) > 1)}:\n{lines}"
