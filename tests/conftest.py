"""What holds for the whole suite: nothing is skipped in CI, nothing is left behind."""

import os
import signal
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

from callboard.actors.drivers.lxc.requirements import missing

# `make test` tries the same examples each time, `make test-long` many new ones; for a mutant the
# first example that fails is enough, and need not be made as small as possible.
hypothesis.settings.register_profile("sample", derandomize=True, deadline=None)
hypothesis.settings.register_profile(
    "first", derandomize=True, deadline=None, phases=[hypothesis.Phase.generate]
)
hypothesis.settings.register_profile("long", max_examples=2_000, deadline=None)
hypothesis.settings.load_profile("sample")

# A shell has what it runs in the background ignore what is typed, and what that starts inherits it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_xdist_auto_num_workers() -> int:
    """Three processes for two cores: most tests of real nodes wait half of their time."""
    return len(os.sched_getaffinity(0)) * 3 // 2


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For a mutant, what is quick comes first: property-based tests are the last."""
    if config.getoption("hypothesis_profile", None) == "first":
        items.sort(key=lambda item: "hypothesis" in item.keywords)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test of containers is skipped where the machine can't make them, with the cure."""
    needed = item.get_closest_marker("needs_lxc")
    if needed is not None and (lacking := missing(needed.args)):
        reasons = [f"{each.detail} ({each.cure})" for each in lacking]
        pytest.skip("; ".join([*reasons, "tests/provision.sh mends all of it on Debian"]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI, where everything is installed, a skipped test is a failed one."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file that is skipped."""
    report = yield
    if os.environ.get("CI") and report.skipped:
        report.outcome = "failed"
    return report


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test counts its own job ids and fetches what it needs itself."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("CALLBOARD_CACHE", str(folder / "cache"))
    monkeypatch.setenv("CALLBOARD_STATE", str(folder))
    return folder
