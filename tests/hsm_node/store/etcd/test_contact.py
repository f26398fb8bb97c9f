from hsm_node.store.etcd.contact import MAX_PROOFS, Contact


def test_without_a_read_there_is_no_contact() -> None:
    contact = Contact()
    contact.arrived(5)
    assert contact.since is None


def test_a_read_counts_from_its_begin_once_its_revision_has_arrived() -> None:
    contact = Contact()
    contact.arrived(5)
    contact.read(10.0, 5)
    assert contact.since == 10.0
    contact.read(11.0, 7)
    assert (contact.since, contact.behind(11.5)) == (10.0, 0.5)
    contact.arrived(6)
    assert contact.since == 10.0
    contact.arrived(7)
    assert (contact.since, contact.behind(11.5)) == (11.0, 0.0)


def test_reads_that_come_back_in_another_order_do_not_take_contact_back() -> None:
    contact = Contact()
    contact.read(12.0, 1)
    contact.read(11.0, 1)
    contact.arrived(1)
    assert contact.since == 12.0


def test_reads_that_the_watch_never_reaches_do_not_pile_up() -> None:
    contact = Contact()
    for second in range(10 * MAX_PROOFS):
        contact.read(float(second), 9)
    assert len(contact._proofs) == MAX_PROOFS
    contact.arrived(9)
    assert contact.since == 10 * MAX_PROOFS - 1
