from hsm_wire.opcodes import Opcode, operation_name

CONTRACT = {
    0x0001: "INFO RANDOM STATUS CHECK EVENTS USAGE",
    0x0101: "GENERATE_KEY IMPORT_KEY DESCRIBE_KEY FIND_KEYS UPDATE_KEY DESTROY_KEY WRAP_KEY UNWRAP_KEY ROTATE_KEY "
    "ADOPT_KEY",
    0x0201: "SIGN VERIFY ENCRYPT DECRYPT DERIVE ENCAPSULATE DECAPSULATE",
    0x0301: "CREATE_OBJECT READ_OBJECT FIND_OBJECTS UPDATE_OBJECT DESTROY_OBJECT",
    0x0401: "CLUSTER_STATE SET_NODE_STATE DR_STATUS DR_DRILL DR_PROMOTE DR_RECONCILE DR_DEMOTE READ_AUDIT "
    "CREATE_BACKUP RESTORE_BACKUP VERIFY_BACKUP ROTATE_MASTER_KEY UNSEAL MASTER_KEY_STATUS REMOVE_NODE DR_VOUCH",
}


def test_opcodes_have_the_numbers_of_the_contract() -> None:
    expected = {name: first + i for first, names in CONTRACT.items() for i, name in enumerate(names.split())}
    assert {opcode.name: int(opcode) for opcode in Opcode} == expected


def test_opcodes_fit_the_header_field() -> None:
    assert all(0 < opcode <= 0xFFFF for opcode in Opcode)


def test_an_operation_of_a_later_version_has_no_name() -> None:
    assert (operation_name(Opcode.GENERATE_KEY), operation_name(0x7777)) == ("generate_key", "unknown")
