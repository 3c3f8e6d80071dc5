"""Errors in Dagster's words: which ones a RetryPolicy tries again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from amora_fs_assets.domain.errors import FINAL, FeatureStoreError


def failure(error: FeatureStoreError, **metadata: Any) -> dg.Failure:
    """What a step raises for the error; a RetryPolicy leaves failed checks and wrong definitions alone."""
    return dg.Failure(str(error), metadata=metadata or None, allow_retries=not isinstance(error, FINAL))


@contextmanager
def said_in_dagster() -> Iterator[None]:
    """Raises the errors of this package as `failure` says them."""
    try:
        yield
    except FeatureStoreError as error:
        raise failure(error) from error
