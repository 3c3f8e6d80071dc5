"""One verb over several views: each view is tried, and one error at the end names each failed view and its error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from amora_fs_assets.domain.errors import InvalidRequest, ViewsFailed, ViewSkipped
from amora_fs_assets.domain.feature_view import FeatureView


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The progress of the verb with one view."""

    view: str
    number: int  # the position of the view, from 1
    of: int  # the number of views
    seconds: float | None = None  # the duration [s]; None: the view begins now
    result: Any = None
    error: Exception | None = None  # ViewSkipped for a view that was not tried


Progress = Callable[[Attempt], None]
"""A function that is called when a view begins and when it ends."""


class Several:
    """The views of one call, tried one after the other. A single view raises its own error at once."""

    def __init__(self, verb: str, views: Sequence[FeatureView], progress: Progress | None = None) -> None:
        """Raise InvalidRequest for a `progress` that cannot be called."""
        if progress is not None and not callable(progress):
            raise InvalidRequest(f"progress is {type(progress).__name__}; give a function of one argument, an Attempt.")
        self.results: dict[str, Any] = {}
        self._verb = verb
        self._views = list(views)
        self._errors: dict[str, Exception] = {}
        self._progress = progress

    def each(self, *, after_sources: bool = False) -> Iterator[FeatureView]:
        """The views to try, in order. Raises ViewsFailed at the end if views failed.

        With `after_sources` a view that reads a failed or skipped view is skipped.
        """
        for view in self._views:
            failed = next((source.name for source in view.sources if source.name in self._errors), None)
            if after_sources and failed is not None:
                self._errors[view.name] = ViewSkipped(f"{view} was skipped, since it reads '{failed}', which failed.")
                self._report(view, seconds=0.0, error=self._errors[view.name])
            else:
                yield view
        if self._errors:
            raise ViewsFailed(self._verb, self.results, self._errors) from next(iter(self._errors.values()))

    @contextmanager
    def trying(self, view: FeatureView) -> Iterator[None]:
        """Keep an error of the block for the end."""
        began = time.perf_counter()
        self._report(view)
        try:
            yield
        except Exception as error:
            self._report(view, seconds=time.perf_counter() - began, error=error)
            if len(self._views) == 1:
                raise
            self._errors[view.name] = error
        else:
            self._report(view, seconds=time.perf_counter() - began, result=self.results.get(view.name))

    def _report(self, view: FeatureView, **what: Any) -> None:
        if self._progress is not None:
            number = self._views.index(view) + 1
            self._progress(Attempt(view=view.name, number=number, of=len(self._views), **what))
