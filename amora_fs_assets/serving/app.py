"""The HTTP application: Feast's and Amora's routes for a FeatureStore."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import (
    ChecksFailed,
    DefinitionError,
    FeatureStoreError,
    InvalidRequest,
    NotFound,
    OfflineStoreError,
    OnlineStateLost,
    OnlineStoreUnavailable,
    RegistryError,
)
from amora_fs_assets.feature_store import FeatureStore
from amora_fs_assets.operations.online.json_keys import JsonEntities
from amora_fs_assets.serving.answers import answer, answer_for_feast
from amora_fs_assets.serving.asgi import Application, Endpoint, Refused, Reply, Request
from amora_fs_assets.serving.messages import FeaturesRequest
from amora_fs_assets.serving.metrics import Metrics
from amora_fs_assets.serving.openapi import DOCS_PAGE, document
from amora_fs_assets.serving.writing import Writing

Role = Literal["read", "write"]
"""A token with the role `write` may also read."""
OPEN = frozenset({"/health", "/ready"})
"""Paths that need no token, for load balancers."""
_SECONDS_TO_BE_READY = 3.0
_EITHER = "Give either 'features' or a 'feature_service'."
_decode_features = msgspec.json.Decoder(FeaturesRequest).decode


@dataclass(frozen=True)
class Limits:
    """The limits of one request."""

    entities: int = 10_000
    body: int = 8 * 2**20  # [bytes]
    seconds: float = 30.0  # for receiving the body, and for the answer [s]


class Server:
    """The routes' endpoints."""

    def __init__(self, store: FeatureStore, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        tokens = [("write", token) for token in store.settings.api_tokens]
        tokens += [("read", token) for token in store.settings.api_tokens_read_only]
        self._tokens = [(role, token.encode()) for role, token in tokens]
        self._writing = Writing(store)
        self.metrics = Metrics()

    async def get_online_features(self, request: Request) -> Reply:
        """The newest feature values of entities."""
        body = _decode_features(await self._body(request))
        layout = request.query("layout", "columns")
        if layout not in {"columns", "rows"}:
            raise InvalidRequest(f"layout is {layout!r}; give 'columns' or 'rows'.")
        features: Any = body.features
        if body.feature_service is not None:
            if features:
                raise InvalidRequest(_EITHER)
            features = body.feature_service
        if features is None:
            raise InvalidRequest(_EITHER)
        longest = max((len(values) for values in body.entities.values()), default=0)
        if longest > self._limits.entities:
            raise Refused(
                413, "TooManyEntities", f"{longest:,} entities in one request; the limit is {self._limits.entities:,}."
            )
        response = await self._store.get_online_features_async(
            features, JsonEntities(body.entities), body.full_feature_names, timeout=self._limits.seconds
        )
        self.metrics.served(response)
        if body.include_feature_view_version_metadata is not None and layout == "columns":
            return Reply(answer_for_feast(response, versions=body.include_feature_view_version_metadata))
        return Reply(answer(response, rows=layout == "rows"))

    async def push(self, request: Request) -> Reply:
        """Write rows to the online store, the offline store or both."""
        return await self._writing.push(await self._body(request))

    async def write_to_online_store(self, request: Request) -> Reply:
        """Write rows to the online store, in Feast's form."""
        return await self._writing.write(await self._body(request))

    async def materialize(self, request: Request) -> Reply:
        """Load a window of the offline store into the online store."""
        return await self._writing.materialize(await self._body(request))

    async def materialize_incremental(self, request: Request) -> Reply:
        """Load what is new in the offline store into the online store."""
        return await self._writing.materialize_incremental(await self._body(request))

    async def list_feature_views(self, _request: Request) -> Reply:
        """All feature views, in Amora's JSON form."""
        views = [
            {
                "name": view.name,
                "features": [f"{view.name}:{feature.name}" for feature in view.features],
                "entities": [entity.name for entity in view.entities],
                "description": view.description,
            }
            for view in (await self._catalogue()).feature_views.values()
        ]
        return Reply(msgspec.json.encode(views))

    async def feature_services(self, _request: Request) -> Reply:
        """All feature services, with their join keys and features."""
        services = [
            {
                "name": service.name,
                "version": service.version,
                "join_keys": list(service.join_keys),
                "features": service.references,
                "request": {name: str(type_) for name, type_ in service.request.items()},
                "description": service.description,
                "owner": service.owner,
            }
            for service in (await self._catalogue()).feature_services.values()
        ]
        return Reply(msgspec.json.encode(services))

    async def health(self, _request: Request) -> Reply:
        """Whether the process is alive."""
        return Reply(b'{"status":"ok"}')

    async def ready(self, _request: Request) -> Reply:
        """Whether the server can take requests: the catalogue is read and Redis answers."""
        try:
            async with asyncio.timeout(_SECONDS_TO_BE_READY):
                await asyncio.to_thread(self._look)
        except TimeoutError:
            raise Refused(503, "NotReady", f"Not ready after {_SECONDS_TO_BE_READY:g} s.") from None
        return Reply(b'{"status":"ready"}')

    async def _catalogue(self) -> Catalogue:
        """The catalogue, read in a thread, since waiting for the registry must not block the event loop."""
        return await asyncio.to_thread(lambda: self._store.served)

    def _look(self) -> None:
        _ = self._store.served
        self._store.online.state("ready")

    async def numbers(self, _request: Request) -> Reply:
        """Metrics in Prometheus' format."""
        return Reply(self.metrics.text(), media_type=b"text/plain; version=0.0.4; charset=utf-8")

    async def openapi(self, _request: Request) -> Reply:
        """The OpenAPI 3.1 document."""
        return Reply(msgspec.json.encode(document()))

    async def docs(self, _request: Request) -> Reply:
        """The OpenAPI document as an HTML page."""
        return Reply(DOCS_PAGE.encode(), media_type=b"text/html; charset=utf-8")

    async def _body(self, request: Request) -> bytes:
        return await request.body(limit=self._limits.body, seconds=self._limits.seconds)

    def guarded(self, endpoint: Endpoint, *, needs: Role) -> Endpoint:
        """The endpoint for tokens with a role, if there are tokens."""
        if not self._tokens:
            return endpoint

        async def guarded(request: Request) -> Reply:
            self._authorize(request, needs)
            return await endpoint(request)

        return guarded

    def _authorize(self, request: Request, needs: Role) -> None:
        scheme, _, token = request.header(b"authorization").partition(" ")
        given = token.strip().encode("latin-1")
        # All tokens are compared, each in constant time, so that the duration reveals nothing.
        found = {role for role, each in self._tokens if hmac.compare_digest(given, each)}
        if scheme.lower() != "bearer" or not found:
            fix = "Send a header `Authorization: Bearer <token>` with a known token."
            raise Refused(401, "Unauthorized", fix, (b"www-authenticate", b"Bearer"))
        if needs not in found and "write" not in found:
            raise Refused(
                403, "Forbidden", f"{request.path} needs a token with the role 'write'; this token has the role 'read'."
            )


def create_app(store: FeatureStore, limits: Limits | None = None) -> Application:
    """The ASGI application over `store`, which it closes when it stops."""
    server = Server(store, limits or Limits())
    routes: list[tuple[str, str, Endpoint, Role]] = [
        ("POST", "/get-online-features", server.get_online_features, "read"),
        ("POST", "/push", server.push, "write"),
        ("POST", "/write-to-online-store", server.write_to_online_store, "write"),
        ("POST", "/materialize", server.materialize, "write"),
        ("POST", "/materialize-incremental", server.materialize_incremental, "write"),
        ("GET", "/list-feature-views", server.list_feature_views, "read"),
        ("GET", "/feature-services", server.feature_services, "read"),
        ("GET", "/health", server.health, "read"),
        ("GET", "/ready", server.ready, "read"),
        ("GET", "/metrics", server.numbers, "read"),
        ("GET", "/openapi.json", server.openapi, "read"),
        ("GET", "/docs", server.docs, "read"),
    ]
    return Application(
        {p: (method, each if p in OPEN else server.guarded(each, needs=role)) for method, p, each, role in routes},
        explained=explained,
        stopped=store.close_async,
        metrics=server.metrics,
    )


def explained(error: Exception) -> Refused | None:
    """The client's answer for an error; None for an unexpected error."""
    match error:
        case msgspec.ValidationError():
            return Refused(422, "InvalidRequest", str(error))
        case msgspec.DecodeError() | UnicodeError() | RecursionError():
            return Refused(400, "MalformedRequest", f"The body is not JSON: {error}.")
        case NotFound():
            status = 404
        case InvalidRequest() | ChecksFailed() | DefinitionError():
            status = 422
        case OnlineStoreUnavailable() | OnlineStateLost() | RegistryError() | OfflineStoreError():
            status = 503
        case FeatureStoreError():  # the requested features are not online yet
            status = 409
        case _:
            return None
    return Refused(status, type(error).__name__, str(error))
