"""The one error of this package."""


class ConfigurationError(Exception):
    """A configuration cannot be used; `str()` is one line that says what is wrong and what to do."""
