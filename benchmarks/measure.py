"""What the benchmarks share: processes timed with their peak memory, the machine, tables of results."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

RESULTS = Path(__file__).parent / "results"
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Run:
    """One run of a command."""

    seconds: float  # of wall time, from before the process was started to its end
    peak: float  # resident memory of the process and its descendants, summed [MiB]


def run(command: Sequence[str], *, environment: Mapping[str, str] | None = None, every: float = 0.05) -> Run:
    """Run a command to its end, its output thrown away. Raises CalledProcessError where it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            peak = max(peak, sum(_memory(each) for each in (watched, *watched.children(recursive=True))))
        time.sleep(every)
    seconds = time.perf_counter() - began
    if process.returncode:
        assert process.stderr is not None, "it is a pipe"
        raise subprocess.CalledProcessError(process.returncode, command, stderr=process.stderr.read())
    return Run(seconds, peak / MEBIBYTE)


def _memory(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0


def peak_memory() -> float:
    """The most resident memory that this process had so far [MiB].

    Not `ru_maxrss` where Linux says better: a process inherits that from whoever started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEBIBYTE  # macOS says bytes


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def machine() -> str:
    """What the numbers were measured on, in a line."""
    memory = psutil.virtual_memory().total / 2**30
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}; load before the run: {load}"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report(name: str, title: str, command: str, *parts: str) -> None:
    """Print the results, and keep them as `results/<name>.md`."""
    text = "\n\n".join([f"# {title}", f"`{command}`, {time.strftime('%Y-%m-%d')}. {machine()}.", *parts])
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text + "\n")
    sys.stdout.write(text + "\n")
