"""The selection of the definitions that a code location runs: by name, owner or tag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from amora_fs_assets.domain.errors import DefinitionError, shown
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.training_set import TrainingSet


@dataclass(frozen=True)
class Selection:
    """The definitions that match a word of `select` (all, if `select` is empty) and no word of `exclude`.

    A word is a name with `*` and `?` such as `order_*`, or `owner:team:shop`, `tag:domain=shop` or `tag:domain`.
    """

    select: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse words of other forms. Raises DefinitionError."""
        for word in (*self.select, *self.exclude):
            kind, colon, _ = word.partition(":")
            if not word or (colon and kind not in ("owner", "tag")):
                raise DefinitionError(
                    f"A selection has the word {shown(word)}. Write a name such as 'order_*', 'owner:<owner>' or "
                    "'tag:<name>=<value>'."
                )

    def takes(self, definition: Source | FeatureView | TrainingSet) -> bool:
        """Whether the definition is selected."""
        picked = not self.select or any(_matches(word, definition) for word in self.select)
        return picked and not any(_matches(word, definition) for word in self.exclude)


def _matches(word: str, definition: Source | FeatureView | TrainingSet) -> bool:
    kind, colon, rest = word.partition(":")
    if not colon:
        return fnmatchcase(definition.name, word)
    if kind == "owner":
        return definition.owner == rest
    tag, equals, value = rest.partition("=")
    tags = definition.tags
    return tag in tags and (not equals or tags[tag] == value)
