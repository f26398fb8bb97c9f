"""Who may do what: partitions, grants, and the principal that an identity is."""

from dataclasses import dataclass

PARTITION_ROLES = frozenset({"use", "manage", "audit"})
OPERATOR_ROLES = frozenset({"operate"})
NO_PARTITION = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """An identity and its roles."""

    identity: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Partition:
    """A tenant: its keys are seen by its clients only."""

    id: int
    name: str
    clients: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class Principal:
    """What an identity is in this cluster. An operator's partition is 0."""

    identity: str
    partition: int
    roles: frozenset[str]
