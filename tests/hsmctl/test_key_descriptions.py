"""What is shown of a key."""

import json

import msgspec
import pytest

from hsm_wire import mechanisms as mech
from hsm_wire.messages import KeyInfo, Policy
from hsm_wire.usages import PolicyFlag, Usage
from hsmctl.key_descriptions import describe, policy_text, state_of, text_of

PLAIN = KeyInfo(
    bytes(16), "ec-p256", "tls", Usage.SIGN | Usage.VERIFY, True, 1, 1_800_000_000, "generated", b"", Policy()
)
FULL = msgspec.structs.replace(
    PLAIN,
    policy=Policy(
        PolicyFlag.EXPORTABLE | PolicyFlag.CALLER_IV,
        [mech.CKM_AES_GCM, 0x9999],
        1_800_000_000,
        1_900_000_000,
        9,
        604_800,
    ),
    destroy_at=1_850_000_000,
    replaces=b"\x01" * 16,
    replaced_by=b"\x02" * 16,
    uses=4,
)


def test_what_there_is_not_is_null_in_json_and_left_out_for_people() -> None:
    document = describe(PLAIN)
    assert document["policy"] == {
        "flags": [], "mechanisms": [], "not_before": None, "not_after": None, "max_uses": None, "destruction_wait_s": 0,
    }  # fmt: skip
    assert document["destroy_at"] is document["replaces"] is document["replaced_by"] is document["uses"] is None
    text = text_of(PLAIN)
    assert "policy   default" in text
    assert "replace" not in text
    assert "destroy" not in text


def test_policy_destruction_and_versions_are_shown() -> None:
    document = json.loads(json.dumps(describe(FULL)))
    assert document["policy"]["flags"] == ["exportable", "caller-iv"]
    assert document["policy"]["mechanisms"] == ["aes-gcm", "0x9999"]
    assert (document["policy"]["max_uses"], document["uses"]) == (9, 4)
    assert document["destroy_at"] == "2028-08-16T00:53:20+00:00"
    assert (document["replaces"], document["replaced_by"]) == ("01" * 16, "02" * 16)
    text = text_of(FULL)
    assert all(each in text for each in ("destroy_at", "2028-08-16", "01" * 16, "02" * 16, "destruction waits 7d"))


def test_a_policy_is_one_line_for_people() -> None:
    assert policy_text(FULL.policy) == (
        "exportable, caller-iv, only aes-gcm 0x9999, from 2027-01-15T08:00:00+00:00, until 2030-03-17T17:46:40+00:00, "
        "at most 9 uses, destruction waits 7d"
    )


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "enabled"),
        ({"enabled": False}, "disabled"),
        ({"replaced_by": bytes(16)}, "replaced"),
        ({"enabled": False, "replaced_by": bytes(16)}, "disabled"),
        ({"enabled": False, "destroy_at": 1_850_000_000}, "destroyed 2028-08-16"),
    ],
)
def test_how_a_key_stands_is_a_word_in_a_list(changes: dict[str, object], state: str) -> None:
    assert state_of(msgspec.structs.replace(PLAIN, **changes)) == state
