"""What every test gets: a home and a store of its own, and a way to insist that nothing was skipped."""

import os

import pytest
from hypothesis import HealthCheck, settings

# No deadlines: a busy machine is no bug. In CI the same examples each time: it judges the change, not luck.
settings.register_profile(
    "ours",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("ours")


def pytest_addoption(parser):
    parser.addoption(
        "--fail-on-skip", action="store_true", help="a skipped test is a failure (for CI, which installs all)"
    )


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if session.config.getoption("--fail-on-skip") and skipped and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def private_home(tmp_path_factory, monkeypatch):
    """A HOME without earlier trust, and the default store in a place that nothing else uses."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("MODELSERVING_STORE", str(home / "store"))
    return home
