"""A running clock that can be set, for processes of any language: see clock.c.

Time goes on at its own speed between two settings, and is the same in every process. So statuses, expiry in the server
and what the store writes down come from a clock that nobody passed in.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path


class NoCompilerError(Exception):
    """The clock needs a C compiler, and Linux."""


class RunningClock:
    """The clock of all processes that have its `environment`."""

    def __init__(self, folder: Path, now: datetime) -> None:
        """Raise NoCompilerError."""
        compiler = shutil.which("cc")
        if compiler is None:
            raise NoCompilerError("The soak's clock is written in C: apt-get install gcc libc6-dev.")
        self._library, self._file = folder / "clock.so", folder / "clock"
        program = Path(__file__).with_name("clock.c")
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", self._library, program, "-ldl"], check=True)
        self.set(now)

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process live by this clock."""
        return {"LD_PRELOAD": str(self._library), "SOAK_CLOCK": str(self._file)}

    def set(self, now: datetime) -> None:
        """Let it be `now` everywhere, from now on."""
        self._offset = now - datetime.now(UTC)
        microseconds = self._offset // timedelta(microseconds=1)
        if not self._file.exists():
            self._file.write_bytes(bytes(8))
        with self._file.open("r+b", buffering=0) as file:  # in place: the processes have it mapped
            file.write(struct.pack("=q", microseconds * 1_000))

    def now(self) -> datetime:
        """What the processes see, although this one lives by the machine's clock."""
        return datetime.now(UTC) + self._offset
