from hsm_wire.errors import BodyError, LocalProtocolError, RemoteProtocolError, WireError
from hsm_wire.statuses import Status


def test_a_remote_error_carries_the_answer() -> None:
    error = RemoteProtocolError(Status.TOO_LARGE, "a frame of 5 bytes", 9)
    assert (error.status, error.detail, error.request_id, str(error)) == (
        Status.TOO_LARGE,
        "a frame of 5 bytes",
        9,
        "a frame of 5 bytes",
    )


def test_a_remote_error_may_have_no_request_id() -> None:
    assert RemoteProtocolError(Status.BAD_REQUEST, "x").request_id is None


def test_the_three_audiences_share_one_base_and_no_other() -> None:
    kinds = (RemoteProtocolError, LocalProtocolError, BodyError)
    assert all(kind.__bases__ == (WireError,) for kind in kinds)
