"""What is offered is what nodes do, no more and no less."""

import hsm_client.sync
from hsm_wire.mechanisms import MECHANISM_BY_ALIAS
from hsm_wire.usages import Usage
from hsmctl.mechanism_names import CIPHERS, MEASURABLE, SIGNERS


def test_the_names_are_those_that_a_real_node_offers(shell) -> None:
    with hsm_client.sync.connect(shell.config) as cluster:
        offered = {row.number: row.usages for row in cluster.info().mechanisms}

    def names(usage: Usage) -> set[str]:
        return {alias for alias, row in MECHANISM_BY_ALIAS.items() if offered.get(row.number, 0) & usage}

    # Its parameters cannot be given on a command line.
    assert set(SIGNERS) == names(Usage.SIGN) - {"rsa-pss"}
    assert set(CIPHERS) == names(Usage.ENCRYPT)


def test_what_wants_a_digest_is_not_measured() -> None:
    assert set(MEASURABLE) <= {*SIGNERS, *CIPHERS}
    assert "ecdsa" not in MEASURABLE
    assert "ecdsa-sha256" in MEASURABLE
