"""A pytest plugin: where CI=true, a skipped test is a failed test.

A test may skip where a component of the system is missing. On a developer's machine that is honest; in CI it
would be a hole that nobody sees.
"""

import os
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure; an expected failure (xfail) stays what it is."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI nothing may be skipped: {report.longrepr}"
    return report
