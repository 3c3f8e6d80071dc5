"""The operations that a formula may use: their types, their meaning, and their Python form.

Each operation has one meaning in DuckDB, BigQuery, Python and Arrow: BigQuery's, with null wherever BigQuery raises an
error. `stores/*/formulas` has the form of each operation in an engine.
"""

from __future__ import annotations

from amora_fs_assets.domain.request_time.operations import dates, lists, logic, numbers, texts
from amora_fs_assets.domain.request_time.operations.form import Form as Form
from amora_fs_assets.domain.request_time.operations.form import Operation as Operation

TOPICS: dict[str, tuple[Operation, ...]] = {
    "Logic": logic.LOGIC,
    "Numbers": numbers.NUMBERS,
    "Texts": texts.TEXTS,
    "Dates and times": dates.DATES,
    "Lists": lists.LISTS,
}
OPERATIONS = {operation.name: operation for operations in TOPICS.values() for operation in operations}
