from hsm_wire import limits
from hsm_wire.messages import Body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import AT_DR_SITE, LONG, OF_PROXIES, OPERATIONS, Role, Work


def test_every_opcode_has_exactly_one_row() -> None:
    assert set(OPERATIONS) == {int(opcode) for opcode in Opcode}
    assert all(number == row.opcode for number, row in OPERATIONS.items())


def test_bodies_are_bodies() -> None:
    assert all(issubclass(row.request, Body) and issubclass(row.result, Body) for row in OPERATIONS.values())


def test_roles_are_those_of_the_contract() -> None:
    assert {role.value for role in Role} == {"use", "manage", "audit", "operate", "check"}
    assert OPERATIONS[Opcode.SIGN].roles == (Role.USE,)
    assert OPERATIONS[Opcode.GENERATE_KEY].roles == (Role.MANAGE,)
    assert set(OPERATIONS[Opcode.DESCRIBE_KEY].roles) == {Role.USE, Role.MANAGE}
    assert set(OPERATIONS[Opcode.INFO].roles) == set(Role) - {Role.CHECK}
    assert OPERATIONS[Opcode.CHECK].roles == (Role.CHECK,), "no client may ask for the deep check"
    assert OPERATIONS[Opcode.USAGE].roles == (Role.CHECK,), "nor tell nodes what others have used"


def test_administration_is_for_operators_and_the_audit_for_auditors() -> None:
    for number, row in OPERATIONS.items():
        if number >> 8 == 4:
            expected = Role.AUDIT if number == Opcode.READ_AUDIT else Role.OPERATE
            assert row.roles == (expected,)
            assert row.work is Work.ADMINISTER


def test_key_generation_drill_the_way_back_and_backups_have_a_long_time_and_the_first_two_run_long() -> None:
    backups = {Opcode.CREATE_BACKUP, Opcode.RESTORE_BACKUP, Opcode.VERIFY_BACKUP}
    long = {row.opcode for row in OPERATIONS.values() if row.default_timeout_ms != limits.DEFAULT_TIMEOUT_MS}
    assert long == {Opcode.GENERATE_KEY, Opcode.DR_DRILL, Opcode.DR_RECONCILE, Opcode.DR_DEMOTE, *backups}
    assert {Opcode.GENERATE_KEY, Opcode.DR_DRILL} == LONG


def test_what_proxies_ask_for_themselves_is_what_no_client_may() -> None:
    assert {Opcode.CHECK, Opcode.USAGE} == OF_PROXIES


def test_what_a_node_of_the_dr_site_is_asked_is_administration() -> None:
    assert {OPERATIONS[number].work for number in AT_DR_SITE} == {Work.ADMINISTER}
