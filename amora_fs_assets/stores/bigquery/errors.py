"""Converts errors of Google's clients to this package's errors, with the fix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core.exceptions import (
    DeadlineExceeded,
    Forbidden,
    GoogleAPIError,
    NotFound,
    RetryError,
    ServiceUnavailable,
    TooManyRequests,
)
from google.auth.exceptions import GoogleAuthError, TransportError
from requests.exceptions import RequestException

from amora_fs_assets.domain.errors import OfflineStoreError, SettingsError, TableNotFound

_LATER = "All retries failed. Try later, run fewer jobs at once, or request a higher quota."
_UNREACHED = (
    "BigQuery cannot be reached: {}. All retries failed, and no partial result is returned. Check the network and its "
    "proxies, then run it again."
)
_LIMITS = {
    "rateLimitExceeded": _LATER,
    "jobRateLimitExceeded": _LATER,
    "quotaExceeded": "A quota of the project is used up. Wait until it is renewed, or request a higher quota.",
    "bytesBilledLimitExceeded": "Raise AMORA_FS_BIGQUERY_MAXIMUM_BYTES_BILLED, or use a shorter interval.",
    "accessDenied": "Grant the account the roles in docs/bigquery.md, or set another AMORA_FS_BIGQUERY_PROJECT.",
    "billingNotEnabled": "Enable billing for the project, or set AMORA_FS_BIGQUERY_PROJECT to another one.",
    "backendError": _LATER,
    "internalError": _LATER,
}
_GONE = (ServiceUnavailable, DeadlineExceeded)


@contextmanager
def explained(project: str) -> Iterator[None]:
    """Raise errors of Google's clients as OfflineStoreError, TableNotFound or SettingsError."""
    try:
        yield
    except NotFound as error:
        if "Project" in error.message:
            raise SettingsError(f"BigQuery: {error.message}. AMORA_FS_BIGQUERY_PROJECT is '{project}'.") from error
        raise TableNotFound(
            f"A table does not exist yet: {error.message}. Fill it first: `amora-fs compute`, or its asset."
        ) from error
    except GoogleAuthError as error:
        if error.retryable or isinstance(error, TransportError):  # the token server failed, not the token
            raise OfflineStoreError(_UNREACHED.format(error)) from error
        raise SettingsError(
            f"Google Cloud does not accept the credentials: {error}. Run `gcloud auth application-default login`. If "
            "AMORA_FS_BIGQUERY_IMPERSONATE is set, grant roles/iam.serviceAccountTokenCreator on that service account."
        ) from error
    except RequestException as error:
        raise OfflineStoreError(_UNREACHED.format(error)) from error
    except GoogleAPIError as error:
        cause = error.cause if isinstance(error, RetryError) else error
        if isinstance(cause, RequestException) or (isinstance(cause, _GONE) and not _reason(cause)):
            raise OfflineStoreError(_UNREACHED.format(cause)) from error
        advice = _LIMITS.get(_reason(cause), "")
        if not advice and isinstance(cause, TooManyRequests):
            advice = _LATER
        elif not advice and isinstance(cause, Forbidden):
            advice = _LIMITS["accessDenied"]
        message = f"{error.message} {cause}" if isinstance(error, RetryError) else str(error)
        raise OfflineStoreError(f"BigQuery: {message.strip()} {advice}".strip()) from error


def _reason(error: object) -> str:
    found = [each.get("reason", "") for each in getattr(error, "errors", None) or () if isinstance(each, dict)]
    return found[0] if found else ""
