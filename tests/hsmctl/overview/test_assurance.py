"""What `hsmctl status` says of where keys are."""

from reports import look, node, report, text, view

from hsmctl.overview.assurance import assurance, assurance_lines
from hsmctl.overview.merging import View


def seen(*backends: str) -> View:
    return view(look(report(*(node(f"n{number}", backend=backend) for number, backend in enumerate(backends)))))


def test_one_node_in_software_lowers_a_cluster_of_devices() -> None:
    mixed = seen("pkcs11", "software", "pkcs11")
    assert assurance(mixed) == {"level": "software", "software_nodes": ["n1"]}
    assert text(assurance_lines(mixed)).strip() == (
        "▲ assurance of software: n1 holds the master key in software: all keys are as safe as there, devices or not"
    )
    assert "n0, n1 hold the" in text(assurance_lines(seen("software", "software", "pkcs11")))


def test_where_all_nodes_are_alike_no_line_is_needed() -> None:
    for backends, level in (
        (("software", "software"), "software"),
        (("pkcs11", "pkcs11"), "device"),
        (("pkcs11", ""), "unknown"),
        (("", "software"), "software"),
        ((), "unknown"),
    ):
        assert assurance(seen(*backends))["level"] == level
        assert assurance_lines(seen(*backends)) == []
