"""Training sets: a spine of labelled moments, joined with the features of a service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.fingerprint import function_hash
from amora_fs_assets.domain.identity.meaning import Meaning
from amora_fs_assets.domain.names import check_name
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.transforms import Transform, check_parameters, checked_function, name_of


@dataclass(frozen=True, init=False)
class TrainingSet:
    """A spine (join keys, event_timestamp, labels) and the service with which the spine is joined.

    With `known_time` a row of a view counts only from its created_timestamp on. A correction that came after a moment
    is then not in the training row of that moment, because the model would not have seen the correction either.
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
    applied_meaning: Meaning | None = field(default=None, compare=False, repr=False)

    def __init__(
        self,
        name: str,
        service: FeatureService | FeatureView | OnDemandFeatureView,
        sources: Sequence[Source | FeatureView] = (),
        *,
        spine: Transform | None = None,
        description: str = "",
        owner: str = "",
        tags: Mapping[str, str] | None = None,
        known_time: bool = False,
        code_hash: str = "",
        applied_meaning: Meaning | None = None,
    ) -> None:
        """Check the parameters of the spine function against the sources. Raises DefinitionError."""
        check_name("Training set", name)
        label = f"Training set '{name}'"
        if isinstance(service, FeatureView | OnDemandFeatureView):
            service = FeatureService(service.name, [service])
        if not isinstance(service, FeatureService):
            raise arguments.wrong(label, "service", service, "Give a FeatureService, or a feature view.")
        fix = "Give a list of sources and feature views: sources=[orders]."
        sources = arguments.items(label, "sources", sources, (Source, FeatureView), fix)
        description = arguments.text(label, "description", description)
        if spine is not None:
            spine = checked_function(label, "spine", spine)
            check_parameters(label, spine, sources)
            description = description or arguments.text(label, "the docstring", spine.__doc__ or "").strip()
        vars(self).update(
            name=name,
            service=service,
            sources=sources,
            description=description,
            owner=arguments.text(label, "owner", owner) if spine is None else arguments.owner_of(label, owner),
            tags=arguments.tags_of(label, tags, check=spine is not None),
            known_time=arguments.flag(label, "known_time", known_time),
            code_hash=function_hash(spine) if spine is not None else arguments.text(label, "code_hash", code_hash),
            spine=spine,
            applied_meaning=applied_meaning,
        )

    @cached_property
    def meaning(self) -> Meaning | None:
        """What the spine function computes; None for a set that an old release applied. Raises DefinitionError."""
        if self.spine is None:
            return self.applied_meaning
        from amora_fs_assets.domain.identity.compiled import meaning_of

        return meaning_of(str(self), self.spine, self.sources)

    def __str__(self) -> str:
        """The training set's name in messages."""
        return f"Training set '{self.name}'"


def training_set(
    *,
    service: FeatureService | FeatureView | OnDemandFeatureView,
    sources: Sequence[Source | FeatureView] = (),
    name: str | None = None,
    description: str = "",
    owner: str = "",
    tags: Mapping[str, str] | None = None,
    known_time: bool = False,
) -> Callable[[Transform], TrainingSet]:
    """Make a training set from the decorated spine function.

    Each parameter of the function has the name of a source, and receives an Ibis table of all rows of the source. The
    function returns the spine: the service's join keys, `event_timestamp` (the moment of the prediction) and the
    labels. TrainingSet documents `known_time`.
    """

    def decorate(spine: Transform) -> TrainingSet:
        return TrainingSet(
            name_of(spine, "Training set") if name is None else name,
            service,
            sources,
            spine=spine,
            description=description,
            owner=owner,
            tags=tags,
            known_time=known_time,
        )

    return decorate
