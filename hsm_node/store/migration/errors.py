"""Why a store was not moved."""


class MigrationError(Exception):
    """It is refused; str() is the one line for the user: what is wrong and what to do."""
