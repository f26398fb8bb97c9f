"""Service packages: what a cluster must have, and what each partition gets."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Package:
    """One row of the offer. None: not limited by the package (best effort, or agreed freely)."""

    name: str
    min_active_nodes: int
    max_active_nodes: int | None
    redundant_sites: bool  # two distant active sites, distinct risk zones, two uplinks a site
    dr_required: bool
    signatures_per_minute: int | None  # per partition, mean over 24 h
    key_generations_per_second: int | None  # per partition


PACKAGES: Final = MappingProxyType(
    {
        package.name: package
        for package in (
            Package("sandbox", 1, 4, False, False, None, None),
            Package("economy", 2, 4, True, True, 600, 1),
            Package("platinum", 2, 4, True, True, 12_000, 1),
            Package("dedicated", 1, None, True, False, None, None),
        )
    }
)
