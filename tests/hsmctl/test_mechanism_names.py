"""What commands offer by name is the protocol's table."""

import hsm_client.sync
from hsm_wire.mechanisms import MECHANISM_BY_ALIAS
from hsm_wire.usages import Usage
from hsmctl.mechanism_names import CIPHERS, DERIVERS, MEASURABLE, SIGNERS, WRAPPERS

USAGES = {Usage.SIGN: SIGNERS, Usage.ENCRYPT: CIPHERS, Usage.WRAP: WRAPPERS, Usage.DERIVE: DERIVERS}
UNSAYABLE = {"rsa-pss"}
"""Its parameters cannot be given on a command line."""


def test_all_that_a_real_node_offers_can_be_named(shell) -> None:
    with hsm_client.sync.connect(shell.config) as cluster:
        offered = {row.number: row.usages for row in cluster.info().mechanisms}
    for usage, names in USAGES.items():
        there = {alias for alias, row in MECHANISM_BY_ALIAS.items() if offered.get(row.number, 0) & usage}
        assert there - UNSAYABLE <= set(names)


def test_every_mechanism_that_makes_something_is_named_by_a_command() -> None:
    kem = {"ml-kem"}  # has commands of its own
    assert {name for names in USAGES.values() for name in names} | UNSAYABLE | kem == set(MECHANISM_BY_ALIAS)
    assert (set(WRAPPERS), set(DERIVERS)) == ({"aes-kw", "aes-kwp", "rsa-oaep"}, {"ecdh", "hkdf"})


def test_what_wants_a_digest_or_a_certain_length_is_not_measured() -> None:
    assert set(MEASURABLE) <= {*SIGNERS, *CIPHERS}
    assert not {"ecdsa", "rsa-pkcs1", "rsa-raw"} & set(MEASURABLE)
    assert {"ecdsa-sha256", "aes-ctr", "ml-dsa"} <= set(MEASURABLE)
