"""Policies by readable names."""

from datetime import UTC, datetime, timedelta

import pytest

from hsm_client import policy
from hsm_client.errors import BadRequest, UnknownMechanism
from hsm_wire import mechanisms as mech
from hsm_wire.limits import MAX_DESTRUCTION_WAIT_S
from hsm_wire.messages import Policy, decode_body, encode_body
from hsm_wire.usages import ALL_POLICY_FLAGS, PolicyFlag


def test_nothing_named_is_the_default():
    assert policy() == Policy()


@pytest.mark.parametrize("flag", list(PolicyFlag))
def test_every_flag_has_its_name(flag):
    assert policy(**{flag.name.lower(): True}).flags == flag


def test_all_flags_together_are_all_there_are():
    assert policy(**{flag.name.lower(): True for flag in PolicyFlag}).flags == ALL_POLICY_FLAGS


def test_mechanisms_times_and_numbers_are_as_the_wire_has_them():
    made = policy(
        mechanisms=["aes-gcm", mech.CKM_AES_CMAC],
        not_before=datetime(2026, 1, 1, tzinfo=UTC),
        not_after=datetime(2027, 1, 1, tzinfo=UTC),
        max_uses=1000,
        destruction_wait=timedelta(days=7, microseconds=1),
    )
    assert made == Policy(0, [mech.CKM_AES_GCM, mech.CKM_AES_CMAC], 1_767_225_600, 1_798_761_600, 1000, 7 * 86_400 + 1)
    assert decode_body(Policy, encode_body(made)) == made


@pytest.mark.parametrize(
    "wrong",
    [
        {"not_after": datetime(2027, 1, 1)},
        {"not_before": datetime(1969, 1, 1, tzinfo=UTC)},
        {"max_uses": -1},
        {"max_uses": 1 << 63},
        {"destruction_wait": timedelta(seconds=-1)},
        {"destruction_wait": timedelta(seconds=MAX_DESTRUCTION_WAIT_S + 1)},
    ],
)
def test_what_is_out_of_range_is_refused(wrong):
    with pytest.raises(BadRequest, match=next(iter(wrong))):
        policy(**wrong)


def test_an_unknown_mechanism_is_refused():
    with pytest.raises(UnknownMechanism, match="rot13"):
        policy(mechanisms=["rot13"])
