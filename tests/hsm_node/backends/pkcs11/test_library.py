"""What is no module is named, and is not called."""

from pathlib import Path

import pytest

from hsm_node.backends.pkcs11.library import ModuleLoadError, load_functions


def test_what_cannot_be_loaded_is_named_in_one_line(tmp_path: Path) -> None:
    text = tmp_path / "text.so"
    text.write_bytes(b"no library")
    other = tmp_path / "other.so"
    other.write_bytes(b"\x7fELF\x01" + bytes(200))
    for path, reason in ((tmp_path / "none.so", "no such file"), (text, "architecture"), (other, "architecture")):
        with pytest.raises(ModuleLoadError, match=reason) as raised:
            load_functions(path)
        assert "\n" not in str(raised.value)


def test_a_library_that_is_no_module_is_refused() -> None:
    with pytest.raises(ModuleLoadError, match="no C_GetFunctionList"):
        load_functions(Path("libc.so.6"))
