import pytest

from hsm_node.backends.hashes import parameter_hash, parameter_mask
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.parameters import CKG_MGF1_SHA1, CKG_MGF1_SHA256


def test_parameters_name_hashes_but_not_sha1() -> None:
    assert parameter_hash(ckm.CKM_SHA256).name == parameter_mask(CKG_MGF1_SHA256).name == "sha256"
    with pytest.raises(Refusal):
        parameter_hash(ckm.CKM_SHA_1)
    with pytest.raises(Refusal):
        parameter_mask(CKG_MGF1_SHA1)
