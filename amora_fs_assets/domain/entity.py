"""Entities: the things that features describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.names import RESERVED_COLUMNS, check_column, check_name


@dataclass(frozen=True, init=False)
class Entity:
    """A thing that features describe, identified by one or more join keys.

    Args:
        name: The entity's name.
        join_keys: The columns that identify an entity; by default one column with the entity's name.
        description: What the entity is.
        tags: Labels to search by.

    """

    name: str
    join_keys: tuple[str, ...]
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __init__(
        self,
        name: str,
        join_keys: str | Sequence[str] | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Raise DefinitionError for an invalid name or join key."""
        check_name("Entity", name)
        owner = f"Entity '{name}'"
        given = (name,) if join_keys is None else (join_keys,) if isinstance(join_keys, str) else join_keys
        keys = arguments.items(owner, "join_keys", given, (str,), "Give a column's name, or a list of names.")
        for key in keys:
            check_column(owner, key)
            if key.lower() in RESERVED_COLUMNS:
                raise DefinitionError(f"{owner}: '{key}' is the time of a row; it cannot be a join key. Rename it.")
        if not keys or len({key.lower() for key in keys}) < len(keys):
            raise DefinitionError(
                f"{owner}: join_keys={list(keys)}: give one or more keys that differ, and not in case alone."
            )
        description = arguments.text(owner, "description", description)
        tags = arguments.tags_of(owner, tags)
        vars(self).update(name=name, join_keys=keys, description=description, tags=tags)
