"""registry.db: the applied catalogue in Feast's form, beside our own objects, for stock Feast clients."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import Literal

from amora_fs_assets.domain.errors import RegistryError
from amora_fs_assets.domain.ports.registry import ObjectStore
from amora_fs_assets.settings import Settings
from amora_fs_assets.stores.registry import feast_json as feast_form
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry

NAME = "registry.db"
Synced = Literal["current", "written", "behind", "absent"]

# Runs in a separate process, without feast/__init__, whose import takes seconds and much memory.
_ENCODE = """
import importlib.util, sys, types
found = importlib.util.find_spec("feast")
package = types.ModuleType("feast")
package.__path__ = list(found.submodule_search_locations)
sys.modules["feast"] = package
from feast.protos.feast.core.Registry_pb2 import Registry
from google.protobuf import json_format
registry = json_format.Parse(sys.stdin.buffer.read(), Registry())
sys.stdout.buffer.write(registry.SerializeToString(deterministic=True))
"""


HINT = "Run `pip install 'amora-fs-assets[feast]'` and `amora-fs apply` again."


def installed() -> bool:
    """Whether this Python has Feast."""
    return importlib.util.find_spec("feast") is not None


def sync(objects: ObjectStore, settings: Settings, *, python: str | None = None) -> Synced:
    """Write registry.db until it belongs to the head's snapshot, whose hash it contains as `version_id`.

    "behind" or "absent", with nothing written, if `python` (by default this one) has no Feast. Raises RegistryError.
    """
    registry = ObjectRegistry(objects)
    encodes = python is not None or installed()
    wrote = False
    while (head := registry.head()) is not None:
        stored = objects.read(NAME)
        if stored is not None and head.hash.encode() in stored.data:
            return "written" if wrote else "current"
        if not encodes:
            return "absent" if stored is None else "behind"
        plain = feast_form.registry(registry.catalogue_of(head), head, settings)
        # If another process wrote first, the next iteration reads its result.
        data = _encoded(json.dumps(plain).encode(), python or sys.executable)
        wrote = objects.replace(NAME, data, generation=stored.generation if stored else None)
    return "absent"


def _encoded(plain: bytes, python: str) -> bytes:
    done = subprocess.run([python, "-c", _ENCODE], input=plain, capture_output=True, check=False, timeout=60)
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no word"])[-1]
        raise RegistryError(
            f"{NAME} was not written, since Feast could not encode the catalogue: {last}. "
            "Install the tested release: pip install 'amora-fs-assets[feast]'."
        )
    return done.stdout
