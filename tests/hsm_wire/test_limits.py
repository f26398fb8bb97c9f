from hsm_wire import limits
from hsm_wire.frames import HEADER, encode_frame
from hsm_wire.messages import Bind, Hello, Welcome, encode_body


def test_header_length_and_smallest_length_belong_together() -> None:
    assert HEADER.size == limits.HEADER_BYTES
    assert limits.MIN_LENGTH == limits.HEADER_BYTES - limits.LENGTH_FIELD_BYTES


def test_maxima_of_frames_are_ordered() -> None:
    assert limits.GREETING_MAX_FRAME_BYTES < limits.DEFAULT_MAX_FRAME_BYTES <= limits.HARD_MAX_FRAME_BYTES


def test_the_longest_greeting_fits_into_the_greetings_maximum() -> None:
    name = "\N{GRINNING FACE}" * 256
    most = 0xFFFF_FFFF
    for body in (Hello(1, 1, most, most, name, name), Welcome(1, most, most, name, name)):
        assert len(encode_frame(1, encode_body(body))) - 4 <= limits.GREETING_MAX_FRAME_BYTES


def test_the_longest_bind_fits_into_any_frame_that_may_be_agreed_on() -> None:
    body = Bind(1, "x" * 256, 1, ["x" * 256] * 8, bytes(32), 1)
    assert len(encode_frame(9, encode_body(body))) - 4 <= limits.GREETING_MAX_FRAME_BYTES


def test_longest_random_answer_fits_into_the_default_frame() -> None:
    assert limits.MAX_RANDOM_BYTES + 100 < limits.DEFAULT_MAX_FRAME_BYTES


def test_time_outs_are_ordered() -> None:
    assert limits.DEFAULT_TIMEOUT_MS < limits.KEY_GENERATION_TIMEOUT_MS < limits.MAX_TIMEOUT_MS
