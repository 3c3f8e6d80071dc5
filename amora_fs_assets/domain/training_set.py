"""A training set: a spine of labelled moments, joined with a service's features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.fingerprint import function_hash
from amora_fs_assets.domain.names import check_name
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.transforms import Transform, check_parameters


@dataclass(frozen=True, init=False)
class TrainingSet:
    """A spine (join keys, event_timestamp, labels) and the service that it is joined with.

    With `known_time` a row of a view counts only from its created_timestamp on: corrections that came after a moment
    are not in what the model learns from, as they were not in what it would have been given.
    """

    name: str
    service: FeatureService
    sources: tuple[Source | FeatureView, ...]
    description: str
    owner: str
    tags: Mapping[str, str] = field(hash=False)
    known_time: bool = False
    code_hash: str = ""
    spine: Transform | None = field(default=None, compare=False, repr=False)

    def __init__(
        self,
        name: str,
        service: FeatureService | FeatureView,
        sources: Sequence[Source | FeatureView] = (),
        *,
        spine: Transform | None = None,
        description: str = "",
        owner: str = "",
        tags: Mapping[str, str] | None = None,
        known_time: bool = False,
        code_hash: str = "",
    ) -> None:
        """Check the spine's parameters against its sources. Raises DefinitionError."""
        check_name("Training set", name)
        if isinstance(service, FeatureView):
            service = FeatureService(service.name, [service])
        if not isinstance(service, FeatureService):
            raise DefinitionError(f"Training set '{name}': service={service!r} is not a FeatureService.")
        if spine is not None:
            check_parameters(f"Training set '{name}'", spine, sources)
            description = description or (spine.__doc__ or "").strip()
        vars(self).update(
            name=name,
            service=service,
            sources=tuple(sources),
            description=description,
            owner=owner,
            tags=dict(tags or {}),
            known_time=known_time,
            code_hash=function_hash(spine) if spine is not None else code_hash,
            spine=spine,
        )

    def __str__(self) -> str:
        """As messages name it."""
        return f"Training set '{self.name}'"


def training_set(
    *,
    service: FeatureService | FeatureView,
    sources: Sequence[Source | FeatureView] = (),
    name: str | None = None,
    description: str = "",
    owner: str = "",
    tags: Mapping[str, str] | None = None,
    known_time: bool = False,
) -> Callable[[Transform], TrainingSet]:
    """Make a training set of the decorated spine function.

    The function takes its sources, each an Ibis table of all its rows, and returns the spine: the service's join keys,
    `event_timestamp` (the moment at which the model would be asked) and the labels. `known_time`: see TrainingSet.
    """

    def decorate(spine: Transform) -> TrainingSet:
        return TrainingSet(
            name or spine.__name__,
            service,
            sources,
            spine=spine,
            description=description,
            owner=owner,
            tags=tags,
            known_time=known_time,
        )

    return decorate
