"""BigQuery jobs: labels, names that prevent a second run, the budget, waiting, and accounting."""

from __future__ import annotations

import hashlib
import itertools
import random
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import TimeoutError as JobTimeoutError
from dataclasses import dataclass
from typing import Any, BinaryIO

from google.api_core.exceptions import Conflict, GoogleAPIError
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY

from amora_fs_assets.domain.errors import BudgetExceeded, OfflineStoreError
from amora_fs_assets.domain.job_costs import Job, on_behalf, ran
from amora_fs_assets.settings import Priority

CALL = 120.0
"""The timeout of one call of BigQuery's API [s]. A job makes several calls."""
_TRANSIENT = frozenset(
    {
        "rateLimitExceeded",
        "jobRateLimitExceeded",
        "backendError",
        "jobBackendError",
        "internalError",
        "jobInternalError",
    }
)
# If two transactions change one table, BigQuery cancels the later one. The second text is the emulator's.
_CONCURRENT = ("concurrent update", "failed to commit")
_LONGEST_PAUSE = 32.0  # seconds
PATIENCE = 300.0
"""How long a call is retried after a temporary refusal by BigQuery or a network error [s]."""


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """Options of jobs: the settings `AMORA_FS_BIGQUERY_*` with these names."""

    location: str | None = None
    maximum_bytes_billed: int | None = None
    priority: Priority = "interactive"
    timeout: float = 3600.0  # seconds
    price_per_tib: float = 6.25
    hash_inputs: bool = False


class Jobs:
    """Runs queries and loads, labelled with the view and run of the innermost named meter.

    `call` are the arguments `timeout` and `retry` for other calls of BigQuery's API.

    Raises the errors of Google's clients, except BudgetExceeded, and OfflineStoreError after the timeout.
    """

    def __init__(self, client: bigquery.Client, options: JobOptions) -> None:
        self._client = client
        self._options = options
        self._retry = DEFAULT_RETRY.with_timeout(min(options.timeout, PATIENCE))
        self.call: dict[str, Any] = {"retry": self._retry, "timeout": CALL}

    def query(
        self,
        sql: str,
        *,
        step: str = "read",
        parameters: Mapping[str, int | str | None] | None = None,
        identity: str | None = None,
        remains: Callable[[], bool] = lambda: True,
    ) -> bigquery.table.RowIterator:
        """Run the statement or script and wait for it.

        In a run, only one job per `identity` runs: a retry takes over the running job, or the finished job while its
        result `remains`. Without identity, each call is a new job. Raises BudgetExceeded, OfflineStoreError.
        """
        config = bigquery.QueryJobConfig(
            labels=self._labels(step),
            priority=self._options.priority.upper(),
            query_parameters=[
                bigquery.ScalarQueryParameter(name, "INT64" if isinstance(value, int) else "STRING", value)
                for name, value in (parameters or {}).items()
                if value is not None
            ],
        )
        config.job_timeout_ms = int(self._options.timeout * 1000)
        if self._options.maximum_bytes_billed is not None:
            self._check_budget(sql, config, self._options.maximum_bytes_billed)
            config.maximum_bytes_billed = self._options.maximum_bytes_billed

        def submit(job_id: str) -> Any:
            return self._client.query(
                sql, job_config=config, job_id=job_id, location=self._options.location, retry=self._retry,
                job_retry=None, timeout=CALL,
            )  # fmt: skip

        rows: bigquery.table.RowIterator = self._finished(submit, step, identity, remains)
        return rows

    def load(
        self,
        file: BinaryIO,
        table: str,
        config: bigquery.LoadJobConfig,
        *,
        identity: str,
        remains: Callable[[], bool] = lambda: True,
    ) -> None:
        """Load the file into the table and wait for it; once per identity, as `query`."""
        config.labels = self._labels("load")

        def submit(job_id: str) -> Any:
            return self._client.load_table_from_file(
                file, table, rewind=True, job_config=config, job_id=job_id, location=self._options.location,
                timeout=CALL,
            )  # fmt: skip

        self._finished(submit, "load", identity, remains)

    def columns(self, sql: str) -> Sequence[bigquery.SchemaField]:
        """The columns of a SELECT, from BigQuery's free dry run."""
        dry = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
        job = self._client.query(sql, job_config=dry, location=self._options.location, retry=self._retry, timeout=CALL)
        return job.schema or ()

    def scanned_bytes(self, sql: str, config: bigquery.QueryJobConfig | None = None) -> int:
        """The bytes that the statement would scan, from BigQuery's free dry run."""
        dry = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
        if config is not None:
            dry.query_parameters = config.query_parameters
        job = self._client.query(sql, job_config=dry, location=self._options.location, retry=self._retry, timeout=CALL)
        return int(job.total_bytes_processed)

    def _check_budget(self, sql: str, config: bigquery.QueryJobConfig, budget: int) -> None:
        scanned = self.scanned_bytes(sql, config)
        if scanned > budget:
            work = on_behalf()
            subject = f"'{work.name}': a query" if work else "A query"
            raise BudgetExceeded(
                f"{subject} would scan {scanned:,} bytes; AMORA_FS_BIGQUERY_MAXIMUM_BYTES_BILLED allows {budget:,}. "
                "The query was not run. Use a shorter interval or fewer columns, or raise the setting."
            )

    def _finished(
        self, submit: Callable[[str], Any], step: str, identity: str | None, remains: Callable[[], bool]
    ) -> Any:
        began = time.monotonic()
        pauses = (min(2.0**n, _LONGEST_PAUSE) * random.uniform(0.5, 1) for n in itertools.count(-1))
        for attempt in itertools.count(1):
            job_id = self._id(step, identity, attempt)
            try:
                job, found = submit(job_id), False
            except Conflict:
                job, found = self._client.get_job(job_id, location=self._options.location, **self.call), True
            try:
                rows = job.result(timeout=self._options.timeout, retry=self._retry)
            except JobTimeoutError as error:
                self._client.cancel_job(job_id, location=self._options.location, **self.call)
                raise OfflineStoreError(
                    f"BigQuery: job {job_id} was not done after {self._options.timeout:g} s and was cancelled. "
                    "Raise AMORA_FS_BIGQUERY_TIMEOUT, or use a shorter interval."
                ) from error
            except GoogleAPIError:
                failure = self._failure(job)
                if failure is None:  # the network failed; the job may still be running
                    raise
                if not found:  # the failure of an earlier attempt does not count
                    pause = next(pauses)
                    if not _is_temporary(failure) or time.monotonic() + pause - began > self._options.timeout:
                        raise
                    time.sleep(pause)
                continue
            if found and not remains():
                continue
            self._account(job, step)
            return rows
        raise AssertionError("attempts do not end")

    def _failure(self, job: Any) -> Mapping[str, str] | None:
        """The job's error; None for a job without error."""
        job.reload(**self.call)
        failure: Mapping[str, str] | None = job.error_result
        return failure

    def _id(self, step: str, identity: str | None, attempt: int) -> str:
        """The job's id: equal for equal work, so that BigQuery refuses to run it a second time."""
        work = on_behalf()
        if identity is None or work is None:
            return f"amora_fs-{step}-{uuid.uuid4().hex}"
        text = f"{work.run_id}\n{work.name}\n{step}\n{identity}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:24]
        return f"amora_fs-{work.name}-{step}-{digest}" + (f"-{attempt}" if attempt > 1 else "")

    def _labels(self, step: str) -> dict[str, str]:
        work = on_behalf()
        labels_of_work = {"amora_fs_view": work.name, "amora_fs_run": work.run_id} if work else {}
        return {"amora_fs_step": step} | {name: label(value) for name, value in labels_of_work.items()}

    def _account(self, job: Any, step: str) -> None:
        billed = int(getattr(job, "total_bytes_billed", None) or 0)  # a load is free and has no such field
        ran(
            Job(
                id=job.job_id,
                step=step,
                bytes_processed=int(getattr(job, "total_bytes_processed", None) or 0),
                bytes_billed=billed,
                slot_ms=int(getattr(job, "slot_millis", None) or 0),
                cost=billed / 2**40 * self._options.price_per_tib,
            )
        )


def label(value: str) -> str:
    """The value as a BigQuery label: at most 63 lower-case letters, digits, `_` and `-`."""
    return re.sub(r"[^a-z0-9_-]", "_", value.lower())[:63]


def _is_temporary(failure: Mapping[str, str]) -> bool:
    """Whether the failure is temporary, so that a retry may succeed."""
    message = failure.get("message", "").lower()
    return failure.get("reason") in _TRANSIENT or any(words in message for words in _CONCURRENT)
