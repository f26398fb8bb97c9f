"""Write the test vectors of protocol version 1.

They were written once and are fixed since: other people's clients are checked against them. The tool is kept to
show where they come from, and to add vectors for what a later version adds. It refuses to change a file that is
there (take it away first, and say in the change log why).
"""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from hsm_wire import administration as a
from hsm_wire import backup_messages as b
from hsm_wire import kinds, mechanisms
from hsm_wire import messages as m
from hsm_wire import objects as o
from hsm_wire import parameters as p
from hsm_wire.frames import encode_frame
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

HERE = Path(__file__).parent
KEY_ID = bytes.fromhex("0190163d8694739aa1c2d3e4f5061728")
OTHER_ID = bytes.fromhex("0190163d8695739aa1c2d3e4f5061729")
OPERATION_ID = 0x0123456789ABCDEF
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0bb22cd15d6c15b0f00a08"
# RFC 6979, A.2.5: the P-256 key and its signature of "sample" with SHA-256 are published.
PRIVATE = ec.derive_private_key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1())
PUBLIC_DER = PRIVATE.public_key().public_bytes(
    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
)
PUBLIC_POINT = PRIVATE.public_key().public_bytes(
    serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
)
NIL = m.NIL_PARAMETERS


def signature(data: bytes = b"sample") -> bytes:
    der = PRIVATE.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = utils.decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def plain(value: Any) -> Any:
    """Return a body as JSON: arrays as they stand on the wire, binary as {"bin": hex}."""
    if isinstance(value, msgspec.Raw):
        return plain(msgspec.msgpack.decode(value))
    if isinstance(value, bytes):
        return {"bin": value.hex()}
    if isinstance(value, msgspec.Struct):
        return [plain(getattr(value, name)) for name in value.__struct_fields__]
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def vector(name: str, kind: kinds.Kind, body: msgspec.Struct | None = None, **header: int) -> dict[str, Any]:
    fields = dict.fromkeys(
        ("flags", "request_id", "timeout_ms", "principal", "opcode", "status", "operation_id"), 0
    ) | {key: int(value) for key, value in header.items()}
    data = b"" if body is None else m.encode_body(body)
    return {
        "name": name,
        "header": {"kind": int(kind), **fields},
        "form": None if body is None else type(body).__name__,
        "body": None if body is None else plain(body),
        "hex": encode_frame(kind, data, **fields).hex(),
    }


def raw(parameters: p.Parameters) -> msgspec.Raw:
    return msgspec.Raw(m.encode_body(parameters))


def key_info() -> m.KeyInfo:
    return m.KeyInfo(KEY_ID, "ec-p256", "tls", 3, True, 1, 1_750_000_000, "generated", PUBLIC_DER, m.Policy())


HELLO = m.Hello(1, 1, 1 << 20, 256, "example-client/1.0")
WELCOME = m.Welcome(1, 1 << 20, 256, "redoubt-proxy/0.1.0", HASH)
PONG = m.Pong(
    bytes(range(16)),
    3,
    4,
    64,
    123_456,
    1,
    42,
    bytes(range(16, 32)),
    1,
    "current",
    "up",
    "ready",
    bytes(range(32, 48)),
    42,
    57,
    120,
    ["zrh-3"],
    [m.StoreMember("192.0.2.30:2379", "no answer in time")],
)
BIND = m.Bind(7, "spiffe://payments/client/issuer", 1, ["use", "manage"], bytes(range(32)), 1_781_536_000)


def frames() -> list[dict[str, Any]]:
    k = kinds.Kind
    common = {"request_id": 1, "operation_id": OPERATION_ID}
    return [
        vector("HELLO", k.HELLO, HELLO),
        vector("WELCOME", k.WELCOME, WELCOME),
        vector("REQUEST: RANDOM", k.REQUEST, m.Random(16), opcode=Opcode.RANDOM, timeout_ms=5000, **common),
        vector(
            "REQUEST of a bound principal (proxy to node)",
            k.REQUEST,
            m.Random(16),
            opcode=Opcode.RANDOM,
            timeout_ms=4990,
            principal=7,
            **common,
        ),
        vector(
            "REQUEST: OK shall wait for the DR site",
            k.REQUEST,
            m.DestroyKey(bytes(range(16))),
            opcode=Opcode.DESTROY_KEY,
            flags=kinds.Flag.DURABLE_DR,
            timeout_ms=5000,
            **common,
        ),
        vector("RESPONSE: OK", k.RESPONSE, m.RandomResult(bytes(range(16))), opcode=Opcode.RANDOM, **common),
        vector(
            "RESPONSE: OK, stale",
            k.RESPONSE,
            m.RandomResult(bytes(range(16))),
            opcode=Opcode.RANDOM,
            flags=kinds.Flag.STALE,
            **common,
        ),
        vector(
            "RESPONSE: OK_UNCONFIRMED",
            k.RESPONSE,
            m.Unconfirmed(["gva-1"]),
            opcode=Opcode.DESTROY_KEY,
            status=Status.OK_UNCONFIRMED,
            **common,
        ),
        vector(
            "RESPONSE: OK_DR_PENDING, with what OK would have said",
            k.RESPONSE,
            m.Unconfirmed(["alps"], msgspec.Raw(m.EMPTY_BODY)),
            opcode=Opcode.DESTROY_KEY,
            status=Status.OK_DR_PENDING,
            **common,
        ),
        vector(
            "RESPONSE: failed",
            k.RESPONSE,
            m.Failure("no key has this id; check the id or label"),
            opcode=Opcode.SIGN,
            status=Status.KEY_NOT_FOUND,
            **common,
        ),
        vector(
            "RESPONSE: failed, not executed",
            k.RESPONSE,
            m.Failure("the cluster is at its limit", 50),
            opcode=Opcode.SIGN,
            status=Status.OVERLOADED,
            flags=kinds.Flag.NOT_EXECUTED,
            **common,
        ),
        vector("RESPONSE to the connection", k.RESPONSE, m.Failure("unknown frame kind 99"), status=Status.BAD_REQUEST),
        vector("PING", k.PING, request_id=5),
        vector("PONG", k.PONG, PONG, request_id=5),
        vector("GOAWAY", k.GOAWAY, m.Goaway("shutting down")),
        vector("CANCEL", k.CANCEL, request_id=1),
        vector("BIND", k.BIND, BIND),
        vector("UNBIND", k.UNBIND, m.Unbind(7)),
    ]


def key_bodies() -> list[tuple[Opcode, msgspec.Struct, msgspec.Struct]]:
    c = Opcode
    found = m.FindKeysResult([key_info()])
    policy = m.Policy(4, [mechanisms.CKM_RSA_PKCS_PSS], 1_750_000_000, 1_781_536_000, 1000)
    return [
        (c.GENERATE_KEY, m.GenerateKey(KEY_ID, "ec-p256", "tls"), key_info()),
        (c.IMPORT_KEY, m.ImportKey(KEY_ID, "aes-128", bytes(16), "data", 12, policy), key_info()),
        (c.DESCRIBE_KEY, m.DescribeKey(KEY_ID), key_info()),
        (c.FIND_KEYS, m.FindKeys(label="tls"), found),
        (c.UPDATE_KEY, m.UpdateKey(KEY_ID, 1, None, False), key_info()),
        (c.DESTROY_KEY, m.DestroyKey(KEY_ID), m.Empty()),
        (c.WRAP_KEY, m.WrapKey(OTHER_ID, mechanisms.CKM_AES_KEY_WRAP_KWP, NIL, KEY_ID), m.WrapKeyResult(bytes(24))),
        (
            c.UNWRAP_KEY,
            m.UnwrapKey(OTHER_ID, mechanisms.CKM_AES_KEY_WRAP_KWP, NIL, bytes(24), KEY_ID, "aes-128"),
            key_info(),
        ),
        (c.ROTATE_KEY, m.RotateKey(KEY_ID, OTHER_ID), key_info()),
        (c.ADOPT_KEY, m.AdoptKey(KEY_ID, "ec-p256", "legacy-tls", "tls"), key_info()),
    ]


def use_bodies() -> list[tuple[Opcode, msgspec.Struct, msgspec.Struct]]:
    c, ecdsa, gcm = Opcode, mechanisms.CKM_ECDSA_SHA256, mechanisms.CKM_AES_GCM
    iv, sealed = bytes(range(12)), bytes(range(0xA0, 0xC0))
    ecdh = raw(p.EcdhParameters(PUBLIC_DER, mechanisms.CKM_SHA256))
    return [
        (c.SIGN, m.Sign(KEY_ID, ecdsa, NIL, b"sample"), m.SignResult(signature())),
        (c.VERIFY, m.Verify(KEY_ID, ecdsa, NIL, b"sample", signature()), m.Empty()),
        (
            c.ENCRYPT,
            m.Encrypt(KEY_ID, gcm, raw(p.GcmParameters(b"", b"header", 128)), b"sixteen bytes!!!"),
            m.EncryptResult(sealed, iv),
        ),
        (
            c.DECRYPT,
            m.Decrypt(KEY_ID, gcm, raw(p.GcmParameters(iv, b"header", 128)), sealed),
            m.DecryptResult(b"sixteen bytes!!!"),
        ),
        (c.DERIVE, m.Derive(KEY_ID, mechanisms.CKM_ECDH1_DERIVE, ecdh, OTHER_ID, "aes-256"), key_info()),
        (
            c.ENCAPSULATE,
            m.Encapsulate(KEY_ID, mechanisms.CKM_ML_KEM, NIL, OTHER_ID, "secret-256"),
            m.EncapsulateResult(bytes(8), key_info()),
        ),
        (
            c.DECAPSULATE,
            m.Decapsulate(KEY_ID, mechanisms.CKM_ML_KEM, NIL, bytes(8), OTHER_ID, "secret-256"),
            key_info(),
        ),
    ]


def other_bodies() -> list[tuple[Opcode, msgspec.Struct, msgspec.Struct]]:
    c, none = Opcode, m.Empty()
    mechanism = m.MechanismInfo(mechanisms.CKM_ECDSA_SHA256, "CKM_ECDSA_SHA256", 3)
    node = m.NodeReport("zrh-1", "zurich", "up", "ready", "", 1, 3, 64, 1000, 2, [m.PathReport("isp-a", "up")])
    at = "2026-07-01T12:00:00.000+00:00"
    site = m.SiteReport("zurich", "active", "a", [m.UplinkReport("isp-a", "up")], 47.4, 8.5)
    figures = (250.5, 1.5, 4.75, 0.0, 0.25, 3, 0)
    status = m.StatusResult(
        "proxy-1",
        "zurich",
        "payments",
        "redoubt-proxy/0.1.0",
        60_000,
        2,
        [node],
        at,
        "serving",
        [],
        *figures,
        [site],
        "economy",
        ["1 of 2 sites serves"],
        [m.PartitionReport("cards", 81, 2, 12, 0, 864_000, 1, 1_000)],
        durability="quorum",
    )
    rows = [m.UsageRow("zrh-1", 1, 6_000_000, 40, 2), m.UsageRow("gva-1", 1, 6_000_000, 41, 0)]
    told = m.UsageNews(bytes(range(16)), 8, False, rows[1:], [m.StoredRow(1, 12)])
    event = m.EventReport(42, at, "warning", "zurich", "zrh-1", "zrh-1 left the rotation: Connection refused")
    info = o.ObjectInfo(KEY_ID, "certificate", "tls", 1, 1_750_000_000)
    state = a.ClusterState("payments", 1, [a.NodeState("zrh-1", "ready", 1)])
    held = [a.NodeMasterKeys("zrh-1", ["00112233aabbccdd", "8899aabb00112233"], "00112233aabbccdd")]
    master_keys = a.MasterKeyStatus("zrh-1", 1, "00112233aabbccdd", "8899aabb00112233", 7, 0, 0, True, held)
    report = a.Report(True, ["done"])
    part = b.BackupPart(2, bytes(4), bytes(range(32)))
    item = b.BackupItem(KEY_ID, 1, "destroyed since", "it was destroyed after the backup and stays so")
    read = b.BackupReading(1, False, [b.BackupCount("made", 12)], [item], [])
    choice = b.RestoreChoice(["tls"], 1, [KEY_ID.hex()], [])
    drill = a.DrillReport(
        "alp-1", 1_750_000_000, 900, True, False, True, 12, 0, 14, 0, 0, 0, 800, ["ec-p256: sign, verify"]
    )
    problem = a.DrProblem("the last drill was not good", "see the runbook")
    where = ("payments", "economy", "alps", "alp-1", "standby")
    dr = a.DrStatus(*where, 1, False, 12, 5_000, 3_600_000, 0, 0, drill, 1_750_000_000, [problem])
    return [
        (c.INFO, none, m.InfoResult("payments", "zrh-1", "redoubt-node/0.1.0", [mechanism], ["ec-p256"])),
        (c.RANDOM, m.Random(16), m.RandomResult(bytes(range(16)))),
        (c.STATUS, none, status),
        (c.EVENTS, m.Events(41, 10), m.EventsResult("proxy-1", 42, [event])),
        (c.CHECK, m.Check(bytes(range(32))), m.CheckResult(signature(bytes(range(32))), PUBLIC_POINT)),
        (c.USAGE, m.UsageReport(bytes(range(16)), 7, rows[:1]), told),
        (c.CREATE_OBJECT, o.CreateObject(KEY_ID, "certificate", bytes(4), "tls"), info),
        (c.READ_OBJECT, o.ReadObject(KEY_ID), o.ReadObjectResult(info, bytes(4))),
        (c.FIND_OBJECTS, o.FindObjects(), o.FindObjectsResult([info])),
        (c.UPDATE_OBJECT, o.UpdateObject(KEY_ID, 1, None, "web"), info),
        (c.DESTROY_OBJECT, o.DestroyObject(KEY_ID), none),
        (c.CLUSTER_STATE, none, state),
        (c.SET_NODE_STATE, a.SetNodeState("zrh-1", "drain"), state),
        (c.DR_STATUS, none, dr),
        (c.DR_DRILL, none, drill),
        (c.DR_PROMOTE, a.DrPromote("payments", True), a.DrPromotion(2, True)),
        (c.DR_RECONCILE, b.RestoreBackup(part, 1), read),
        (c.DR_DEMOTE, a.DrDemote("payments"), a.DrReturn("alp-1", "alps", 2, 2, False)),
        (c.READ_AUDIT, a.ReadAudit(5, 10), a.ReadAuditResult([bytes(4)])),
        (c.CREATE_BACKUP, b.CreateBackup(KEY_ID), b.CreatedPart(KEY_ID, bytes(4), False, 12, 0)),
        (c.RESTORE_BACKUP, b.RestoreBackup(part, 1, True, choice), read),
        (c.VERIFY_BACKUP, b.VerifyBackup(part, 1, 100), read),
        (c.ROTATE_MASTER_KEY, none, report),
        (c.MASTER_KEY_STATUS, none, master_keys),
        (c.UNSEAL, a.Unseal(bytes(8)), report),
        (c.DR_VOUCH, a.DrVouch("payments"), a.DrPromotion(1, promoted=False)),
        (c.REMOVE_NODE, a.RemoveNode("zrh-3"), a.RemovedNode("zrh-3", True, ["gva-1", "zrh-1"])),
    ]


def operations() -> list[dict[str, Any]]:
    rows = []
    for opcode, request, result in (*other_bodies(), *key_bodies(), *use_bodies()):
        common = {"opcode": opcode, "request_id": 9, "operation_id": OPERATION_ID}
        rows.append(vector(f"{opcode.name} request", kinds.Kind.REQUEST, request, timeout_ms=10_000, **common))
        rows.append(vector(f"{opcode.name} answer", kinds.Kind.RESPONSE, result, **common))
    return sorted(rows, key=lambda row: row["header"]["opcode"])


def parameters() -> list[dict[str, Any]]:
    sha256 = mechanisms.CKM_SHA256
    forms: list[p.Parameters] = [
        p.PssParameters(sha256, p.CKG_MGF1_SHA256, 32),
        p.OaepParameters(sha256, p.CKG_MGF1_SHA256),
        p.GcmParameters(bytes(range(12)), b"header", 128),
        p.IvParameters(bytes(range(16))),
        p.CtrParameters(128, bytes(range(16))),
        p.EddsaParameters(False, b""),
        p.EcdhParameters(PUBLIC_DER, sha256, b"info", b"salt"),
        p.HkdfParameters(sha256, b"salt", b"info"),
        p.MlDsaParameters(b"context"),
    ]
    return [{"form": type(form).__name__, "body": plain(form), "hex": m.encode_body(form).hex()} for form in forms]


def session() -> list[dict[str, Any]]:
    k, ecdsa = kinds.Kind, mechanisms.CKM_ECDSA_SHA256
    bad = bytes([signature()[0] ^ 1]) + signature()[1:]

    def step(sender: str, *arguments: Any, **header: int) -> dict[str, Any]:
        return {"from": sender, **vector(*arguments, **header)}

    make = {"request_id": 1, "opcode": Opcode.GENERATE_KEY, "operation_id": OPERATION_ID}
    sign = {"request_id": 2, "opcode": Opcode.SIGN, "operation_id": OPERATION_ID + 1}
    verify = {"request_id": 3, "opcode": Opcode.VERIFY, "operation_id": OPERATION_ID + 2}
    wrong = {"request_id": 4, "opcode": Opcode.VERIFY, "operation_id": OPERATION_ID + 3}
    check = m.Verify(KEY_ID, ecdsa, NIL, b"sample", signature())
    return [
        step("client", "the client greets", k.HELLO, HELLO),
        step("server", "the proxy agrees", k.WELCOME, WELCOME),
        step("client", "make a P-256 key", k.REQUEST, m.GenerateKey(KEY_ID, "ec-p256", "tls"), **make),
        step("server", "its public half", k.RESPONSE, key_info(), **make),
        step(
            "client",
            "sign `sample` with ECDSA and SHA-256",
            k.REQUEST,
            m.Sign(KEY_ID, ecdsa, NIL, b"sample"),
            timeout_ms=5000,
            **sign,
        ),
        step("server", "r || s", k.RESPONSE, m.SignResult(signature()), **sign),
        step("client", "verify it", k.REQUEST, check, timeout_ms=5000, **verify),
        step(
            "client",
            "verify a changed one, without waiting",
            k.REQUEST,
            m.Verify(KEY_ID, ecdsa, NIL, b"sample", bad),
            timeout_ms=5000,
            **wrong,
        ),
        step(
            "server",
            "the second answer comes first",
            k.RESPONSE,
            m.Failure("the signature does not verify"),
            status=Status.BAD_SIGNATURE,
            **wrong,
        ),
        step("server", "the first one verifies", k.RESPONSE, m.Empty(), **verify),
        step("client", "are you there?", k.PING, request_id=1),
        step("server", "yes", k.PONG, PONG, request_id=1),
        step("client", "no more requests", k.GOAWAY, m.Goaway("done")),
    ]


def faults() -> list[dict[str, Any]]:
    """Streams that a server refuses, with the answer's status and id; `accepted` frames come before the fault."""
    hello = bytes.fromhex(vector("", kinds.Kind.HELLO, HELLO)["hex"])
    ask = encode_frame(kinds.REQUEST, b"\x90", request_id=9, opcode=Opcode.INFO)

    def patched(offset: int, value: str) -> bytes:
        new = bytes.fromhex(value)
        return ask[:offset] + new + ask[offset + len(new) :]

    def row(name: str, stream: bytes, status: Status, request_id: int, *, greeted: bool, accepted: int = 0) -> Any:
        return {
            "name": name,
            "greeted": greeted,
            "stream": stream.hex(),
            "status": int(status),
            "request_id": request_id,
            "accepted": accepted,
        }

    s = Status
    bind = encode_frame(kinds.BIND, m.encode_body(BIND))
    return [
        row("request before HELLO", ask, s.BAD_REQUEST, 9, greeted=False),
        row("second HELLO", hello, s.BAD_REQUEST, 0, greeted=True),
        row("length below a header", patched(0, "0000001b"), s.BAD_REQUEST, 0, greeted=True),
        row("length of 4 GiB", patched(0, "ffffffff"), s.TOO_LARGE, 9, greeted=True),
        row("version 2", patched(4, "02"), s.UNSUPPORTED_VERSION, 9, greeted=True),
        row("kind 0", patched(5, "00"), s.BAD_REQUEST, 9, greeted=True),
        row("kind 11", patched(5, "0b"), s.BAD_REQUEST, 9, greeted=True),
        row("flag in a REQUEST", patched(6, "0001"), s.BAD_REQUEST, 9, greeted=True),
        row("request id 0", patched(8, "00000000"), s.BAD_REQUEST, 0, greeted=True),
        row("principal from a client", patched(16, "00000007"), s.DENIED, 9, greeted=True),
        row("status in a REQUEST", patched(22, "0101"), s.BAD_REQUEST, 9, greeted=True),
        row("duplicate id in flight", ask + ask, s.DUPLICATE_ID, 9, greeted=True, accepted=1),
        row(
            "RESPONSE from a client",
            encode_frame(kinds.RESPONSE, b"\x90", request_id=9),
            s.BAD_REQUEST,
            9,
            greeted=True,
        ),
        row("BIND from a client", bind, s.DENIED, 0, greeted=True),
        row("principal in a PING", encode_frame(kinds.PING, principal=1, request_id=9), s.BAD_REQUEST, 9, greeted=True),
    ]


def main() -> int:
    made = {"frames": frames, "operations": operations, "parameters": parameters, "session": session, "faults": faults}
    for name, make in made.items():
        path = HERE / f"{name}.json"
        text = json.dumps(make(), indent=1, ensure_ascii=False) + "\n"
        if path.exists() and path.read_text(encoding="utf-8") != text:
            print(f"{path.name} is there and differs: vectors are fixed; remove it first if the change is meant")
            return 1
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
