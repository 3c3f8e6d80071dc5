"""The HTTP application: Feast's and Amora's routes over a FeatureStore."""

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
"""Paths that need no token: who asks them is a load balancer."""
_PUSHES_AT_ONCE = 4  # in a worker; they may wait for the offline store, which must keep nobody else waiting
_SECONDS_TO_BE_READY = 3.0
_decode_features = msgspec.json.Decoder(FeaturesRequest).decode
_decode_push = msgspec.json.Decoder(PushRequest, float_hook=number).decode


@dataclass(frozen=True)
class Limits:
    """What one request may ask for."""

    entities: int = 10_000
    body: int = 8 * 2**20  # bytes
    seconds: float = 30.0  # for the body to arrive, and for the answer


class Server:
    """The routes' endpoints."""

    def __init__(self, store: FeatureStore, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._tokens = [token.encode() for token in store.settings.api_tokens]
        self._pushing = ThreadPoolExecutor(_PUSHES_AT_ONCE, "push")
        self.metrics = Metrics()

    async def get_online_features(self, request: Request) -> Reply:
        """Newest values of features, of some entities."""
        asked = _decode_features(await self._body(request))
        layout = request.query("layout", "columns")
        if layout not in {"columns", "rows"}:
            raise InvalidRequest(f"layout is {layout!r}; it is 'columns' or 'rows'.")
        if (asked.features is None) == (asked.feature_service is None):
            raise InvalidRequest("Ask for either 'features' or a 'feature_service'.")
        longest = max((len(values) for values in asked.entities.values()), default=0)
        if longest > self._limits.entities:
            raise Refused(
                413, "TooManyEntities", f"{longest:,} entities in one request; {self._limits.entities:,} are allowed."
            )
        features: Any = asked.feature_service if asked.features is None else asked.features
        response = await self._store.get_online_features_async(
            features, asked.entities, asked.full_feature_names, timeout=self._limits.seconds
        )
        self.metrics.served(response)
        return Reply(answer(response, rows=layout == "rows"))

    async def push(self, request: Request) -> Reply:
        """Write rows online and, unless asked not to, offline."""
        asked = _decode_push(await self._body(request))
        newer = await asyncio.get_running_loop().run_in_executor(self._pushing, self._pushed, asked)
        return Reply(msgspec.json.encode({"rows": len(asked.rows), "newer": newer}))

    def _pushed(self, asked: PushRequest) -> int:
        rows = from_json(self._store.served_view(asked.feature_view), asked.rows)
        return self._store.push(asked.feature_view, rows, to_offline=asked.to_offline)

    async def list_feature_views(self, _request: Request) -> Reply:
        """All feature views, in Amora's form."""
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
            for service in (await self._catalogue()).feature_services.values()
        ]
        return Reply(msgspec.json.encode(services))

    async def health(self, _request: Request) -> Reply:
        """The process lives."""
        return Reply(b'{"status":"ok"}')

    async def ready(self, _request: Request) -> Reply:
        """The catalogue is there and Redis answers: send requests here."""
        try:
            async with asyncio.timeout(_SECONDS_TO_BE_READY):
                await asyncio.to_thread(self._look)
        except TimeoutError:
            raise Refused(503, "NotReady", f"Not ready after {_SECONDS_TO_BE_READY:g} s.") from None
        return Reply(b'{"status":"ready"}')

    async def _catalogue(self) -> Catalogue:
        """What is served; reading it may wait for the registry, which must not keep the event loop."""
        return await asyncio.to_thread(lambda: self._store.served)

    def _look(self) -> None:
        _ = self._store.served
        self._store.online.state("ready")

    async def numbers(self, _request: Request) -> Reply:
        """Numbers for Prometheus."""
        return Reply(self.metrics.text(), media_type=b"text/plain; version=0.0.4; charset=utf-8")

    async def openapi(self, _request: Request) -> Reply:
        """This interface, in OpenAPI 3.1."""
        return Reply(msgspec.json.encode(document()))

    async def docs(self, _request: Request) -> Reply:
        """This interface, for people."""
        return Reply(DOCS_PAGE.encode(), media_type=b"text/html; charset=utf-8")

    async def _body(self, request: Request) -> bytes:
        return await request.body(limit=self._limits.body, seconds=self._limits.seconds)

    def guarded(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint behind the tokens, if there are any."""
        if not self._tokens:
            return endpoint

        async def guarded(request: Request) -> Reply:
            self._authorize(request)
            return await endpoint(request)

        return guarded

    def _authorize(self, request: Request) -> None:
        scheme, _, token = request.header(b"authorization").partition(" ")
        given = token.strip().encode("latin-1")
        # All are compared, each in constant time: how long it takes tells nothing.
        known = [hmac.compare_digest(given, each) for each in self._tokens]
        if scheme.lower() != "bearer" or not any(known):
            said = "Send a header `Authorization: Bearer <token>` with a known token."
            raise Refused(401, "Unauthorized", said, (b"www-authenticate", b"Bearer"))


def create_app(store: FeatureStore, limits: Limits | None = None) -> Application:
    """The ASGI application over `store`, which is closed when the application stops."""
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
    """An error as it is told to the client; None for one that nobody foresaw."""
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
        case FeatureStoreError():  # not online yet as it is asked for
            status = 409
        case _:
            return None
    return Refused(status, type(error).__name__, str(error))
