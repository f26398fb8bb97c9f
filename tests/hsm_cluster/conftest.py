"""A topology that breaks no rule."""

import pytest

ECONOMY = """
[cluster]
name = "payments"
package = "economy"
[[sites]]
name = "zurich"
risk_zone = "CH-ZH"
latitude = 47.3769
longitude = 8.5417
uplinks = ["isp-a", "isp-b"]
[[sites]]
name = "geneva"
risk_zone = "CH-GE"
latitude = 46.2044
longitude = 6.1432
uplinks = ["isp-a", "isp-b"]
[[sites]]
name = "alps"
role = "disaster-recovery"
risk_zone = "CH-VS"
latitude = 46.6
longitude = 8.0
uplinks = ["isp-a", "isp-b"]
[[nodes]]
name = "zrh-1"
site = "zurich"
paths = [{ uplink = "isp-a", address = "192.0.2.10:2420" }, { uplink = "isp-b", address = "198.51.100.10:2420" }]
[[nodes]]
name = "gva-1"
site = "geneva"
weight = 2
paths = [{ uplink = "isp-a", address = "192.0.2.11:2420" }]
[[nodes]]
name = "dr-1"
site = "alps"
paths = [{ uplink = "isp-a", address = "192.0.2.12:2420" }]
[[partitions]]
id = 1
name = "card-issuing"
clients = [{ identity = "spiffe://payments/client/issuer", roles = ["use", "manage"] }]
[[operators]]
identity = "spiffe://payments/operator/olga"
"""


@pytest.fixture
def economy() -> str:
    """Return a cluster.toml."""
    return ECONOMY
