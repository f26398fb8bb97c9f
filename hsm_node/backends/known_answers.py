"""The table of the self-test: for each mechanism what shows that it works. Published answers where there are any:

RFC 6979 (A.2.5 to A.2.7), RFC 8032, RFC 7748 (5.2), RFC 4493, RFC 3394, RFC 5649, RFC 4231, RFC 5869, SP 800-38A.
The others were made with one library and checked with another.
"""

from typing import Final

from hsm_node.backends.proofs import (
    agrees,
    derives,
    encapsulates,
    encrypts,
    has_public_key,
    refuses_changed_data,
    rejects_implicitly,
    signs,
    signs_anew,
    wraps,
)
from hsm_wire import mechanisms as ckm
from hsm_wire.parameters import (
    CKG_MGF1_SHA256,
    CKG_MGF1_SHA384,
    CKG_MGF1_SHA512,
    CtrParameters,
    GcmParameters,
    HkdfParameters,
    IvParameters,
    MlDsaParameters,
    OaepParameters,
    PssParameters,
)
from hsm_wire.usages import Usage

_IV: Final = bytes(range(16))
_DIGEST: Final = bytes.fromhex("af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf")
"""SHA-256 of what RFC 6979 signs: "sample"."""
_DIGEST_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420") + _DIGEST
_OAEP: Final = OaepParameters(ckm.CKM_SHA256, CKG_MGF1_SHA256, b"label")
# With an empty salt there is no chance in PSS.
_PSS: Final = {
    256: PssParameters(ckm.CKM_SHA256, CKG_MGF1_SHA256, 0),
    384: PssParameters(ckm.CKM_SHA384, CKG_MGF1_SHA384, 0),
    512: PssParameters(ckm.CKM_SHA512, CKG_MGF1_SHA512, 0),
}
_SIGNING: Final = Usage.SIGN | Usage.VERIFY
_KEM: Final = Usage.ENCAPSULATE | Usage.DECAPSULATE
_HMAC_DATA: Final = b"Hi There"

PROOFS: Final = (
    signs(
        ckm.CKM_RSA_PKCS,
        "rsa-2048",
        "86415aaa645e799f0bf5cf1e0f8bf4172c249ea7aee52c00752b3a60ac06653d",
        data=_DIGEST_INFO,
    ),
    encrypts(ckm.CKM_RSA_PKCS, "rsa-2048", ""),
    rejects_implicitly(ckm.CKM_RSA_PKCS, "rsa-2048", bytes(255) + b"\x02"),
    signs(ckm.CKM_SHA1_RSA_PKCS, "rsa-2048", "25d900742f2a6931aef164dc9a53741483a17a8c7928579b5d2117323e753dca"),
    signs(ckm.CKM_SHA256_RSA_PKCS, "rsa-2048", "4c1e835bad87b428b1f78eac0872cdd883f4771d6003652822d4c5d31d9934a9"),
    signs(ckm.CKM_SHA384_RSA_PKCS, "rsa-2048", "fd62c2d9e2b204737461fae2c151a65effec40ab0fffe0feb5340e4574666d4d"),
    signs(ckm.CKM_SHA512_RSA_PKCS, "rsa-2048", "3669f02c20bee31fd5f19ac18eb35b1ff8fda32520a66f78bf289404e31d76ee"),
    signs(
        ckm.CKM_RSA_PKCS_PSS,
        "rsa-2048",
        "0dbc55b31b374c38e153b1fc64b1f619f4fd4d2829a73ef4babc43e23634474d",
        _PSS[256],
        _DIGEST,
    ),
    signs(
        ckm.CKM_SHA256_RSA_PKCS_PSS,
        "rsa-2048",
        "3814a41c49ba483c404398f1e34548560a98e599470e9a17446c5c1270db0125",
        _PSS[256],
    ),
    signs(
        ckm.CKM_SHA384_RSA_PKCS_PSS,
        "rsa-2048",
        "2edc421c5676288982b0f965b70b64c45ffba54f0481e0ab3c6868760565012f",
        _PSS[384],
    ),
    signs(
        ckm.CKM_SHA512_RSA_PKCS_PSS,
        "rsa-2048",
        "42053dd1c8851213abf446e454a57a5976d806dcb2a086467a4abfe7f8d17637",
        _PSS[512],
    ),
    encrypts(ckm.CKM_RSA_PKCS_OAEP, "rsa-2048", "", _OAEP),
    refuses_changed_data(ckm.CKM_RSA_PKCS_OAEP, "rsa-2048", bytes(255) + b"\x02", _OAEP),
    wraps(ckm.CKM_RSA_PKCS_OAEP, "rsa-2048", "hmac-512", parameters=_OAEP),
    signs_anew(
        ckm.CKM_ECDSA,
        "ec-p256",
        (
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65"
            "f3e900dbb9aff4064dc4ab2f843acda8"
        ),
        data=_DIGEST,
    ),
    signs_anew(
        ckm.CKM_ECDSA_SHA256,
        "ec-p256",
        (
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65"
            "f3e900dbb9aff4064dc4ab2f843acda8"
        ),
    ),
    signs_anew(
        ckm.CKM_ECDSA_SHA384,
        "ec-p256",
        (
            "0eafea039b20e9b42309fb1d89e213057cbf973dc0cfc8f129edddc800ef77194861f0491e6998b9455193e34e7b0d28"
            "4ddd7149a74b95b9261f13abde940954"
        ),
    ),
    signs_anew(
        ckm.CKM_ECDSA_SHA512,
        "ec-p256",
        (
            "8496a60b5e9b47c825488827e0495b0e3fa109ec4568fd3f8d1097678eb97f002362ab1adbe2b8adf9cb9edab740ea60"
            "49c028114f2460f96554f61fae3302fe"
        ),
    ),
    signs_anew(
        ckm.CKM_ECDSA_SHA384,
        "ec-p384",
        (
            "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46"
            "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8"
        ),
    ),
    signs_anew(
        ckm.CKM_ECDSA_SHA512,
        "ec-p521",
        (
            "00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450606add152b53"
            "4931d7d4e8455cc91f9b15bf05ec36e377fa00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b"
            "68af282623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a"
        ),
    ),
    signs_anew(
        ckm.CKM_ECDSA_SHA256,
        "ec-secp256k1",
        (
            "432310e32cb80eb6503a26ce83cc165c783b870845fb8aad6d970889fcd7a6c8530128b6b81c548874a6305d93ed071c"
            "a6e05074d85863d4056ce89b02bfab69"
        ),
    ),
    signs(
        ckm.CKM_EDDSA,
        "ed25519",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
        data=b"",
    ),
    signs(
        ckm.CKM_EDDSA,
        "ed448",
        (
            "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22ddd47d78"
            "28c59bd0a21bfd3980ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4db"
            "b61149f05a7363268c71d95808ff2e652600"
        ),
        data=b"",
    ),
    agrees("ec-p256", "2388ee990c93c4bb757203225b7786d69950d2f0de43cdf23dc71f5efaa169c8"),
    agrees(
        "ec-p384", "905b8f97a03235c5cb1752a7984727c2e978287ee1afbaafa89e5ca1d4c601702c1c5f5ed8f12ec243da8281f12932a8"
    ),
    agrees(
        "ec-p521",
        (
            "01901b89b20bd70e5683bd9cf00422f38c75237eeb357d78eeb091eff0aba905f8121159aba8b5be730c4b65b93dc735"
            "7c9f29de67e319c4adb1fc2fdd1bd8444063"
        ),
    ),
    agrees("ec-secp256k1", "93b2dbcfdf86c28bbe14a181929365c0ea3252bf18bdb3e47337a20fc744aba7"),
    agrees(
        "x25519",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        "302a300506032b656e032100e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
    ),
    encrypts(
        ckm.CKM_AES_GCM,
        "aes-128",
        "300e85b4962811d409e56a97d11aa3bda5178ba153daf84e9bbdfa0b7999db66283128c19201b709a46a1d507cbfd90d",
        GcmParameters(_IV[:12], b"header"),
    ),
    encrypts(
        ckm.CKM_AES_GCM,
        "aes-192",
        "82550f6cb00197171e10208ee2834f6f58226937636e0d1771a60c5a34ac32e4541b7b65fb3324312f120322a5577182",
        GcmParameters(_IV[:12], b"header"),
    ),
    encrypts(
        ckm.CKM_AES_GCM,
        "aes-256",
        "2cc368f9eba55d8d647ce99ac27a6f472dfb0d63ee78f3e0a6d08a2958c68ee3e0e46a72adbd08bf1e66167fa549806a",
        GcmParameters(_IV[:12], b"header"),
    ),
    refuses_changed_data(ckm.CKM_AES_GCM, "aes-256", bytes(32), GcmParameters(_IV[:12], b"header")),
    encrypts(
        ckm.CKM_AES_CBC,
        "aes-128",
        "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2",
        IvParameters(_IV),
    ),
    encrypts(
        ckm.CKM_AES_CBC_PAD,
        "aes-128",
        "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b255e21d7100b988ffec32feeafaf23538",
        IvParameters(_IV),
    ),
    refuses_changed_data(ckm.CKM_AES_CBC_PAD, "aes-128", bytes(32), IvParameters(_IV)),
    encrypts(
        ckm.CKM_AES_CTR,
        "aes-128",
        "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff",
        CtrParameters(128, bytes(range(0xF0, 0x100))),
    ),
    signs(ckm.CKM_AES_CMAC, "aes-128", "bb1d6929e95937287fa37d129b756746", data=b""),
    wraps(
        ckm.CKM_AES_KEY_WRAP,
        "aes-256",
        "hmac-512",
        "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
    ),
    wraps(
        ckm.CKM_AES_KEY_WRAP_KWP,
        "aes-192",
        "hmac-384",
        "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
    ),
    signs(
        ckm.CKM_SHA256_HMAC,
        "hmac-256",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        data=_HMAC_DATA,
    ),
    signs(
        ckm.CKM_SHA384_HMAC,
        "hmac-256",
        "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
        data=_HMAC_DATA,
    ),
    signs(
        ckm.CKM_SHA512_HMAC,
        "hmac-256",
        (
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4"
            "be9d914eeb61f1702e696c203a126854"
        ),
        data=_HMAC_DATA,
    ),
    derives(
        ckm.CKM_HKDF_DERIVE,
        "secret-256",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
        HkdfParameters(ckm.CKM_SHA256, bytes(range(13)), bytes(range(0xF0, 0xFA))),
    ),
    derives(
        ckm.CKM_HKDF_DERIVE,
        "aes-256",
        "6d8dce04ad557757f4a66e4d531b08ac97249abf40424a65404f14ee3cab68c7",
        HkdfParameters(ckm.CKM_SHA512, b"salt", b"info"),
    ),
    has_public_key(
        ckm.CKM_ML_DSA, _SIGNING, "ml-dsa-44", "837832708c5236d951581f1fddf2b79991b3424a0486d16da1ddad0fd69701be"
    ),
    has_public_key(
        ckm.CKM_ML_DSA, _SIGNING, "ml-dsa-65", "b8b62131bfbe84433efb2273d7f5b87f7a22854a2cfd366fc2aead86d837c52d"
    ),
    has_public_key(
        ckm.CKM_ML_DSA, _SIGNING, "ml-dsa-87", "07e57c4f14dbad1267f621ec3777b4e2e6c4fbc4c22fbb87510ff8e0b3c6a642"
    ),
    signs_anew(ckm.CKM_ML_DSA, "ml-dsa-44", parameters=MlDsaParameters(b"context")),
    signs_anew(ckm.CKM_ML_DSA, "ml-dsa-65"),
    signs_anew(ckm.CKM_ML_DSA, "ml-dsa-87"),
    has_public_key(
        ckm.CKM_ML_KEM, _KEM, "ml-kem-768", "c23e23dd3d485a9256cda09358a4a286e00b373db10761eadf99f710649ca31c"
    ),
    has_public_key(
        ckm.CKM_ML_KEM, _KEM, "ml-kem-1024", "d2b7480ae006a14b37c1e8a8e45ea39022e32a9b1a7b90d594c84d869c6ac420"
    ),
    encapsulates("ml-kem-768", bytes(1088), "6b246eb18b553ab4cc4a57044d8d1534a885d1d34214c987789619cb73e6129a"),
    encapsulates("ml-kem-1024", bytes(1568), "6a58e1c59686c9fc322ec26b6ea0d5272267292ce9a40f12751396bc53227246"),
)
