import tracemalloc

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_wire import administration, backup_messages, messages, objects
from hsm_wire import parameters as parameter_forms
from hsm_wire.errors import BodyError
from hsm_wire.forms import named_fields
from hsm_wire.messages import (
    EMPTY_BODY,
    NIL_PARAMETERS,
    Body,
    Empty,
    GenerateKey,
    Sign,
    SiteReport,
    Unbind,
    Unconfirmed,
    UplinkReport,
    decode_body,
    encode_body,
)

KEY_ID = bytes(range(16))
FORMS: list[type[msgspec.Struct]] = list(
    dict.fromkeys(
        form
        for module in (messages, objects, administration, backup_messages, parameter_forms)
        for form in vars(module).values()
        if isinstance(form, type)
        and issubclass(form, msgspec.Struct)
        and form.__module__.startswith("hsm_wire.")
        and form not in (Body, parameter_forms.Parameters)
    )
)
st.register_type_strategy(msgspec.Raw, st.just(NIL_PARAMETERS))


def values(kind: msgspec.inspect.Type) -> st.SearchStrategy[object]:
    """Values that a field of that type may have, from msgspec's own view of the form."""
    inspect = msgspec.inspect
    match kind:
        case inspect.IntType():
            return st.integers(kind.ge if kind.ge is not None else -(1 << 63), kind.le or (1 << 63) - 1)
        case inspect.FloatType():
            return st.floats(kind.ge, kind.le)
        case inspect.StrType():
            return st.text(max_size=min(kind.max_length or 20, 20))
        case inspect.BytesType():
            least = kind.min_length or 0
            return st.binary(min_size=least, max_size=max(least, min(kind.max_length or 40, 40)))
        case inspect.BoolType() | inspect.NoneType():
            return st.booleans() if isinstance(kind, inspect.BoolType) else st.none()
        case inspect.RawType():
            return st.sampled_from([b"\xc0", b"\x90", b"\x93\x01\x02\x03"]).map(msgspec.Raw)
        case inspect.ListType():
            return st.lists(values(kind.item_type), max_size=3)
        case inspect.UnionType():
            return st.one_of(*map(values, kind.types))
        case inspect.StructType():
            return bodies(kind.cls)
    raise AssertionError(f"no strategy for {kind}")


def bodies(form: type[msgspec.Struct]) -> st.SearchStrategy[msgspec.Struct]:
    kind = msgspec.inspect.type_info(form)
    assert isinstance(kind, msgspec.inspect.StructType)
    return st.builds(form, **{field.name: values(field.type) for field in kind.fields})


def minimal(form: type[msgspec.Struct]) -> list[object]:
    """The shortest array that the form takes: its required fields."""
    kind = msgspec.inspect.type_info(form)
    assert isinstance(kind, msgspec.inspect.StructType)
    return [smallest(field.type) for field in kind.fields if field.required]


def smallest(kind: msgspec.inspect.Type) -> object:
    inspect = msgspec.inspect
    match kind:
        case inspect.IntType():
            return kind.ge or 0
        case inspect.StrType():
            return ""
        case inspect.BytesType():
            return bytes(kind.min_length or 0)
        case inspect.BoolType():
            return False
        case inspect.RawType():
            return None
        case inspect.ListType():
            return []
        case inspect.StructType():
            return minimal(kind.cls)
    raise AssertionError(f"no smallest value for {kind}")


@pytest.mark.parametrize("form", FORMS)
def test_every_body_round_trips(form: type[msgspec.Struct]) -> None:
    @given(body=bodies(form))
    def check(body: msgspec.Struct) -> None:
        data = encode_body(body)
        again = decode_body(form, data)
        assert encode_body(again) == data
        if not any(isinstance(getattr(body, name), msgspec.Raw) for name in body.__struct_fields__):
            assert again == body

    check()


@pytest.mark.parametrize("form", FORMS)
def test_fields_with_a_default_may_be_left_out_and_no_others(form: type[msgspec.Struct]) -> None:
    array = minimal(form)
    decode_body(form, msgpack.packb(array))
    if array:
        with pytest.raises(BodyError):
            decode_body(form, msgpack.packb(array[:-1]))


@pytest.mark.parametrize("form", FORMS)
def test_a_field_too_many_and_trailing_bytes_are_refused(form: type[msgspec.Struct]) -> None:
    array = list(msgpack.unpackb(encode_body(decode_body(form, msgpack.packb(minimal(form)))), strict_map_key=False))
    decode_body(form, msgpack.packb(array))
    with pytest.raises(BodyError):
        decode_body(form, msgpack.packb([*array, 0]))
    with pytest.raises(BodyError, match="trailing"):
        decode_body(form, msgpack.packb(array) + b"\xc0")


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_an_array_is_refused(form: type[msgspec.Struct]) -> None:
    for data in (b"", b"\xc0", b"\x80", b"\x01", b"\xa0", b"\xc1", b"\xc4\x00", b"\xc7\x01\x05a"):
        with pytest.raises(BodyError, match=form.__name__):
            decode_body(form, data)


@pytest.mark.parametrize("form", FORMS)
def test_every_truncation_is_refused(form: type[msgspec.Struct]) -> None:
    data = msgpack.packb(minimal(form))
    for length in range(len(data)):
        with pytest.raises(BodyError):
            decode_body(form, data[:length])


@given(data=st.binary(max_size=200), form=st.sampled_from(FORMS))
def test_any_bytes_are_a_body_or_a_body_error(data: bytes, form: type[msgspec.Struct]) -> None:
    try:
        body = decode_body(form, data)
    except BodyError:
        return
    assert encode_body(decode_body(form, encode_body(body))) == encode_body(body)


def test_the_text_of_a_body_error_is_short() -> None:
    with pytest.raises(BodyError) as caught:
        decode_body(Unconfirmed, msgpack.packb([["x" * 10_000]]))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x91" * 100_000 + b"\xc0",
        b"\x81\xc0" * 100_000 + b"\xc0",
        b"\x81" * 100_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x05",
    ],
    ids=["nested arrays", "nested maps", "nested keys", "array32", "map32", "str32", "bin32", "ext32"],
)
@pytest.mark.parametrize(
    ("form", "before"), [(Sign, b"\x94\xc4\x10" + KEY_ID + b"\x01"), (Unconfirmed, b"\x91"), (Empty, b"")]
)
def test_a_bomb_is_refused_and_takes_no_memory(form: type[msgspec.Struct], before: bytes, bomb: bytes) -> None:
    data = before + bomb + (b"\xc4\x00" if form is Sign else b"")
    tracemalloc.start()
    try:
        with pytest.raises(BodyError):
            decode_body(form, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("array", "where"),
    [
        ([bytes(15), "ec-p256"], "0"),
        ([bytes(17), "ec-p256"], "0"),
        (["0" * 16, "ec-p256"], "0"),
        ([KEY_ID, "x" * 33], "1"),
        ([KEY_ID, b"ec-p256"], "1"),
        ([KEY_ID, "ec-p256", "x" * 129], "2"),
        ([KEY_ID, "ec-p256", None], "2"),
        ([KEY_ID, "ec-p256", "", -1], "3"),
        ([KEY_ID, "ec-p256", "", 1 << 32], "3"),
        ([KEY_ID, "ec-p256", "", 1.0], "3"),
        ([KEY_ID, "ec-p256", "", True], "3"),
        ([KEY_ID, "ec-p256", "", "1"], "3"),
        ([KEY_ID, "ec-p256", "", 0, None], "4"),
        ([KEY_ID, "ec-p256", "", 0, [0, [1] * 65]], r"4\]\[1"),
        ([KEY_ID, "ec-p256", "", 0, [0, [], 1 << 63]], r"4\]\[2"),
    ],
)
def test_a_value_of_a_wrong_type_or_out_of_range_is_refused_and_named(array: list[object], where: str) -> None:
    with pytest.raises(BodyError, match=rf"\$\[{where}"):
        decode_body(GenerateKey, msgpack.packb(array))


def test_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(BodyError):
        decode_body(messages.Goaway, b"\x91\xa1\xff")


def test_wider_number_forms_than_needed_are_taken() -> None:
    assert decode_body(Unbind, b"\x91\xcf" + bytes(7) + b"\x07") == Unbind(7)
    assert decode_body(Empty, b"\xdc\x00\x00") == Empty()


def test_empty_body_is_the_empty_array() -> None:
    assert encode_body(Empty()) == EMPTY_BODY
    assert bytes(NIL_PARAMETERS) == msgpack.packb(None)


SECRET = b"hunter2hunter2hunter2"


@pytest.mark.parametrize("form", FORMS)
def test_repr_of_a_body_shows_no_bytes_but_ids(form: type[msgspec.Struct]) -> None:
    if not issubclass(form, Body):
        return
    kind = msgspec.inspect.type_info(form)
    assert isinstance(kind, msgspec.inspect.StructType)
    fields = {
        field.name: SECRET if isinstance(field.type, msgspec.inspect.BytesType) else example(field.type)
        for field in kind.fields
        if not field.name.endswith("_id")
    }
    ids = {field.name: KEY_ID for field in kind.fields if field.name.endswith("_id")}
    text = repr(form(**fields, **ids))
    assert "hunter2" not in text
    assert all(KEY_ID.hex() in text for _ in ids)
    assert text.startswith(form.__name__)


def example(kind: msgspec.inspect.Type) -> object:
    if isinstance(kind, msgspec.inspect.RawType):
        return msgspec.Raw(msgpack.packb(SECRET))
    if isinstance(kind, msgspec.inspect.ListType) and isinstance(kind.item_type, msgspec.inspect.BytesType):
        return [SECRET]
    return 1


def test_a_body_is_shown_with_the_names_of_its_fields_however_deep() -> None:
    body = SiteReport("zurich", "active", "", [UplinkReport("a", "up"), UplinkReport("b", "down")])
    uplinks = [{"name": "a", "state": "up"}, {"name": "b", "state": "down"}]
    shown = {"name": "zurich", "role": "active", "risk_zone": "", "uplinks": uplinks, "latitude": None}
    assert named_fields(body) == shown | {"longitude": None}


def test_bodies_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Unbind(7).number = 8  # type: ignore[misc]  # that it is refused is the test


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x94\xc4\x10" + KEY_ID + b"\x00" + b"\x91" * 5000, "too deep"),
        (b"\x92\xa2\xff\xfe\x00", "a text that is not UTF-8"),
        (b"\xc0", "Expected `array`"),
    ],
)
def test_a_refusal_is_in_plain_words(data: bytes, words: str) -> None:
    with pytest.raises(BodyError) as caught:
        decode_body(messages.Failure if data[0] == 0x92 else Sign, data)
    assert words in str(caught.value)
    assert "recursion" not in str(caught.value)
    assert "codec" not in str(caught.value)
