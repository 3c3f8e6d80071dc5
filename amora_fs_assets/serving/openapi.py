"""The server's interface as an OpenAPI document, generated from the messages' types, and as an HTML page."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec

from amora_fs_assets.serving.messages import (
    ErrorResponse,
    FeastPushRequest,
    FeaturesRequest,
    FeaturesResponse,
    Loaded,
    MaterializeIncrementalRequest,
    MaterializeRequest,
    Pushed,
    PushRequest,
    WriteRequest,
)

_REFUSALS = {
    "400": "The body is not JSON.",
    "401": "The token is missing or unknown.",
    "403": "The token may only read.",
    "404": "A feature view, feature or feature service is unknown.",
    "408": "The body took too long to arrive.",
    "409": "The requested features are not online yet.",
    "413": "Too many entities or bytes.",
    "422": "The body is wrong: a missing join key, a wrong type, values that break a rule.",
    "503": "Redis, the registry or the offline store cannot be reached.",
}


@cache
def document() -> dict[str, Any]:
    """The document, in OpenAPI 3.1."""
    types = (
        *(FeaturesRequest, FeaturesResponse, PushRequest, FeastPushRequest, WriteRequest, Pushed),
        *(MaterializeRequest, MaterializeIncrementalRequest, Loaded, ErrorResponse),
    )
    _, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    layout = {
        "name": "layout",
        "in": "query",
        "schema": {"enum": ["columns", "rows"], "default": "columns"},
        "description": "One result per feature, or one per entity.",
    }
    features = _post("The newest feature values of entities.", _ref("FeaturesRequest"), "FeaturesResponse")
    features["parameters"] = [layout]
    del features["responses"]["403"]
    both = {"anyOf": [_ref("PushRequest"), _ref("FeastPushRequest")]}
    lists = {"type": "array", "items": {"type": "object"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "amora_fs_assets", "version": version("amora-fs-assets")},
        "paths": {
            "/get-online-features": {"post": features},
            "/push": {"post": _post("Write rows to the online store, the offline store or both.", both, "Pushed")},
            "/write-to-online-store": {
                "post": _post("Write rows to the online store, in Feast's form.", _ref("WriteRequest"), "Pushed")
            },
            "/materialize": {
                "post": _post("Load a window of the offline store.", _ref("MaterializeRequest"), "Loaded")
            },
            "/materialize-incremental": {
                "post": _post("Load what is new in the offline store.", _ref("MaterializeIncrementalRequest"), "Loaded")
            },
            "/list-feature-views": {"get": _get("All feature views.", lists)},
            "/feature-services": {"get": _get("All feature services, with their versions.", lists)},
            "/health": {"get": _get("Whether the process is alive.", {"type": "object"})},
            "/ready": {"get": _get("Whether the server can take requests.", {"type": "object"})},
            "/metrics": {"get": _get("Metrics in Prometheus' format.", {"type": "string"}, "text/plain")},
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _get(summary: str, schema: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    refused = {"description": "Refused.", "content": {"application/json": {"schema": _ref("ErrorResponse")}}}
    return {
        "summary": summary,
        "responses": {
            "200": {"description": summary, "content": {media_type: {"schema": schema}}},
            **{code: refused | {"description": _REFUSALS[code]} for code in ("401", "503")},
        },
    }


def _post(summary: str, request: dict[str, Any], answer: str) -> dict[str, Any]:
    refused = {"application/json": {"schema": _ref("ErrorResponse")}}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {
            "200": {"description": summary, "content": {"application/json": {"schema": _ref(answer)}}},
            **{code: {"description": text, "content": refused} for code, text in _REFUSALS.items()},
        },
    }


DOCS_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>amora_fs_assets</title>
<style>body{font:16px/1.5 system-ui;max-width:50rem;margin:2rem auto;padding:0 1rem}pre{background:#f4f4f4;padding:1em;
overflow:auto}summary{font-family:monospace}</style>
<h1>Features over HTTP</h1>
<p>The whole interface as <a href="openapi.json">OpenAPI 3.1</a>.</p><div id="paths">Loading ...</div>
<script>
const show = (text) => Object.assign(document.createElement("pre"), {textContent: text});
fetch("openapi.json").then((answer) => answer.json()).then((api) => {
  const list = document.getElementById("paths");
  list.textContent = "";
  const resolved = (schema) => JSON.stringify(schema, null, 2);
  for (const [path, methods] of Object.entries(api.paths)) for (const [method, what] of Object.entries(methods)) {
    const item = document.createElement("details");
    item.append(Object.assign(document.createElement("summary"), {textContent: method.toUpperCase() + " " + path}));
    item.append(Object.assign(document.createElement("p"), {textContent: what.summary}));
    const body = what.requestBody?.content["application/json"].schema;
    for (const each of body ? body.anyOf ?? [body] : [])
      item.append(show(resolved(api.components.schemas[each["$ref"].split("/").pop()])));
    for (const [code, answer] of Object.entries(what.responses)) item.append(show(code + ": " + answer.description));
    list.append(item);
  }
});
</script></html>
"""
