"""What BigQuery refuses, in words that say what to do."""

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

_LATER = "It was tried again for a while. Try later, let fewer runs run at once, or have the quota raised."
_UNREACHED = (
    "BigQuery cannot be reached: {}. It was tried again for a while, and what was read so far is not given for the "
    "whole. Check the network and its proxies, then run it again."
)
_LIMITS = {
    "rateLimitExceeded": _LATER,
    "jobRateLimitExceeded": _LATER,
    "quotaExceeded": "A quota of the project is used up. Wait until it is renewed, or have it raised.",
    "bytesBilledLimitExceeded": "Raise AMORA_FS_BIGQUERY_MAXIMUM_BYTES_BILLED, or ask for a shorter interval.",
    "accessDenied": "Grant the account what docs/bigquery.md lists, or set another AMORA_FS_BIGQUERY_PROJECT.",
    "billingNotEnabled": "Enable billing for the project, or set AMORA_FS_BIGQUERY_PROJECT to another one.",
    "backendError": _LATER,
    "internalError": _LATER,
}
_GONE = (ServiceUnavailable, DeadlineExceeded)


@contextmanager
def explained(project: str) -> Iterator[None]:
    """Raises what Google's clients raise as errors of ours: OfflineStoreError, TableNotFound, SettingsError."""
    try:
        yield
    except NotFound as error:
        if "Project" in error.message:
            raise SettingsError(f"BigQuery: {error.message}. AMORA_FS_BIGQUERY_PROJECT is '{project}'.") from error
        raise TableNotFound(
            f"A table is not there yet: {error.message}. Fill it first: `amora-fs compute`, or its asset."
        ) from error
    except GoogleAuthError as error:
        if error.retryable or isinstance(error, TransportError):  # the token's server, not the token
            raise OfflineStoreError(_UNREACHED.format(error)) from error
        raise SettingsError(
            f"Google Cloud does not take the credentials: {error}. Run `gcloud auth application-default login`; where "
            "AMORA_FS_BIGQUERY_IMPERSONATE is set, grant roles/iam.serviceAccountTokenCreator on it."
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
        said = f"{error.message} {cause}" if isinstance(error, RetryError) else str(error)
        raise OfflineStoreError(f"BigQuery: {said.strip()} {advice}".strip()) from error


def _reason(error: object) -> str:
    found = [each.get("reason", "") for each in getattr(error, "errors", None) or () if isinstance(each, dict)]
    return found[0] if found else ""
