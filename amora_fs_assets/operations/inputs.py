"""What a computation read, as a publication keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable

from amora_fs_assets.domain.records import Input


def as_text(inputs: Iterable[Input]) -> str:
    """The column `inputs` of `_publications`: by the input's name its table and the newest publication in it."""
    return json.dumps({each.name: {"table": each.table, "sequence": each.sequence} for each in inputs})
