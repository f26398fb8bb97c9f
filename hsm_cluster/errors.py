"""What is wrong with a configuration."""


class ConfigurationError(Exception):
    """A file cannot be used; str() is the one line for the user: what is wrong and what to do."""
