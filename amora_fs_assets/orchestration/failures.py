"""Converts this package's errors to Dagster failures, with or without retries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from amora_fs_assets.domain.errors import FINAL, FeatureStoreError


def failure(error: FeatureStoreError, **metadata: Any) -> dg.Failure:
    """The failure that a step raises. A RetryPolicy does not retry failed checks and wrong definitions."""
    return dg.Failure(str(error), metadata=metadata or None, allow_retries=not isinstance(error, FINAL))


@contextmanager
def said_in_dagster() -> Iterator[None]:
    """Raise this package's errors as Dagster failures."""
    try:
        yield
    except FeatureStoreError as error:
        raise failure(error) from error
