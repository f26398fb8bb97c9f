"""Which version of this software runs: in greetings, STATUS, INFO and metrics."""

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """Return the version of this software; `unknown` where it runs without being installed."""
    try:
        return version("redoubt")
    except PackageNotFoundError:
        return "unknown"
