"""Reads over the Storage Read API that resume after an interruption, with a limit on retries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import DeadlineExceeded, ServiceUnavailable
from google.api_core.retry import Retry, if_exception_type

from amora_fs_assets.stores.bigquery.jobs import PATIENCE

if TYPE_CHECKING:
    from google.cloud.bigquery_storage import BigQueryReadClient


class PatientReads:
    """The methods of Google's read client that `to_arrow_iterable` calls, with a limit on retries.

    By default Google's client retries a read for a day, and does not retry opening a session. An interrupted stream
    resumes at its row.
    """

    def __init__(self, client: BigQueryReadClient, timeout: float) -> None:
        self._client = client
        self._retry = Retry(
            predicate=if_exception_type(DeadlineExceeded, ServiceUnavailable),
            initial=0.1,
            timeout=min(timeout, PATIENCE),  # seconds
        )

    def create_read_session(self, **request: Any) -> Any:
        """As in Google's client."""
        return self._client.create_read_session(**{**request, "retry": self._retry})

    def read_rows(self, name: str) -> Any:
        """As in Google's client."""
        return self._client.read_rows(name, retry=self._retry)
