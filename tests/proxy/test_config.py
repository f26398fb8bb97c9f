"""proxy.toml: what is wrong with it is one line that names it."""

import pytest
from proxy_stage import Authority, Stage

from hsm_cluster.errors import ConfigurationError
from proxy.config import load_config


@pytest.fixture
def path(tmp_path):
    class Node:
        name = "node-1"
        port = 2420

    made = Stage(tmp_path)
    made.nodes = [Node]
    return made.write("")


def change(path, old, new):
    path.write_text(path.read_text().replace(old, new))
    return path


def test_a_good_file_has_the_design_s_defaults(path):
    config = load_config(path)
    effective = config.effective()
    assert (effective["listen"], effective["retry"]["attempts"], effective["health"]["fall"]) == ("127.0.0.1:0", 3, 3)
    assert effective["configuration_hash"] == config.cluster.configuration_hash
    assert effective["durability"] == "quorum"
    assert config.tls is None


def test_tls_files_are_relative_to_the_file(path, tmp_path):
    Authority(tmp_path).issue("proxy-1", "spiffe://t/proxy/proxy-1")
    change(path, 'tls = "off"', 'tls = { ca = "ca.pem", certificate = "proxy-1.pem", key = "proxy-1-key.pem" }')
    with pytest.raises(ConfigurationError, match="tls_off_identity"):
        load_config(path)
    change(path, 'tls_off_identity = "spiffe://t/client/a"', "")
    assert load_config(path).tls.ca == tmp_path.resolve() / "ca.pem"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('site = "local"', 'site = "mars"', "mars"),
        ('listen = "127.0.0.1:0"', 'listen = "0.0.0.0:0"', "loopback"),
        ('tls_off_identity = "spiffe://t/client/a"', "", "tls_off_identity"),
        ("spiffe://t/client/a", "spiffe://t/client/z", "client/z"),
        ('listen = "127.0.0.1:0"', 'listen = "nonsense"', "nonsense"),
        ('"127.0.0.1:0"', '"127.0.0.1:9410"', "listen 127.0.0.1:9410 and admin 127.0.0.1:9410 are"),
        ('name = "proxy-1"', 'name = "proxy-1"\nnoise = 1', "noise"),
        ('"cluster.toml"', '"missing.toml"', "missing.toml"),
    ],
)
def test_each_fault_is_named(path, old, new, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        load_config(change(path, old, new))
    assert "\n" not in str(caught.value)
