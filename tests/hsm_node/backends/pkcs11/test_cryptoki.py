"""Numbers of PKCS#11."""

from hsm_node.backends.pkcs11 import cryptoki


def test_no_number_has_two_names_within_its_kind() -> None:
    for kind in ("CKA_", "CKO_", "CKK_", "CKM_"):
        numbers = [value for name, value in vars(cryptoki).items() if name.startswith(kind)]
        assert len(numbers) == len(set(numbers))
        assert numbers
