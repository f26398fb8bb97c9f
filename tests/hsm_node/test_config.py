import json
from pathlib import Path

import msgspec
import pytest

from hsm_cluster.address import Address
from hsm_cluster.errors import ConfigurationError
from hsm_node.config import StoreConfig, load_node_config, maybe_warning


def test_paths_are_relative_to_the_file_and_no_secret_is_shown(node_folder: Path) -> None:
    config, cluster = load_node_config(node_folder / "node.toml")
    assert cluster.name == "dev"
    assert config.store.path == node_folder / "store.db"
    assert config.tls_files is None
    assert (node_folder / "master.key").read_text().strip() not in json.dumps(config.effective())


def test_limits_are_those_of_the_file_and_the_others_are_the_design_s_defaults(node_folder: Path) -> None:
    file = node_folder / "node.toml"
    file.write_text(file.read_text() + "[limits]\nstall_s = 2\n")
    shown = load_node_config(file)[0].effective()["limits"]
    assert (shown["stall_s"], shown["shutdown_s"], shown["window_requests"]) == (2.0, 30.0, 256)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stall_s = 0.01", r"limits\.stall_s.*>= 0.05"),
        ("stall_s = nan", r"limits\.stall_s"),
        ("hello_s = inf", r"limits\.hello_s.*<= 3600"),
        ("shutdown_s = 0", r"limits\.shutdown_s.*> 0"),
        ("links = 0", r"limits\.links.*>= 1"),
        ("links = 2.5", r"limits\.links.*int"),
        ("window_requests = 100000000", r"limits\.window_requests.*<="),
        ('window_wait_s = "5 ms"', r"limits\.window_wait_s.*float"),
        ("window = 256", r"limits.*'window'"),
    ],
)
def test_a_limit_beyond_its_bounds_is_one_line_that_names_it(node_folder: Path, line: str, said: str) -> None:
    file = node_folder / "node.toml"
    file.write_text(f"{file.read_text()}[limits]\n{line}\n")
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_node_config(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "node-1"', 'name = "node-9"', "node-9"),
        ("sessions = 2", "sessions = 0", "sessions"),
        ("sessions = 2", "sesions = 2", "sesions"),
        ('listen = "127.0.0.1:0"', 'listen = "0.0.0.0:0"', "loopback"),
        ('"127.0.0.1:0"', '"127.0.0.1:2420"', "listen 127.0.0.1:2420 and admin 127.0.0.1:2420 are the same place"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(node_folder: Path, old: str, new: str, said: str) -> None:
    file = node_folder / "node.toml"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ConfigurationError, match=said):
        load_node_config(file)


ETCD = 'driver = "etcd"\nendpoints = ["127.0.0.1:2379", "127.0.0.1:2378"]\ntls = "off"\n'
TLS = 'tls = { ca = "c.pem", certificate = "n.pem", key = "k.pem" }'


def with_store(folder: Path, store: str, package: str = "sandbox") -> Path:
    """Return the node's file with another `[store]`."""
    file = folder / "node.toml"
    file.write_text(file.read_text().replace('path = "store.db"\n', store))
    cluster = folder / "cluster.toml"
    cluster.write_text(cluster.read_text().replace("sandbox", package))
    return file


def test_a_node_may_have_its_records_in_etcd(node_folder: Path) -> None:
    config, _ = load_node_config(with_store(node_folder, ETCD))
    assert [str(address) for address in config.store.endpoints] == ["127.0.0.1:2379", "127.0.0.1:2378"]
    assert (config.store.path, config.store.tls_files, config.store.is_open) == (None, None, False)
    shown = json.loads(json.dumps(config.effective()))["store"]
    endpoints = ["127.0.0.1:2379", "127.0.0.1:2378"]
    assert shown == {"driver": "etcd", "path": None, "endpoints": endpoints, "dr_endpoint": None, "tls": "off"}


def test_certificates_of_the_store_are_files_beside_the_node_s(node_folder: Path) -> None:
    store = ETCD.replace('tls = "off"', TLS).replace("127.0.0.1", "192.0.2.1")
    config, _ = load_node_config(with_store(node_folder, store))
    assert config.store.tls_files is not None
    assert config.store.tls_files.ca == node_folder / "c.pem"
    assert not config.store.is_open


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("", 'driver "sqlite" needs path'),
        ('path = "s"\nendpoints = ["127.0.0.1:2379"]\n', 'endpoints, dr_endpoint and tls are for driver "etcd"'),
        ('path = "s"\ntls = "off"\n', 'endpoints, dr_endpoint and tls are for driver "etcd"'),
        (ETCD + 'path = "s"\n', 'path is for driver "sqlite"'),
        ('driver = "etcd"\ntls = "off"\n', 'driver "etcd" needs endpoints and tls'),
        ('driver = "etcd"\nendpoints = ["127.0.0.1:2379"]\n', 'driver "etcd" needs endpoints and tls'),
        ('path = "s"\ndr_endpoint = "127.0.0.1:2379"\n', 'endpoints, dr_endpoint and tls are for driver "etcd"'),
        (ETCD + 'dr_endpoint = "127.0.0.1:2377"\n', "dr_endpoint 127.0.0.1:2377 is none of endpoints"),
        (ETCD + 'dr_endpoint = "127.0.0.1:2378"\n', "dr_endpoint is for a cluster with one disaster-recovery site"),
        (ETCD.replace("2378", "2379"), "names a member twice"),
        (ETCD.replace(":2378", ""), r"store\.endpoints"),
        (ETCD.replace("127.0.0.1:2378", "192.0.2.1:2378"), r'store\.tls = "off" is only for loopback'),
        (ETCD.replace('"off"', '"on"'), r"store\.tls"),
        ('driver = "nats"\n', r"store\.driver"),
    ],
)
def test_a_store_that_cannot_be_is_one_line_that_says_why(node_folder: Path, store: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_node_config(with_store(node_folder, store))
    assert "\n" not in str(caught.value)


def with_recovery_site(folder: Path, durability: str) -> None:
    """Give the cluster a package that has a DR site, and that site."""
    file = folder / "cluster.toml"
    site = (
        '[[sites]]\nname = "{0}"\nrole = "{1}"\nrisk_zone = "{0}"\nlatitude = {2}\nlongitude = 8.0\n'
        'uplinks = ["lo", "li"]\n[[nodes]]\nname = "{0}-1"\nsite = "{0}"\n'
        'paths = [{{ uplink = "lo", address = "192.0.2.{2}:2420" }}]\n'
    )
    text = file.read_text().replace('"sandbox"', f'"dedicated"\ndurability = "{durability}"')
    text = text.replace('uplinks = ["lo"]', 'uplinks = ["lo", "li"]')
    file.write_text(text + site.format("other", "active", 46) + site.format("alps", "disaster-recovery", 45))
    node = folder / "node.toml"
    node.write_text(node.read_text().replace('tls = "off"\nstate', f"{TLS}\nstate"))


@pytest.mark.parametrize(("durability", "member"), [("quorum", ""), ("quorum", "2378"), ("dr", "2378")])
def test_durability_dr_waits_for_the_member_that_is_at_the_recovery_site(
    node_folder: Path, durability: str, member: str
) -> None:
    with_recovery_site(node_folder, durability)
    store = ETCD.replace('tls = "off"', TLS) + (f'dr_endpoint = "127.0.0.1:{member}"\n' if member else "")
    config, cluster = load_node_config(with_store(node_folder, store, "dedicated"))
    assert (cluster.durability, str(config.store.dr_endpoint).rpartition(":")[2]) == (durability, member or "None")


@pytest.mark.parametrize("store", ['path = "store.db"\n', ETCD.replace('tls = "off"', TLS)])
def test_durability_dr_without_such_a_member_is_refused_by_name(node_folder: Path, store: str) -> None:
    with_recovery_site(node_folder, "dr")
    said = r"has durability \"dr\", so \[store\] needs driver \"etcd\" and dr_endpoint, the member at site 'alps'"
    with pytest.raises(ConfigurationError, match=said):
        load_node_config(with_store(node_folder, store, "dedicated"))


DEVICE = 'kind = "pkcs11"\nmodule = "m.so"\ntoken_label = "one"\npin = { file = "pin" }\n'


def test_a_node_may_have_its_keys_in_a_device_and_no_pin_is_shown(node_folder: Path) -> None:
    file = node_folder / "node.toml"
    text = file.read_text().replace('file = "master.key"', 'device = "redoubt"')
    file.write_text(f"{text}[backend]\n{DEVICE}")
    shown = load_node_config(file)[0].effective()["backend"]
    assert (shown["kind"], shown["module"]) == ("pkcs11", str(node_folder / "m.so"))
    assert shown["pin"] == {"file": str(node_folder / "pin")}


@pytest.mark.parametrize(
    ("master_key", "backend", "said"),
    [
        ('file = "master.key"', DEVICE, "go together"),
        ('device = "redoubt"', 'kind = "software"\n', "go together"),
        ('device = "redoubt"', "", "go together"),
        ('device = "redoubt", file = "x"', DEVICE, "exactly one source"),
        ('device = "redoubt"', DEVICE.replace("token_label", "label"), "label"),
        ('device = "redoubt"', DEVICE.replace('token_label = "one"\n', ""), "name the token"),
        ('device = "redoubt"', DEVICE.replace("pkcs11", "magic"), "magic"),
    ],
)
def test_a_device_that_cannot_be_is_one_line_that_says_why(
    node_folder: Path, master_key: str, backend: str, said: str
) -> None:
    file = node_folder / "node.toml"
    text = file.read_text().replace('file = "master.key"', master_key)
    file.write_text(f"{text}[backend]\n{backend}" if backend else text)
    with pytest.raises(ConfigurationError, match=said) as raised:
        load_node_config(file)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "site", "warned"),
    [("192.0.2.7:2420", "far", True), ("192.0.2.7:2420", "local", False), ("127.0.0.1:2427", "far", False)],
)
def test_a_file_as_the_store_of_several_sites_is_warned_of(
    node_folder: Path, address: str, site: str, warned: bool
) -> None:
    file = node_folder / "cluster.toml"
    more = f'[[sites]]\nname = "far"\n[[nodes]]\nname = "node-2"\nsite = "{site}"\n'
    more += f'paths = [{{ uplink = "lo", address = "{address}" }}]\n[[partitions]]'
    file.write_text(file.read_text().replace("[[partitions]]", more, 1))
    warning = maybe_warning(*load_node_config(node_folder / "node.toml"))
    assert (warning is not None) == warned
    if warning is not None:
        assert "nodes are at the sites far, local: each host makes a store with keys of its own" in warning
        config, cluster = load_node_config(node_folder / "node.toml")
        distributed = StoreConfig("etcd", endpoints=(Address("127.0.0.1", 2379),), tls="off")
        assert maybe_warning(msgspec.structs.replace(config, store=distributed), cluster) is None
