"""The HTTP application: Feast's and Amora's routes for a FeatureStore."""

from __future__ import annotations

import asyncio
import hmac
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

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
from amora_fs_assets.serving.asgi import Application, Endpoint, Refused, Reply, Request
from amora_fs_assets.serving.messages import FeaturesRequest, PushRequest, answer
from amora_fs_assets.serving.metrics import Metrics
from amora_fs_assets.serving.openapi import DOCS_PAGE, document
from amora_fs_assets.serving.pushed import from_json, number

OPEN = frozenset({"/health", "/ready"})
"""Paths that need no token, for load balancers."""
_PUSHES_AT_ONCE = 4  # threads per worker, so that a push that waits for the offline store blocks no other request
_SECONDS_TO_BE_READY = 3.0
_decode_features = msgspec.json.Decoder(FeaturesRequest).decode
_decode_push = msgspec.json.Decoder(PushRequest, float_hook=number).decode


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
        self._tokens = [token.encode() for token in store.settings.api_tokens]
        self._pushing = ThreadPoolExecutor(_PUSHES_AT_ONCE, "push")
        self.metrics = Metrics()

    async def get_online_features(self, request: Request) -> Reply:
        """The newest feature values of entities."""
        body = _decode_features(await self._body(request))
        layout = request.query("layout", "columns")
        if layout not in {"columns", "rows"}:
            raise InvalidRequest(f"layout is {layout!r}; give 'columns' or 'rows'.")
        if (body.features is None) == (body.feature_service is None):
            raise InvalidRequest("Give either 'features' or a 'feature_service'.")
        longest = max((len(values) for values in body.entities.values()), default=0)
        if longest > self._limits.entities:
            raise Refused(
                413, "TooManyEntities", f"{longest:,} entities in one request; the limit is {self._limits.entities:,}."
            )
        features: Any = body.feature_service if body.features is None else body.features
        response = await self._store.get_online_features_async(
            features, body.entities, body.full_feature_names, timeout=self._limits.seconds
        )
        self.metrics.served(response)
        return Reply(answer(response, rows=layout == "rows"))

    async def push(self, request: Request) -> Reply:
        """Write rows to the online store and, unless `to_offline` is false, to the offline store."""
        body = _decode_push(await self._body(request))
        newer = await asyncio.get_running_loop().run_in_executor(self._pushing, self._pushed, body)
        return Reply(msgspec.json.encode({"rows": len(body.rows), "newer": newer}))

    def _pushed(self, body: PushRequest) -> int:
        rows = from_json(self._store.served_view(body.feature_view), body.rows)
        return self._store.push(body.feature_view, rows, to_offline=body.to_offline)

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
                "features": [f"{p.name}:{feature}" for p in service.projections for feature in p.features],
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

    def guarded(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint with token authentication, if there are tokens."""
        if not self._tokens:
            return endpoint

        async def guarded(request: Request) -> Reply:
            self._authorize(request)
            return await endpoint(request)

        return guarded

    def _authorize(self, request: Request) -> None:
        scheme, _, token = request.header(b"authorization").partition(" ")
        given = token.strip().encode("latin-1")
        # All tokens are compared, each in constant time, so that the duration reveals nothing.
        known = [hmac.compare_digest(given, each) for each in self._tokens]
        if scheme.lower() != "bearer" or not any(known):
            fix = "Send a header `Authorization: Bearer <token>` with a known token."
            raise Refused(401, "Unauthorized", fix, (b"www-authenticate", b"Bearer"))


def create_app(store: FeatureStore, limits: Limits | None = None) -> Application:
    """The ASGI application over `store`, which it closes when it stops."""
    server = Server(store, limits or Limits())
    routes: list[tuple[str, str, Endpoint]] = [
        ("POST", "/get-online-features", server.get_online_features),
        ("POST", "/push", server.push),
        ("GET", "/list-feature-views", server.list_feature_views),
        ("GET", "/feature-services", server.feature_services),
        ("GET", "/health", server.health),
        ("GET", "/ready", server.ready),
        ("GET", "/metrics", server.numbers),
        ("GET", "/openapi.json", server.openapi),
        ("GET", "/docs", server.docs),
    ]
    return Application(
        {path: (method, each if path in OPEN else server.guarded(each)) for method, path, each in routes},
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
