"""Fixtures for all tests: the emulators, and what to do where one is missing."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import pytest
from playwright.sync_api import Browser, Page

from amora_fs_assets.testing.witness import Witness, WitnessUnavailable
from amora_fs_assets_tests.browser import BrowserUnavailableError, chromium
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.emulators.bigquery import bigquery_emulator as run_bigquery_emulator
from amora_fs_assets_tests.emulators.gcs import GcsEmulator
from amora_fs_assets_tests.emulators.gcs import gcs_emulator as run_gcs_emulator
from amora_fs_assets_tests.emulators.process import EmulatorUnavailableError
from amora_fs_assets_tests.emulators.sent import faults
from amora_fs_assets_tests.witness.client import running_witness
from amora_fs_assets_tests.witness.tally import TALLY

MISSING = "A part is missing. "
MEMORY, ENOUGH = Path("/dev/shm"), 4 * 2**30  # bytes; a container may have a few megabytes
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH:
    # A run of Dagster waits for a disk hundreds of times.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

QUICK = 0.15  # seconds, with its own fixtures
TOOK = "amora_fs/took"
"""Where pytest's cache keeps how long each test took."""
took: dict[str, float] = {}
EMULATOR = pytest.StashKey[BigQueryEmulator]()
"""The session's BigQuery, while it runs."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-all",
        action="store_true",
        help="fail, rather than skip, where an emulator or a browser is missing (CI)",
    )
    parser.addoption(
        "--quick", action="store_true", help=f"leave out what took longer than {QUICK:g} s in the last run without this"
    )
    parser.addoption("--gcp-project", default="", help="project for amora_fs_assets_tests/gcp: `make test-gcp`")
    parser.addoption("--gcp-bucket", default="", help="bucket in it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under --quick leave out what took long; a test that never ran is quick."""
    if config.getoption("--quick"):
        known: dict[str, float] = config.cache.get(TOOK, {})
        quick = [item for item in items if known.get(item.nodeid, 0.0) <= QUICK]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(quick)])
        items[:] = quick


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count how long the test took, and what it set up."""
    took[report.nodeid] = took.get(report.nodeid, 0.0) + report.duration


def missing(config: pytest.Config, reason: str) -> NoReturn:
    """Skip for want of something that this machine lacks; under --require-all, fail.

    The reason names the command that installs the missing part: the last line of the run repeats the reason.
    """
    if config.getoption("--require-all"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(MISSING + reason)


def left_out(skips: Iterable[str]) -> str:
    """The line that names each missing part once, with the command that installs it; empty where nothing is missing."""
    reasons = [skip.removeprefix("Skipped: ") for skip in skips]
    reasons = [reason.removeprefix(MISSING) for reason in reasons if reason.startswith(MISSING)]
    return f"{len(reasons)} tests were left out. {' '.join(sorted(set(reasons)))}" if reasons else ""


@pytest.fixture(scope="session")
def bigquery_emulator(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BigQueryEmulator]:
    """A BigQuery for the whole session. It changes no environment variable; use a dataset of your own.

    A test's datasets are deleted at its end, those of a module's fixtures at the module's end.
    """
    try:
        with run_bigquery_emulator(tmp_path_factory.mktemp("bigquery")) as emulator:
            request.config.stash[EMULATOR] = emulator
            yield emulator
            del request.config.stash[EMULATOR]
            analyze(emulator, request.config)
    except EmulatorUnavailableError as reason:
        missing(request.config, str(reason))


@pytest.fixture(scope="module", autouse=True)
def emptied(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each module leaves an empty BigQuery, if one runs: 33 datasets make each later statement ten times as slow."""
    yield
    if (emulator := request.config.stash.get(EMULATOR, None)) is not None:
        emulator.delete(emulator.datasets())


@pytest.fixture(autouse=True)
def as_before(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test of BigQuery leaves the datasets that it found: those of its module."""
    if request.node.get_closest_marker("google") is None:
        yield
        return
    running = request.config.stash.get(EMULATOR, None)
    found = running.datasets() if running else set()
    yield
    if (emulator := request.config.stash.get(EMULATOR, None)) is not None:
        emulator.delete(emulator.datasets() - found)


def analyze(emulator: BigQueryEmulator, config: pytest.Config) -> None:
    """Fail where BigQuery would not take something that the session sent. Without the analyzer, say so."""
    try:
        with running_witness() as witness:
            said = faults(emulator.sent, witness)
            TALLY.analyzed += witness.analyzed
    except WitnessUnavailable as reason:
        if config.getoption("--require-all"):
            pytest.fail(str(reason), pytrace=False)
        warnings.warn(f"What was sent to BigQuery's emulator is not analyzed. {reason}", stacklevel=2)
        return
    if said:
        pytest.fail("BigQuery would not take what was sent to its emulator:\n" + "\n".join(said), pytrace=False)


@pytest.fixture(scope="session")
def witness(request: pytest.FixtureRequest) -> Iterator[Witness]:
    """Google's own analyzer of GoogleSQL."""
    try:
        with running_witness() as running:
            yield running
            TALLY.analyzed += running.analyzed
            TALLY.executed += running.executed
    except WitnessUnavailable as reason:
        missing(request.config, str(reason))


@pytest.fixture(scope="session")
def gcs_emulator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsEmulator]:
    """A Cloud Storage for the whole session. It changes no environment variable."""
    try:
        with run_gcs_emulator(tmp_path_factory.mktemp("gcs")) as emulator:
            yield emulator
    except EmulatorUnavailableError as reason:
        missing(request.config, str(reason))


@pytest.fixture
def gcs_bucket(gcs_emulator: GcsEmulator) -> str:
    """The name of an empty bucket, one per test."""
    return gcs_emulator.new_bucket()


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Headless Chromium, one per module: its event loop would be in the way of other modules' asyncio tests."""
    try:
        with chromium() as opened:
            yield opened
    except BrowserUnavailableError as reason:
        missing(request.config, str(reason))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page of a browser profile of its own."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    yield context.new_page()
    context.close()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist ends, and has said what it counted."""
    TALLY.add(getattr(node, "workeroutput", {}).get("tally", {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Say what was counted to the process that reports, where this one is a worker of it."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["tally"] = asdict(TALLY) | {"differences": dict(TALLY.differences)}
    elif not session.config.getoption("--quick"):
        session.config.cache.set(TOOK, session.config.cache.get(TOOK, {}) | took)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """After the list of failures."""
    yield
    if TALLY.analyzed or TALLY.executed:
        terminalreporter.write_line(str(TALLY))
    if line := left_out(report.longrepr[2] for report in terminalreporter.getreports("skipped")):
        terminalreporter.write_line(line, yellow=True)
