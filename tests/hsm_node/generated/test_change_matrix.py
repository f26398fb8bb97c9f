"""What may become of keys: every change in every state, of usages and of flags, as the rules in words say."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from desk import Desk
from key_rules import FAR_AWAY, LONG_AGO, Situation
from keys_in_situations import KeysInSituations
from wire_values import packed

from hsm_wire.key_types import KEY_TYPES
from hsm_wire.messages import FindKeysResult, KeyInfo, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag, Usage

TYPES: Final = {"hmac-256": Usage.SIGN | Usage.VERIFY, "aes-128": Usage.WRAP | Usage.UNWRAP, "ec-p256": Usage.SIGN}
_PLAIN: Final = Situation("as it was made", Usage(0), flags=PolicyFlag.CALLER_IV, label="one of the matrix")
STATES: Final = [
    _PLAIN,
    *(replace(_PLAIN, name=became, became=became) for became in ("disabled", "scheduled", "destroyed", "rotated")),
    replace(_PLAIN, name="absent", became="absent"),
    replace(_PLAIN, name="not yet", not_before=FAR_AWAY),
    replace(_PLAIN, name="no longer", not_after=LONG_AGO),
    replace(_PLAIN, name="that waits when destroyed", destruction_wait_s=3600),
]


def changes(key_id: bytes, policy: list[Any]) -> dict[str, tuple[Opcode, list[Any]]]:
    """Return what may be asked of a key's record, by name."""
    narrower = [0, *policy[1:]]
    return {
        "describe": (Opcode.DESCRIBE_KEY, [key_id]),
        "label": (Opcode.UPDATE_KEY, [key_id, 0, "another"]),
        "disable": (Opcode.UPDATE_KEY, [key_id, 0, None, False]),
        "enable": (Opcode.UPDATE_KEY, [key_id, 0, None, True]),
        "take all usages": (Opcode.UPDATE_KEY, [key_id, 0, None, None, 0]),
        "take all flags": (Opcode.UPDATE_KEY, [key_id, 0, None, None, None, narrower]),
        "change what is not at that version": (Opcode.UPDATE_KEY, [key_id, 99, "another"]),
        "rotate": (Opcode.ROTATE_KEY, [key_id, os.urandom(16)]),
        "destroy later": (Opcode.DESTROY_KEY, [key_id, 3600]),
        "destroy": (Opcode.DESTROY_KEY, [key_id]),
    }


def right_answer(change: str, state: Situation) -> Status:
    """Say what must come of a change, in words: a record that is there may be changed, whatever its key may do."""
    if state.became in ("destroyed", "absent"):
        return Status.KEY_NOT_FOUND
    if "not at that version" in change:
        return Status.KEY_CHANGED
    if change == "rotate" and state.became == "rotated":
        return Status.KEY_CHANGED  # its successor is to be rotated
    if change == "rotate" and state.became in ("disabled", "scheduled"):
        return Status.KEY_DISABLED  # else a new key would do what was forbidden
    return Status.OK


@pytest.fixture(scope="module")
def keys(desk: Desk) -> KeysInSituations:
    return KeysInSituations(desk.ask)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
@pytest.mark.parametrize("key_type", TYPES)
def test_a_record_may_be_changed_in_every_state_but_gone(
    desk: Desk, keys: KeysInSituations, count: Callable[[str, int], None], key_type: str, state: Situation
) -> None:
    state = replace(state, usage=TYPES[key_type])
    for change in changes(b"", state.policy):
        key_id = keys.new(key_type, state)
        opcode, body = changes(key_id, state.policy)[change]
        answer = desk.ask(opcode, packed(body))
        right = right_answer(change, state)
        assert answer.status == right, f"{change}: {answer.word}"
        count(f"rows of the matrix of changes: {'refused' if right else 'allowed'}", 1)
        gone = state.became in ("destroyed", "absent") or (change == "destroy" and not state.destruction_wait_s)
        assert found(desk, key_id) is not gone, change


def found(desk: Desk, key_id: bytes) -> bool:
    """Say whether a key is found."""
    before = (int.from_bytes(key_id) - 1).to_bytes(16)
    page = decode_body(FindKeysResult, desk.ask(Opcode.FIND_KEYS, packed([None, None, before, 1])).body)
    return any(row.key_id == key_id for row in page.keys)


def test_a_destruction_waits_as_long_as_the_policy_says_and_enabling_the_key_revokes_it(
    desk: Desk, keys: KeysInSituations
) -> None:
    key_id = keys.new("hmac-256", replace(STATES[-1], usage=Usage.SIGN))
    assert desk.ask(Opcode.DESTROY_KEY, packed([key_id, 0])).status == Status.OK
    waiting = info(desk, Opcode.DESCRIBE_KEY, [key_id])
    assert not waiting.enabled
    assert waiting.destroy_at >= waiting.created + 3600
    revoked = info(desk, Opcode.UPDATE_KEY, [key_id, 0, None, True])
    assert (revoked.enabled, revoked.destroy_at) == (True, 0)


def info(desk: Desk, opcode: Opcode, body: list[Any]) -> KeyInfo:
    answer = desk.ask(opcode, packed(body))
    assert answer.status == Status.OK, answer.word
    return decode_body(KeyInfo, answer.body)


@pytest.mark.parametrize("key_type", ["aes-128", "ec-p256", "ml-kem-768"])
def test_usages_are_only_lost(
    desk: Desk, keys: KeysInSituations, count: Callable[[str, int], None], key_type: str
) -> None:
    wrapping = Usage.WRAP | Usage.UNWRAP
    every = KEY_TYPES[key_type].usages
    for old in (*every, every & wrapping, every & ~wrapping):
        if not old:
            continue
        for new in (Usage(0), *Usage, every & wrapping, every & ~wrapping, Usage(0x1FF), 0x200):
            key_id = keys.new(key_type, Situation("", old))
            answer = desk.ask(Opcode.UPDATE_KEY, packed([key_id, 0, None, None, int(new)]))
            allowed = not int(new) & ~int(old)
            assert answer.status == (Status.OK if allowed else Status.BAD_REQUEST), (old, new, answer.word)
            assert info(desk, Opcode.DESCRIBE_KEY, [key_id]).usage == (int(new) if allowed else int(old))
            count(f"rows of the matrix of changes: {'allowed' if allowed else 'refused'}", 1)


@pytest.mark.parametrize("flag", PolicyFlag, ids=lambda flag: flag.name)
def test_a_permission_goes_and_never_comes_and_strict_comes_and_never_goes(
    desk: Desk, keys: KeysInSituations, count: Callable[[str, int], None], flag: PolicyFlag
) -> None:
    for old in (PolicyFlag(0), flag):
        for new in (PolicyFlag(0), flag):
            key_id = keys.new("aes-128", Situation("", Usage.ENCRYPT, old))
            first, other = (desk.ask(Opcode.UPDATE_KEY, policy_of(key_id, flags)) for flags in (new, old))
            widened = flag is PolicyFlag.STRICT and old and not new
            widened = widened or (flag is not PolicyFlag.STRICT and new and not old)
            assert first.status == (Status.BAD_REQUEST if widened else Status.OK), first.word
            back = old != new and not widened
            assert other.status == (Status.BAD_REQUEST if back else Status.OK), other.word
            count("rows of the matrix of changes: refused", bool(widened) + back)
            count("rows of the matrix of changes: allowed", 2 - bool(widened) - back)


def policy_of(key_id: bytes, flags: PolicyFlag) -> bytes:
    return packed([key_id, 0, None, None, None, [int(flags)]])
