"""The software back end against every published vector that it can use."""

from collections.abc import Callable, Iterable

import msgspec
import pytest
from published.case import MAKING, PROBE, PUBLIC, Case, probing_mechanism, public_digest
from published.catalogue import SOURCES, Count, all_cases

from hsm_node.backends.software import SoftwareBackend
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import WrappedKey
from hsm_node.core.parameters import decode_parameters
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire.errors import BodyError
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.messages import NIL_PARAMETERS, encode_body
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

Make = Callable[..., Record]


class Tried:
    """A back end that takes the vectors' keys and uses them."""

    def __init__(self, keyring: Keyring, make_record: Make) -> None:
        self._backend = SoftwareBackend(keyring)
        self._make_record = make_record
        self._imported: dict[tuple[str, bytes], Record | Refusal] = {}
        self._count = 0

    def outcome(self, case: Case) -> Status | bytes:
        """Return what comes of it."""
        try:
            return self._used(case, self._key(case.key_type, case.material))
        except Refusal as refusal:
            return refusal.status
        except BodyError:
            return Status.BAD_REQUEST

    def _used(self, case: Case, record: Record) -> bytes:
        number, parameters = case.mechanism, _as_received(case)
        if case.usage is PUBLIC:
            return public_digest(record.public_key)
        if case.usage & MAKING:
            return self._computed(self._made(case, record, parameters), case.new_key_type)
        if case.usage is Usage.WRAP:
            return self._backend.wrap_key(record, number, parameters, self._key(case.new_key_type, case.data))
        key = self._backend.load(record)
        if case.usage is Usage.SIGN:
            return key.sign(number, parameters, case.data)
        if case.usage is Usage.VERIFY:
            key.verify(number, parameters, case.data, case.signature)
            return b""
        if case.usage is Usage.ENCRYPT:
            return key.encrypt(number, parameters, case.data, caller_iv=True)[0]
        return key.decrypt(number, parameters, case.data)

    def _made(self, case: Case, record: Record, parameters: Parameters | None) -> WrappedKey:
        number, new = case.mechanism, KEY_TYPES[case.new_key_type]
        if case.usage is Usage.UNWRAP:
            return self._backend.unwrap_key(record, number, parameters, case.data, new)
        if case.usage is Usage.DERIVE:
            return self._backend.derive(record, number, parameters, new)
        return self._backend.decapsulate(record, number, parameters, case.data, new)

    def _computed(self, made: WrappedKey, key_type: str) -> bytes:
        return self._backend.load(self._record(key_type, made)).sign(probing_mechanism(key_type), None, PROBE)

    def _key(self, key_type: str, material: bytes) -> Record:
        place = key_type, material
        if place not in self._imported:
            try:
                made = self._backend.import_key(KEY_TYPES[key_type], material)
                self._imported[place] = self._record(key_type, made)
            except Refusal as refusal:
                self._imported[place] = refusal
        found = self._imported[place]
        if isinstance(found, Refusal):
            raise found
        return found

    def _record(self, key_type: str, made: WrappedKey) -> Record:
        self._count += 1
        return self._make_record(
            key_id=self._count.to_bytes(16, "big"),
            key_type=key_type,
            wrapped=made.wrapped,
            true_length=made.true_length,
            public_key=made.public_key,
        )


def _as_received(case: Case) -> Parameters | None:
    raw = NIL_PARAMETERS if case.parameters is None else msgspec.Raw(encode_body(case.parameters))
    return decode_parameters(MECHANISMS[case.mechanism], raw)


@pytest.mark.parametrize(
    "source", SOURCES, ids=lambda source: f"{source.__module__.rpartition('.')[2]}.{source.__name__}"
)
def test_what_is_published_is_what_comes_out(
    source: Callable[[], Iterable[Case]], keyring: Keyring, make_record: Make
) -> None:
    tried = Tried(keyring, make_record)
    wrong = [(case, outcome) for case in source() if not case.agrees(outcome := tried.outcome(case))]
    assert not wrong, f"{len(wrong)} otherwise, the first: {wrong[0]}"


def test_there_are_as_many_as_were_asked_for(count: Callable[[str, int], None]) -> None:
    found = Count(all_cases())
    for line in found.lines("back end"):
        count(*line)
    assert found.vectors >= 2000
