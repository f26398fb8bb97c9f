"""Why a daemon cannot start."""


class StartError(Exception):
    """The daemon cannot start (exit code 2); str() is the one line for the user: what is wrong and what to do."""
