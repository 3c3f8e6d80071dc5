"""One run of the windows of `benchmarks.windows` by Temporian, which has moving aggregates in C++.

    python windows_temporian.py FOLDER 24 168    # lengths in hours; by a Python with temporian

Reads events and ticks as numpy files from the folder. Temporian gets the ticks, which `rolling` finds itself, and
computes five of the six aggregates: it has no moving number of different values.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import temporian as tp

folder, *lengths = sys.argv[1:]
events, ticks = (pd.DataFrame(dict(np.load(f"{folder}/{name}.npz"))) for name in ("events", "ticks"))
began, used = time.perf_counter(), time.process_time()
values = tp.from_pandas(events, indexes=["k"], timestamps="t")["v"]
at = tp.from_pandas(ticks, indexes=["k"], timestamps="t")
features = [
    getattr(values, kind)(window_length=tp.duration.hours(int(hours)), sampling=at).rename(f"{kind}_{hours}")
    for hours in lengths
    for kind in ("moving_count", "moving_sum", "simple_moving_average", "moving_min", "moving_max")
]
result = tp.to_pandas(tp.glue(*features))
seconds, cpu = time.perf_counter() - began, time.process_time() - used
sums = [float(np.nansum(result[f"{kind}_{hours}"])) for hours in lengths for kind in ("moving_count", "moving_sum")]
with Path("/proc/self/status").open() as status:
    peak = int(status.read().split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps([seconds, cpu, peak, [len(result), *sums]]))
