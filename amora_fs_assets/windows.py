"""Rolling windows: the names for `from amora_fs_assets.windows import ...` in feature code.

`amora_fs_assets.rolling` is the function; this module has the windows, ticks and aggregates that it takes.
"""

from amora_fs_assets.domain.windows.aggregates import Aggregate
from amora_fs_assets.domain.windows.declared import (
    by_value,
    count,
    first,
    last,
    last_k,
    max_,
    mean,
    min_,
    nunique,
    quantile,
    ratio,
    since_last,
    stddev,
    sum_,
    top_k,
)
from amora_fs_assets.domain.windows.durations import Ticks, Window, Windows, every, local_days, window
from amora_fs_assets.domain.windows.fields import Windowed
from amora_fs_assets.domain.windows.rolling import rolling
from amora_fs_assets.domain.windows.spine import ticks

__all__ = [
    "Aggregate",
    "Ticks",
    "Window",
    "Windowed",
    "Windows",
    "by_value",
    "count",
    "every",
    "first",
    "last",
    "last_k",
    "local_days",
    "max_",
    "mean",
    "min_",
    "nunique",
    "quantile",
    "ratio",
    "rolling",
    "since_last",
    "stddev",
    "sum_",
    "ticks",
    "top_k",
    "window",
]
