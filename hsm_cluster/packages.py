"""Service packages: what a cluster must have, and what each partition gets."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

MINUTES_OF_A_DAY: Final = 24 * 60
GENERATION_BURST: Final = 5
"""Key generations at once after a quiet time: a certificate authority's set of keys is made in one go."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What one partition may use. None: not limited."""

    signatures_per_minute: int | None = None
    """As a mean over 24 hours (`usage`)."""
    key_generations_per_second: int | None = None
    """With a burst of GENERATION_BURST."""
    stored_keys: int | None = None
    """That are not destroyed."""

    @property
    def signatures_per_day(self) -> int | None:
        """In any 24 hours."""
        return None if self.signatures_per_minute is None else self.signatures_per_minute * MINUTES_OF_A_DAY

    @property
    def counted(self) -> bool:
        """Whether proxies have to count for it."""
        return self.signatures_per_minute is not None or self.key_generations_per_second is not None


@dataclass(frozen=True, slots=True)
class Package:
    """One row of the offer. None: not limited by the package (best effort, or agreed freely)."""

    name: str
    min_active_nodes: int
    max_active_nodes: int | None
    redundant_sites: bool  # two distant active sites, distinct risk zones, two uplinks a site
    dr_required: bool
    dr_allowed: bool
    quota: Quota  # of each partition
    own_quotas: bool  # partitions may have quotas of their own, in cluster.toml


PACKAGES: Final = MappingProxyType(
    {
        package.name: package
        for package in (
            Package("sandbox", 1, 4, False, False, False, Quota(), True),
            Package("economy", 2, 4, True, True, True, Quota(600, 1, 1_000), False),
            Package("platinum", 2, 4, True, True, True, Quota(12_000, 1, 10_000), False),
            Package("dedicated", 1, None, True, False, True, Quota(), True),
        )
    }
)
