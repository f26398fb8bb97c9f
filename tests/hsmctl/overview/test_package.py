"""The package's line, and a line a partition."""

from reports import look, report, silent, site, view

from hsm_wire.messages import PartitionReport
from hsmctl.overview.merging import merged
from hsmctl.overview.package import package_lines, partition_lines

CARDS = PartitionReport("cards", 800_000, 12, 30, 2, 864_000, 1, 1_000)
FREE = PartitionReport("free", 5, 0, 0, 0)


def seen(**changes):
    return look(report(package="economy", **changes))


def words(lines):
    return [" ".join(line.plain.split()) for line in lines]


def test_a_package_is_met_or_it_is_said_what_is_missing():
    assert words(package_lines(view(seen()))) == ["✓ package economy is met"]
    one, two = seen(shortfalls=["uplink a is down"]), seen(shortfalls=["uplink a is down", "no node stands by"])
    [line] = words(package_lines(merged((one, two))))
    assert line.endswith("package economy is not met: uplink a is down; no node stands by")


def test_what_ok_waits_for_is_said_where_there_is_a_dr_site():
    sites = [site(), site("alps", role="disaster-recovery")]
    for made, line in (
        (seen(durability="dr", sites=sites), "✓ package economy with durability dr is met"),
        (seen(durability="quorum", sites=sites), "✓ package economy with durability quorum is met"),
        (seen(durability="quorum"), "✓ package economy is met"),
        (seen(sites=sites), "✓ package economy is met"),
    ):
        assert words(package_lines(view(made))) == [line]


def test_proxies_that_do_not_answer_or_are_too_old_say_nothing():
    for nothing in (view(silent()), view(look(report()))):
        assert (package_lines(nothing), partition_lines(nothing, 200)) == ([], [])
    assert partition_lines(view(seen()), 200) == []


def test_each_partition_has_a_line_and_refusals_of_all_proxies_are_added_up():
    both = merged((seen(partitions=[CARDS, FREE]), seen(partitions=[CARDS, FREE])))
    _, head, cards, free = words(partition_lines(both, 200))
    assert head == "PARTITION SIGNATURES 24 H OF USED KEYS OF MADE 24 H A SECOND REFUSED"
    assert cards == "cards 800,000 864,000 93% 30 1,000 12 1 4"
    assert free == "free 5 - - 0 - 0 - 0"


def test_what_is_nearly_used_up_is_red():
    lines = partition_lines(view(seen(partitions=[CARDS])), 200)
    assert any("red" in str(span.style) for span in lines[-1].spans)
