"""The machine's own Chromium, driven headless: for tests of pages and for the pictures in docs/."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# It talks to the page under test and to nobody else.
_QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
)


class BrowserUnavailableError(Exception):
    """No Chromium is installed on this machine."""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Headless Chromium, closed at the block's end. Raises BrowserUnavailableError."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        raise BrowserUnavailableError("There is no Chromium: apt-get install chromium.")
    # Chromium's sandbox does not run as root, which is who containers are.
    sandbox = () if os.geteuid() else ("--no-sandbox",)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*_QUIET, *sandbox])
        try:
            yield browser
        finally:
            browser.close()
