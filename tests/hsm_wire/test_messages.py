import msgspec
import pytest

from hsm_wire import cluster_messages, forms, key_messages, link_messages, messages, operations, use_messages


@pytest.mark.parametrize("module", [cluster_messages, forms, key_messages, link_messages, use_messages])
def test_every_body_is_found_in_one_place(module: object) -> None:
    for name, form in vars(module).items():
        if isinstance(form, type) and issubclass(form, msgspec.Struct):
            assert getattr(messages, name) is form
            assert name in messages.__all__


def test_every_body_of_an_operation_has_a_form() -> None:
    for row in operations.OPERATIONS.values():
        assert issubclass(row.request, messages.Body)
        assert issubclass(row.result, messages.Body)
