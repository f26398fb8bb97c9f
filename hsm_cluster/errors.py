"""What is wrong with a configuration."""


class ConfigurationError(Exception):
    """A file cannot be used; str() is the one line for the user: what is wrong and what to do."""

    def __init__(self, text: str) -> None:
        # Names and keys of the file are in it: what would break the line or steer a terminal is shown escaped.
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text))
