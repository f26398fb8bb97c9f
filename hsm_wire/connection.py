"""One end of one connection: splitter, state table and limits together. Sans-I/O.

A shell feeds it bytes (`receive`) and tells it what it sends (`sent`); it returns the frames that are legal, in
order, and sets `fault` at the first that is not. The shell then answers the fault, if it has a request id or is
a server (id 0), and closes. Reading a body, answering and timing are the shell's.
"""

from hsm_wire import kinds, limits
from hsm_wire.errors import LocalProtocolError, RemoteProtocolError
from hsm_wire.frames import Frame, FrameSplitter, encode_frame
from hsm_wire.kinds import Kind
from hsm_wire.messages import Failure, Hello, Welcome, encode_body
from hsm_wire.states import NEXT_STATE, End, State
from hsm_wire.statuses import Status

_REQUEST = kinds.REQUEST
_RESPONSE = kinds.RESPONSE


class Connection:
    """The protocol state of one connection, seen from `end`.

    `binds` says whether this is the hop between proxy and node, where BIND is legal and requests carry a
    principal; on the hop between client and proxy both are refused.
    """

    __slots__ = ("_peer_moves", "_splitter", "binds", "end", "fault", "in_flight", "peer", "state")

    def __init__(self, end: End, *, binds: bool) -> None:
        self.end = end
        self.peer = End.SERVER if end is End.CLIENT else End.CLIENT
        self.binds = binds
        self.state = State.NEW
        self.fault: RemoteProtocolError | None = None
        self.in_flight: set[int] = set()
        """As a server: ids of requests received and not yet answered."""
        self._splitter = FrameSplitter(limits.GREETING_MAX_FRAME_BYTES)
        self._peer_moves = NEXT_STATE[State.NEW, self.peer]

    @property
    def buffered(self) -> int:
        """Bytes held of an incomplete frame."""
        return self._splitter.buffered

    def agree(self, max_frame_bytes: int) -> None:
        """Raise the frame maximum to what HELLO and WELCOME agreed on."""
        self._splitter.max_frame_bytes = max_frame_bytes

    def receive(self, data: bytes) -> list[Frame]:
        """Take bytes from the peer; return the legal frames, in order, up to the first fault."""
        if self.fault is not None:
            return []
        splitter = self._splitter
        frames = legal = splitter.split(data)
        # Nearly every frame of a node is an answer, about which nothing but the table is asked: once for all of them.
        if not splitter.answers_only or self._peer_moves.get(_RESPONSE) is not self.state:
            legal = self._legal(frames)
        if splitter.fault is not None and len(legal) == len(frames):
            self._break(splitter.fault)
        return legal

    def _legal(self, frames: list[Frame]) -> list[Frame]:
        """Return the frames before the first one that breaks a rule."""
        # Nearly every frame of a client is a request with a new id: the table is asked once for all of them.
        requests_stay = self._peer_moves.get(_REQUEST) is self.state
        in_flight = self.in_flight
        binds = self.binds
        for index, frame in enumerate(frames):
            kind = frame.kind
            if kind == _REQUEST and requests_stay and (binds or not frame.principal):
                request_id = frame.request_id
                if request_id and request_id not in in_flight:
                    in_flight.add(request_id)
                    continue
            after = self._peer_moves.get(kind)
            fault = self._rule_broken(frame) if after is not None else self._out_of_turn(frame)
            if fault is not None:
                self._break(fault)
                return frames[:index]
            if after is not self.state and after is not None:
                self._move(after)
                requests_stay = self._peer_moves.get(_REQUEST) is after
        return frames

    def sent(self, kind: int) -> None:
        """Note that this end sends a frame of that kind (REQUEST and RESPONSE: only where it changes the state).

        Raises:
            LocalProtocolError: the state does not allow it.
        """
        after = NEXT_STATE[self.state, self.end].get(kind)
        if after is None:
            raise LocalProtocolError(f"{self.end.value} may not send {Kind(kind).name} when {self.state.value}")
        if after is not self.state:
            self._move(after)

    def answered(self, request_id: int) -> None:
        """Note that a request received has its answer, so that its id may be used again."""
        self.in_flight.discard(request_id)

    def answer_to_fault(self) -> bytes:
        """Return the RESPONSE that names the fault, empty where the peer cannot be answered."""
        fault = self.fault
        if fault is None or self.end is End.CLIENT:
            return b""
        return encode_failure(fault.request_id or limits.CONNECTION_REQUEST_ID, fault.status, fault.detail)

    def _move(self, state: State) -> None:
        self.state = state
        self._peer_moves = NEXT_STATE[state, self.peer]

    def _break(self, fault: RemoteProtocolError) -> None:
        self.fault = fault
        self._splitter.discard()
        self._move(State.BROKEN)

    def _rule_broken(self, frame: Frame) -> RemoteProtocolError | None:
        """Check what the table cannot say: ids and principals of requests, which hop may BIND."""
        kind = frame.kind
        if kind == _REQUEST:
            request_id = frame.request_id
            in_flight = self.in_flight
            if request_id in in_flight:
                return RemoteProtocolError(
                    Status.DUPLICATE_ID, f"request {request_id} is in flight already", request_id
                )
            if request_id == limits.CONNECTION_REQUEST_ID:
                return RemoteProtocolError(Status.BAD_REQUEST, "request ids start at 1", request_id)
            if frame.principal and not self.binds:
                return RemoteProtocolError(
                    Status.DENIED, "a client's principal is 0: who asks is known from its certificate", request_id
                )
            in_flight.add(request_id)
        elif not self.binds and kind in (kinds.BIND, kinds.UNBIND):
            return RemoteProtocolError(Status.DENIED, "only a proxy may BIND", frame.request_id)
        return None

    def _out_of_turn(self, frame: Frame) -> RemoteProtocolError:
        name = Kind(frame.kind).name
        return RemoteProtocolError(
            Status.BAD_REQUEST, f"{name} is not allowed when the connection is {self.state.value}", frame.request_id
        )


def encode_failure(
    request_id: int,
    status: Status,
    detail: str,
    *,
    opcode: int = 0,
    operation_id: int = 0,
    not_executed: bool = False,
    stale: bool = False,
    retry_after_ms: int = 0,
) -> bytes:
    """Return a RESPONSE that says what failed."""
    flags = kinds.Flag.NOT_EXECUTED * not_executed | kinds.Flag.STALE * stale
    return encode_frame(
        kinds.RESPONSE,
        encode_body(Failure(detail[: limits.MAX_DETAIL_CHARACTERS], retry_after_ms)),
        flags=flags,
        request_id=request_id,
        opcode=opcode,
        status=int(status),
        operation_id=operation_id,
    )


def agree_on(hello: Hello, max_frame_bytes: int, max_in_flight: int, name: str, configuration_hash: str) -> Welcome:
    """Return the WELCOME to a HELLO: the smaller of both wishes.

    Raises:
        RemoteProtocolError: there is no common version, or the wishes make no connection.
    """
    version = limits.PROTOCOL_VERSION
    if not hello.min_version <= version <= hello.max_version:
        raise RemoteProtocolError(
            Status.UNSUPPORTED_VERSION,
            f"versions {hello.min_version} to {hello.max_version} offered; this is version {version}",
        )
    if hello.max_frame_bytes < limits.GREETING_MAX_FRAME_BYTES or hello.max_in_flight < 1:
        raise RemoteProtocolError(
            Status.BAD_REQUEST,
            f"HELLO asks for frames below {limits.GREETING_MAX_FRAME_BYTES} bytes, or for nothing in flight",
        )
    return Welcome(
        version,
        min(hello.max_frame_bytes, max_frame_bytes),
        min(hello.max_in_flight, max_in_flight),
        name,
        configuration_hash,
    )
