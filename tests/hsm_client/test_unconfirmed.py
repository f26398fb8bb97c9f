"""What is said of work that not all have confirmed."""

from hsm_client.unconfirmed import UNCONFIRMED, unconfirmed_text


def test_nodes_and_the_dr_site_are_named() -> None:
    lines = [unconfirmed_text(status, ["node-2", "alps"]) for status in UNCONFIRMED]
    assert lines == ["done, but not confirmed by node-2, alps", "done, but not yet at the DR site node-2, alps"]
