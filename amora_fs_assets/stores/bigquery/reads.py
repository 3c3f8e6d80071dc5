"""Reads over the Storage Read API that go on where they were cut, for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import DeadlineExceeded, ServiceUnavailable
from google.api_core.retry import Retry, if_exception_type

from amora_fs_assets.stores.bigquery.jobs import PATIENCE

if TYPE_CHECKING:
    from google.cloud.bigquery_storage import BigQueryReadClient


class PatientReads:
    """What `to_arrow_iterable` asks of Google's read client, with an end to its tries.

    Of themselves reading is tried again for a day, and opening a session not at all. A stream that is cut goes on at
    the row where it was.
    """

    def __init__(self, client: BigQueryReadClient, timeout: float) -> None:
        self._client = client
        self._retry = Retry(
            predicate=if_exception_type(DeadlineExceeded, ServiceUnavailable),
            initial=0.1,
            timeout=min(timeout, PATIENCE),  # seconds
        )

    def create_read_session(self, **request: Any) -> Any:
        """As the client's."""
        return self._client.create_read_session(**{**request, "retry": self._retry})

    def read_rows(self, name: str) -> Any:
        """As the client's."""
        return self._client.read_rows(name, retry=self._retry)
