"""Processes that do the same thing at the same moment."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import amora_fs_assets

PACKAGE = Path(amora_fs_assets.__file__).parent
_Out = TypeVar("_Out")
_FORK = multiprocessing.get_context("fork")  # children have what is imported: 50 of them start within a second


def at_once(work: Callable[[int], _Out], processes: int) -> list[_Out]:
    """`work(0)`, `work(1)`, ... each in a process of its own, started together; their results in order."""
    barrier = _FORK.Barrier(processes)
    pipes = [_FORK.Pipe(duplex=False) for _ in range(processes)]

    def run(number: int) -> None:
        barrier.wait(60)
        pipes[number][1].send(work(number))

    children = [_FORK.Process(target=run, args=(number,)) for number in range(processes)]
    for child in children:
        child.start()
    for _, sender in pipes:
        sender.close()
    results = [receiver.recv() if receiver.poll(120) else None for receiver, _ in pipes]
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * processes
    return results  # type: ignore[return-value]


def killed_at(line: int, work: Callable[[], Any], files: Sequence[str]) -> bool:
    """Do `work` in a process that gets SIGKILL before the `line`-th line that it runs of `files` of the package.

    False where the work was done before it came to that.
    """
    paths = {str(PACKAGE / file) for file in files}
    assert all(map(os.path.isfile, paths)), f"one of {files} has moved"

    def run() -> None:
        left = line

        def trace(frame: FrameType, event: str, arg: object) -> Any:
            nonlocal left
            if frame.f_code.co_filename not in paths:
                return None
            if event == "line":
                left -= 1
                if left <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        work()

    return ended(run) != 0


def ended(work: Callable[[], Any]) -> int:
    """Do `work` in a process of its own; how it ended: with 0, or by -SIGKILL."""
    child = _FORK.Process(target=work)
    child.start()
    child.join(60)
    assert child.exitcode in {0, -signal.SIGKILL}
    return int(child.exitcode or 0)
