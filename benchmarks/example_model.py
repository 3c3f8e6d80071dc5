"""Runs docs/example-model.md: the model with and without a leak, its scores, and its picture.

    python -m benchmarks.example_model          # runs `amora-fs demo` first, in a folder that is gone afterwards
    python -m benchmarks.example_model HOME     # on the home of a demo, to which the page's view is added

The code is the page's own. The scores and the audit's message are printed; the ROC curves go to
docs/images/example-model.png, or into the folder PICTURES.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from sklearn.metrics import RocCurveDisplay

from amora_fs_assets.cli.main import SAMPLE_CLOCK

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "example-model.md"
AMORA_FS = str(Path(sys.executable).with_name("amora-fs"))


def main() -> None:
    """Run the page."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(sys.argv[1]).resolve() if sys.argv[1:] else Path(folder, "home")
        home.mkdir(exist_ok=True)
        os.environ |= {"AMORA_FS_HOME": str(home), "AMORA_FS_NOW": SAMPLE_CLOCK}
        if not sys.argv[1:]:
            subprocess.run([AMORA_FS, "demo"], check=True, stdout=subprocess.DEVNULL)
        model, view, leak = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
        Path(folder, "route_day.py").write_text(view)
        sys.path.insert(0, folder)
        names: dict[str, Any] = {}
        exec(model, names)
        refused = subprocess.run(
            [AMORA_FS, "--definitions", "route_day", "apply"], cwd=folder, capture_output=True, text=True, check=False
        )
        print(refused.stderr.strip())
        exec(leak, names)
        picture(names)


def picture(names: dict[str, Any]) -> None:
    """The ROC curves of the page's three scores."""
    figure = Figure(figsize=(6, 4.5))
    axes = figure.subplots()
    for title, model, rows, features in (
        ("the sample's features", "model", "rows", "features"),
        ("with a leak", "leaky_model", "leaking", "leaky_features"),
        ("with a leak, in use", "leaky_model", "served", "leaky_features"),
    ):
        future = names[rows][names[rows]["event_timestamp"] >= names["SPLIT"]]
        chances = names[model].predict_proba(future[names[features]])[:, 1]
        RocCurveDisplay.from_predictions(future["late"].astype(bool), chances, name=title, ax=axes)
    axes.set(
        xlabel="Share of the punctual departures that are called late", ylabel="Share of the late departures found"
    )
    figure.savefig(Path(os.environ.get("PICTURES") or DOCS / "images") / "example-model.png", dpi=110)


if __name__ == "__main__":
    main()
