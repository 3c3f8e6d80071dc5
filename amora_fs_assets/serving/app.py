"""The HTTP application: Feast's and Amora's routes over a FeatureStore."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from amora_fs_assets.domain.errors import (
    ChecksFailed,
    DefinitionError,
    FeatureStoreError,
    InvalidRequest,
    NotFound,
    OnlineStoreUnavailable,
)
from amora_fs_assets.feature_store import FeatureStore
from amora_fs_assets.serving.messages import ErrorResponse, FeaturesRequest, Problem, PushRequest, answer
from amora_fs_assets.serving.metrics import Metrics
from amora_fs_assets.serving.openapi import DOCS_PAGE, document

_Message = TypeVar("_Message")
Endpoint = Callable[[Request], Awaitable[Response]]
OPEN = frozenset({"/health", "/ready"})
"""Paths that need no token: who asks them is a load balancer."""


@dataclass(frozen=True)
class Limits:
    """What one request may ask for."""

    entities: int = 10_000
    body: int = 8 * 2**20  # bytes
    seconds: float = 30.0  # for the body to arrive, and for the answer


class _Refused(Exception):
    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


_FORESEEN = (FeatureStoreError, msgspec.MsgspecError, UnicodeError, RecursionError, ClientDisconnect, _Refused)


class Server:
    """The routes' endpoints."""

    def __init__(self, store: FeatureStore, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._tokens = [token.encode() for token in store.settings.api_tokens]
        self.metrics = Metrics()

    async def get_online_features(self, request: Request) -> Response:
        """Newest values of features, of some entities."""
        asked = await self._body(request, FeaturesRequest)
        layout = request.query_params.get("layout", "columns")
        if layout not in {"columns", "rows"}:
            raise InvalidRequest(f"layout is {layout!r}; it is 'columns' or 'rows'.")
        if (asked.features is None) == (asked.feature_service is None):
            raise InvalidRequest("Ask for either 'features' or a 'feature_service'.")
        longest = max((len(values) for values in asked.entities.values()), default=0)
        if longest > self._limits.entities:
            raise _Refused(
                413, "TooManyEntities", f"{longest:,} entities in one request; {self._limits.entities:,} are allowed."
            )
        features: Any = asked.feature_service if asked.features is None else asked.features
        response = await self._store.get_online_features_async(
            features, asked.entities, asked.full_feature_names, timeout=self._limits.seconds
        )
        self.metrics.served(response)
        return _json(answer(response, rows=layout == "rows"))

    async def push(self, request: Request) -> Response:
        """Write rows online and, unless asked not to, offline."""
        asked = await self._body(request, PushRequest)
        newer = await asyncio.to_thread(self._store.push, asked.feature_view, asked.rows, to_offline=asked.to_offline)
        return _json(msgspec.json.encode({"rows": len(asked.rows), "newer": newer}))

    async def list_feature_views(self, _request: Request) -> Response:
        """All feature views, in Amora's form."""
        views = [
            {
                "name": view.name,
                "features": [f"{view.name}:{feature.name}" for feature in view.features],
                "entities": [entity.name for entity in view.entities],
                "description": view.description,
            }
            for view in self._store.served.feature_views.values()
        ]
        return _json(msgspec.json.encode(views))

    async def feature_services(self, _request: Request) -> Response:
        """All feature services, with what a request gives and gets."""
        services = [
            {
                "name": service.name,
                "version": service.version,
                "join_keys": list(service.join_keys),
                "features": [f"{p.name}:{feature}" for p in service.projections for feature in p.features],
                "description": service.description,
                "owner": service.owner,
            }
            for service in self._store.served.feature_services.values()
        ]
        return _json(msgspec.json.encode(services))

    async def health(self, _request: Request) -> Response:
        """The process lives."""
        return _json(b'{"status":"ok"}')

    async def ready(self, _request: Request) -> Response:
        """The catalogue is there and Redis answers: send requests here."""
        await asyncio.to_thread(lambda: self._store.served)
        await self._store.online.read_async([], timeout=2.0)
        await asyncio.to_thread(self._store.online.state, "ready")
        return _json(b'{"status":"ready"}')

    async def numbers(self, _request: Request) -> Response:
        """Numbers for Prometheus."""
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def openapi(self, _request: Request) -> Response:
        """This interface, in OpenAPI 3.1."""
        return _json(msgspec.json.encode(document()))

    async def docs(self, _request: Request) -> Response:
        """This interface, for people."""
        return Response(DOCS_PAGE, media_type="text/html")

    async def _body(self, request: Request, kind: type[_Message]) -> _Message:
        limit = self._limits.body
        try:
            declared = int(request.headers.get("content-length", 0))
        except ValueError:
            raise _Refused(400, "MalformedRequest", "Content-Length is not a number.") from None
        body, size = [], 0
        try:
            async with asyncio.timeout(self._limits.seconds):
                if declared <= limit:
                    async for part in request.stream():
                        body.append(part)
                        size += len(part)
                        if size > limit:
                            break
        except TimeoutError:
            raise _Refused(408, "SlowRequest", f"The body took more than {self._limits.seconds:g} s.") from None
        if max(size, declared) > limit:
            raise _Refused(413, "BodyTooLarge", f"The body is larger than {limit:,} bytes.")
        return msgspec.json.decode(b"".join(body), type=kind)

    def guarded(self, endpoint: Endpoint, path: str) -> Endpoint:
        """The endpoint behind the tokens, with errors as answers, counted."""

        async def guarded(request: Request) -> Response:
            began, status = time.perf_counter(), 500
            try:
                response = self._unauthorized(request, path) or await endpoint(request)
                status = response.status_code
            except _FORESEEN as error:
                response = _problem(error)
                status = response.status_code
            finally:
                self.metrics.request(path, status, time.perf_counter() - began)
            return response

        return guarded

    def _unauthorized(self, request: Request, path: str) -> Response | None:
        if not self._tokens or path in OPEN:
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = token.strip().encode()
        # All are compared, each in constant time: how long it takes tells nothing.
        known = [hmac.compare_digest(given, each) for each in self._tokens]
        if scheme.lower() == "bearer" and any(known):
            return None
        response = _error(401, "Unauthorized", "Send a header `Authorization: Bearer <token>` with a known token.")
        response.headers["www-authenticate"] = "Bearer"
        return response


def create_app(store: FeatureStore, limits: Limits | None = None) -> Starlette:
    """The application over `store`, which is closed when the application stops."""
    server = Server(store, limits or Limits())
    routes: Sequence[tuple[str, Endpoint, str]] = [
        ("/get-online-features", server.get_online_features, "POST"),
        ("/push", server.push, "POST"),
        ("/list-feature-views", server.list_feature_views, "GET"),
        ("/feature-services", server.feature_services, "GET"),
        ("/health", server.health, "GET"),
        ("/ready", server.ready, "GET"),
        ("/metrics", server.numbers, "GET"),
        ("/openapi.json", server.openapi, "GET"),
        ("/docs", server.docs, "GET"),
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await store.close_async()

    async def unknown(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 404)
        said = f"{request.method} {request.url.path} is not served here. See /docs."
        response = _error(status, "UnknownRoute", said)
        response.headers.update(getattr(error, "headers", None) or {})
        return response

    async def failed(_request: Request, _: Exception) -> Response:
        return _error(500, "InternalError", "Something went wrong; the server's log says what.")

    return Starlette(
        routes=[Route(path, server.guarded(endpoint, path), methods=[method]) for path, endpoint, method in routes],
        exception_handlers={404: unknown, 405: unknown, Exception: failed},
        lifespan=lifespan,
    )


def _problem(error: Exception) -> Response:
    match error:
        case _Refused():
            return _error(error.status, error.kind, str(error))
        case msgspec.ValidationError():
            return _error(422, "InvalidRequest", str(error))
        case msgspec.DecodeError() | UnicodeError() | RecursionError():
            return _error(400, "MalformedRequest", f"The body is not JSON: {error}.")
        case ClientDisconnect():
            return _error(400, "MalformedRequest", "The client went away.")
        case NotFound():
            return _error(404, type(error).__name__, str(error))
        case InvalidRequest() | ChecksFailed() | DefinitionError():
            return _error(422, type(error).__name__, str(error))
        case OnlineStoreUnavailable():
            return _error(503, type(error).__name__, str(error))
    return _error(409, type(error).__name__, str(error))  # not online yet as it is asked for


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _error(status: int, kind: str, message: str) -> Response:
    body = msgspec.json.encode(ErrorResponse(Problem(kind, message)))
    return Response(body, status_code=status, media_type="application/json")
