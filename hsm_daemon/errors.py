"""Why a daemon cannot start."""


class StartError(Exception):
    """The daemon cannot start; `str()` is one line that says what is wrong and what to do. Exit code 2."""
