"""What a node and the process that its module runs in say to each other: one question, one answer, on each line.

A key is named by what the record holds of it. So the process needs no state of the node's, a restarted one none of its
predecessor's, and no answer can be about another key than the one that was asked for.
"""

from typing import Final, Union

import msgspec

from hsm_wire.limits import HARD_MAX_FRAME_BYTES

MAX_MESSAGE_BYTES: Final = HARD_MAX_FRAME_BYTES + 64 * 1024
"""A request's data, and beside it a wrapped key, parameters and names."""


class _Message(msgspec.Struct, array_like=True, tag=True, frozen=True):
    def __repr__(self) -> str:
        return f"{type(self).__name__}(<secret>)"


class KeyRef(msgspec.Struct, array_like=True, frozen=True):
    """A key as its record has it."""

    key_type: str
    wrapped: bytes
    version: int
    """Of the master key that it is wrapped under."""
    kept: bool = True
    """Whether its object stays for the next use; otherwise it is unwrapped for this one, and destroyed after it."""
    device_object: str = ""
    """Label of a key that was adopted: it is used where it is, and never destroyed. Empty: it is wrapped."""

    def __repr__(self) -> str:
        return f"KeyRef({self.key_type})"


class MasterKeyObjects(msgspec.Struct, array_like=True, frozen=True):
    """Where a master key's parts are: the labels of objects of the token."""

    version: int
    label: str
    """The parts' labels are this one with a suffix: see `master_key_objects`."""


# Questions


class Look(_Message, frozen=True):
    """Load the module and look at the token; log nobody in."""

    module: str
    label: str
    serial: str
    slot: int | None


class Begin(_Message, frozen=True):
    """Log in, once, and open sessions."""

    pin: bytes
    master_keys: tuple[MasterKeyObjects, ...]
    wrap_mechanism: int


class Use(_Message, frozen=True):
    """C_Sign, C_Encrypt or C_Decrypt."""

    verb: str
    key: KeyRef
    mechanism: int
    parameters: bytes
    """MessagePack of the mechanism's parameters, as on the wire."""
    data: bytes
    room: int
    """Bytes that the answer is thought to take."""


class Generate(_Message, frozen=True):
    """Make a key and wrap it."""

    key_type: str
    version: int


class Take(_Message, frozen=True):
    """Take a key that the caller gave to the node, and wrap it."""

    key_type: str
    transport_key: bytes
    """AES-256, for this once: what the device gets in clear is this, and no key of anybody's."""
    wrapped: bytes
    """The material under it, by RFC 5649."""
    version: int


class Adopt(_Message, frozen=True):
    """Look for a private key that stays in the token."""

    key_type: str
    device_object: str


class Mac(_Message, frozen=True):
    """HMAC-SHA256 under a master key's MAC key."""

    version: int
    message: bytes


class Random(_Message, frozen=True):
    """Random bytes of the device."""

    length: int


class Forget(_Message, frozen=True):
    """Destroy the session object of a key that was destroyed."""

    key: KeyRef


Question = Union[Look, Begin, Use, Generate, Take, Adopt, Mac, Random, Forget]  # noqa: UP007 - msgspec's decoder

# Answers


class Done(_Message, frozen=True):
    """It was done."""

    data: bytes


class Made(_Message, frozen=True):
    """A key was made."""

    wrapped: bytes
    true_length: int
    """Bytes of the material; 0 for private keys: the device does not say, and their DER does."""
    public: tuple[bytes, ...]
    """RSA: modulus and exponent; EC: the point, as an octet string in DER; secret keys: nothing."""


class Seen(_Message, frozen=True):
    """What the token says of itself."""

    label: str
    serial: str
    model: str
    flags: int
    mechanisms: tuple[int, ...]


class Begun(_Message, frozen=True):
    """Sessions are open."""

    sessions: int
    """How many the device gave."""
    given_out: tuple[bytes, ...]
    """Of each master key, the newest last: its attribute key and its fingerprint."""
    unbound: str = ""
    """Why a key that has just been made could be wrapped under another one than the master key; empty: it cannot."""


class Failed(_Message, frozen=True):
    """A call returned something else than CKR_OK."""

    number: int
    function: str


class Unusable(_Message, frozen=True):
    """It cannot begin: one line that says why and what to do."""

    text: str


Answer = Union[Done, Made, Seen, Begun, Failed, Unusable]  # noqa: UP007 - as above

encoder: Final = msgspec.msgpack.Encoder()
questions: Final[msgspec.msgpack.Decoder[Question]] = msgspec.msgpack.Decoder(Question)
answers: Final[msgspec.msgpack.Decoder[Answer]] = msgspec.msgpack.Decoder(Answer)
