"""Joins requests into fewer runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

from amora_fs_assets.orchestration.names import NAMES, Names


def together(requests: Iterable[dg.RunRequest], most: int, names: Names = NAMES) -> list[dg.RunRequest]:
    """Join requests for the same kind of assets and the same days into runs of at most `most` requests.

    One process per view would cost more than the work of the views. A failed step does not stop other views' steps.
    """
    groups: dict[tuple[Any, ...], list[dg.RunRequest]] = {}
    for each in requests:
        kind, _ = names.definition_of((each.asset_selection or [])[0])
        groups.setdefault((kind, *sorted(each.tags.items()), *_days(each)), []).append(each)
    return [_joined(group[i : i + most]) for group in groups.values() for i in range(0, len(group), most)]


def _days(request: dg.RunRequest) -> list[tuple[str, str]]:
    """The first and last days of the intervals in the request's configs."""
    configs = [op["config"] for op in request.run_config.get("ops", {}).values()]
    return [(config["start"][:10], config["end"][:10]) for config in configs]


def _joined(requests: Sequence[dg.RunRequest]) -> dg.RunRequest:
    ops = {name: config for each in requests for name, config in each.run_config.get("ops", {}).items()}
    return dg.RunRequest(
        asset_selection=[key for each in requests for key in each.asset_selection or ()],
        asset_check_keys=[key for each in requests for key in each.asset_check_keys or ()],
        tags=requests[0].tags,
        run_config={"ops": ops} if ops else {},
    )
