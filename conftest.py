"""What holds for the tests of every package."""

import os

import pytest

# Only the top conftest may load a plugin; it brings Redis fixtures to every package's tests.
pytest_plugins = ["rediscore.testing.plugin"]


class NoSkips:
    """With CI set a skipped test fails the run: CI has an engine, a browser and every server."""

    def __init__(self) -> None:
        self._skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped.append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for test in self._skipped:
            terminalreporter.write_line(f"skipped, which CI does not allow: {test}", red=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups first: the tests of one run in turn on one worker, so the long ones must not begin last."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI") == "true" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(NoSkips(), "no-skips")
