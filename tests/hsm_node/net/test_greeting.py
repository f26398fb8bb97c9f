from typing import Any
from unittest.mock import Mock

import pytest

from hsm_node.core.refusal import Refusal
from hsm_node.net import greeting
from hsm_wire.limits import LINK_MAX_IN_FLIGHT
from hsm_wire.messages import Hello, encode_body
from hsm_wire.statuses import Status


@pytest.fixture
def host() -> Any:
    return Mock(max_frame_bytes=1 << 20, welcome=lambda _hello: ("node", "hash"))


def test_the_answer_names_the_node_and_the_smaller_of_both_wishes(host: Any) -> None:
    proxy, welcome = greeting.answer(encode_body(Hello(1, 1, 1 << 24, 1 << 20, "proxy")), host)
    assert (proxy, welcome.name, welcome.configuration_hash) == ("proxy", "node", "hash")
    assert (welcome.max_frame_bytes, welcome.max_in_flight) == (1 << 20, LINK_MAX_IN_FLIGHT)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", Status.BAD_REQUEST),
        (encode_body(Hello(2, 3, 1 << 20, 5, "")), Status.UNSUPPORTED_VERSION),
        (encode_body(Hello(1, 1, 5, 5, "")), Status.BAD_REQUEST),
    ],
)
def test_what_cannot_be_agreed_on_is_refused(host: Any, body: bytes, status: Status) -> None:
    with pytest.raises(Refusal) as refused:
        greeting.answer(body, host)
    assert refused.value.status is status
