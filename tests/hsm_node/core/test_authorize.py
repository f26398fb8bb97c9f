import enum
import sys
from collections.abc import Callable
from types import FrameType

import pytest

from hsm_node.core import authorize
from hsm_node.core.authorize import allow_operation, allow_use, allow_wrap, live_record, offered_mechanism
from hsm_node.core.key_table import Entry
from hsm_node.core.principals import Principal
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.messages import Policy
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import OPERATIONS
from hsm_wire.statuses import Status
from hsm_wire.usages import ALL_POLICY_FLAGS, PolicyFlag, Usage

Make = Callable[..., Record]
HMAC = ckm.MECHANISMS[ckm.CKM_SHA256_HMAC]


@pytest.mark.parametrize(
    ("role", "opcode", "allowed"),
    [
        ("use", Opcode.SIGN, True),
        ("manage", Opcode.SIGN, False),
        ("use", Opcode.GENERATE_KEY, False),
        ("manage", Opcode.DESTROY_KEY, True),
    ],
)
def test_roles_decide_about_operations(role: str, opcode: Opcode, *, allowed: bool) -> None:
    principal = Principal("i", 1, frozenset({role}), 0)
    if allowed:
        allow_operation(principal, OPERATIONS[opcode], 0)
    else:
        with pytest.raises(Refusal, match="needs the role"):
            allow_operation(principal, OPERATIONS[opcode], 0)


def test_a_certificate_that_ended_is_denied() -> None:
    principal = Principal("i", 1, frozenset({"use"}), 100)
    allow_operation(principal, OPERATIONS[Opcode.SIGN], 100)
    with pytest.raises(Refusal, match="expired"):
        allow_operation(principal, OPERATIONS[Opcode.SIGN], 101)


def test_keys_that_are_absent_or_destroyed_are_not_found(make_record: Make) -> None:
    assert live_record(Entry(make_record(), 1)).label == "label"
    for entry in (None, Entry(make_record(destroyed=True), 1)):
        with pytest.raises(Refusal) as refused:
            live_record(entry)
        assert refused.value.status is Status.KEY_NOT_FOUND


@pytest.mark.parametrize(
    ("number", "usage", "status"),
    [
        (0xFFFF, Usage.SIGN, Status.UNKNOWN_MECHANISM),
        (0x1081, Usage.ENCRYPT, Status.UNKNOWN_MECHANISM),  # CKM_AES_ECB
        (0x0005, Usage.SIGN, Status.UNKNOWN_MECHANISM),  # CKM_MD5_RSA_PKCS
        (ckm.CKM_AES_GCM, Usage.SIGN, Status.UNKNOWN_MECHANISM),
        (ckm.CKM_ML_DSA, Usage.SIGN, Status.MECHANISM_NOT_HERE),
    ],
)
def test_a_mechanism_must_exist_fit_and_be_offered(number: int, usage: Usage, status: Status) -> None:
    with pytest.raises(Refusal) as refused:
        offered_mechanism(number, usage, {})
    assert refused.value.status is status


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"key_type": "aes-256"}, Status.KEY_TYPE),
        ({"enabled": False}, Status.KEY_DISABLED),
        ({"usage": 2}, Status.KEY_USAGE),
        ({"policy": Policy(mechanisms=[ckm.CKM_SHA512_HMAC])}, Status.KEY_USAGE),
        ({"policy": Policy(not_before=101)}, Status.KEY_DISABLED),
        ({"policy": Policy(not_after=99)}, Status.KEY_DISABLED),
    ],
)
def test_a_key_refuses_what_it_is_not_for(make_record: Make, changes: dict[str, object], status: Status) -> None:
    with pytest.raises(Refusal) as refused:
        allow_use(make_record(**changes), HMAC, Usage.SIGN, 100)
    assert refused.value.status is status


@pytest.mark.parametrize(
    ("policy", "text"),
    [(Policy(not_before=101), "not_before.*; use another"), (Policy(not_after=99), "not_after.*; make a new")],
    ids=["too early", "too late"],
)
def test_who_is_early_or_late_is_told_which_and_what_to_do_where_enabling_does_not_help(
    make_record: Make, policy: Policy, text: str
) -> None:
    with pytest.raises(Refusal, match=text):
        allow_use(make_record(policy=policy), HMAC, Usage.SIGN, 100)


def test_a_key_allows_what_it_is_for(make_record: Make) -> None:
    policy = Policy(mechanisms=[HMAC.number], not_before=1, not_after=100)
    allow_use(make_record(policy=policy), HMAC, Usage.SIGN, 100)


@pytest.mark.parametrize(
    ("number", "usage", "key_type", "flag"),
    [
        (number, usage, next(name for name, row in KEY_TYPES.items() if row.family in mechanism.families), flag)
        for number, mechanism in MECHANISMS.items()
        for usages, flag in mechanism.needs
        for usage in usages
    ],
)
def test_what_is_dangerous_is_refused_to_a_key_without_the_flag(
    make_record: Make, number: int, usage: Usage, key_type: str, flag: PolicyFlag
) -> None:
    def allow(flags: PolicyFlag) -> None:
        record = make_record(key_type=key_type, usage=int(usage), policy=Policy(int(flags)))
        allow_use(record, MECHANISMS[number], usage, 0.0)

    allow(flag)
    with pytest.raises(Refusal, match="policy flag") as refused:
        allow(ALL_POLICY_FLAGS & ~flag)
    assert refused.value.status is Status.KEY_USAGE


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"policy": Policy()}, Status.KEY_USAGE),
        ({"key_type": "rsa-8192"}, Status.KEY_USAGE),
        ({"enabled": False}, Status.KEY_DISABLED),
        ({"policy": Policy(int(PolicyFlag.EXPORTABLE), not_after=9)}, Status.KEY_DISABLED),
    ],
    ids=["not exportable", "stronger", "disabled", "expired"],
)
def test_only_an_exportable_key_in_force_leaves_under_one_as_strong(
    make_record: Make, changes: dict[str, object], status: Status
) -> None:
    exportable: dict[str, object] = {"key_type": "aes-128", "policy": Policy(int(PolicyFlag.EXPORTABLE))}
    wrapping = make_record(key_type="aes-192", usage=int(Usage.WRAP))
    allow_wrap(wrapping, make_record(**exportable), 10.0)
    with pytest.raises(Refusal) as refused:
        allow_wrap(wrapping, make_record(**{**exportable, **changes}), 10.0)
    assert refused.value.status is status


def test_a_wrapping_key_of_an_older_version_that_also_decrypts_does_not_wrap(make_record: Make) -> None:
    record = make_record(key_type="aes-256", usage=int(Usage.WRAP | Usage.DECRYPT))
    with pytest.raises(Refusal, match="other usages"):
        allow_use(record, MECHANISMS[ckm.CKM_AES_KEY_WRAP_KWP], Usage.WRAP, 0.0)


@pytest.mark.parametrize("origin", ["derived", "unwrapped"])
def test_a_wrapping_key_of_an_older_version_that_was_remade_does_not_wrap(make_record: Make, origin: str) -> None:
    record = make_record(key_type="aes-256", usage=int(Usage.WRAP), origin=origin)
    with pytest.raises(Refusal, match="not made here") as refused:
        allow_use(record, MECHANISMS[ckm.CKM_AES_KEY_WRAP_KWP], Usage.WRAP, 0.0)
    assert refused.value.status is Status.KEY_USAGE


def test_a_key_leaves_only_as_its_origin_and_its_permissions_let_it(make_record: Make) -> None:
    flags = int(PolicyFlag.EXPORTABLE)
    made, outside = (make_record(key_type="aes-128", policy=Policy(flags), origin=o) for o in ("generated", "imported"))
    known = make_record(key_type="aes-192", usage=int(Usage.WRAP), origin="imported")
    allow_wrap(known, outside, 10.0)
    loose = make_record(key_type="aes-192", usage=int(Usage.WRAP), policy=Policy(int(PolicyFlag.CALLER_IV)))
    for wrapping, words in ((known, "made here"), (loose, "permit")):
        with pytest.raises(Refusal, match=words) as refused:
            allow_wrap(wrapping, made, 10.0)
        assert refused.value.status is Status.KEY_USAGE


def test_a_use_of_a_key_waits_for_no_arithmetic_of_flags(make_record: Make) -> None:
    record, offered = make_record(), {HMAC.number: Usage.SIGN | Usage.VERIFY}
    called: set[str] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            called.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        mechanism = offered_mechanism(HMAC.number, Usage.SIGN, offered)
        allow_use(record, mechanism, Usage.SIGN, 0)
    finally:
        sys.setprofile(None)
    assert authorize.__file__ in called
    assert enum.__file__ not in called
