"""Certificates and keys in files: readable, matching, in time, of the right CA, and the key for its owner only."""

import datetime
import stat
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from hsm_client.config import TlsFiles
from hsm_client.tls import IDENTITY, certificate_identity
from hsm_wire.messages import StatusResult
from hsmctl.doctor.finding import Finding
from hsmctl.proxies import Answer

CHECK: Final = "certificates"
SOON: Final = datetime.timedelta(days=14)
"""What ends within this is about to expire, as the alert has it too..."""
LAST_PART: Final = 3
"""...or within the last third of its life, for one that lives shorter than six weeks."""
MAX_PEM_BYTES: Final = 1 << 20
OPEN_KEY_BITS: Final = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP
"""What nobody but the owner should do with a key; its group may read it, as systemd's credentials have it."""
OPEN_FILE_BITS: Final = stat.S_IWOTH
_ISSUE: Final = "have the cluster's CA issue a new certificate (`hsmctl dev` makes its own anew at its start)"


def certificate_findings(files: TlsFiles, now: datetime.datetime, roles: tuple[str, ...] | None = ()) -> list[Finding]:
    """Return what is wrong with one set of files; its identity may have these roles (None: it need not have one)."""
    found: list[Finding] = []
    authorities = _certificates(files.ca, found)
    chain = _certificates(files.certificate, found)
    key = _key(files.key, found)
    for authority in authorities:
        found += _time(files.ca, "CA certificate", authority, now)
    if chain:
        found += _time(files.certificate, "certificate", chain[0], now)
        found += [] if roles is None else _identity(files.certificate, chain[0], roles)
        if authorities and not any(_issued(chain[-1], each) for each in authorities):
            found.append(
                _error(
                    files.certificate,
                    f"no CA of {files.ca} issued it",
                    f"name the CA file that goes with it, or {_ISSUE}",
                )
            )
        if key is not None and key.public_key() != chain[0].public_key():
            found.append(
                _error(files.key, f"it is not the key of {files.certificate}", "use both files as they were issued")
            )
    found += open_file(CHECK, files.key, OPEN_KEY_BITS, "others can use the key", "0400")
    found += open_file(CHECK, files.ca, OPEN_FILE_BITS, "everybody can change whom we trust", "0644")
    return found


def proxy_findings(answers: list[Answer[StatusResult]], now: datetime.datetime) -> list[Finding]:
    """Return the proxies whose certificate is about to expire; of one that has expired nobody gets an answer."""
    found = []
    for answer in answers:
        if answer.certificate is not None:
            certificate = x509.load_der_x509_certificate(answer.certificate)
            found += _time(f"proxy {answer.address}", "certificate", certificate, now)
    return found


def open_file(check: str, path: Path, bits: int, wrong: str, mode: str) -> list[Finding]:
    """Return the finding for a file or folder of which others may do more than they should."""
    try:
        seen = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return []  # said elsewhere, or not there yet
    if not seen & bits:
        return []
    return [Finding(check, "warning", str(path), f"{wrong} (mode {seen:04o})", f"chmod {mode} {path}")]


def _error(subject: object, wrong: str, advice: str) -> Finding:
    return Finding(CHECK, "error", str(subject), wrong, advice)


def _read(path: Path, found: list[Finding]) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_PEM_BYTES)
    except OSError as error:
        found.append(_error(path, f"it cannot be read: {error.strerror}", "check the path, its rights and its owner"))
        return None


def _certificates(path: Path, found: list[Finding]) -> list[x509.Certificate]:
    if (content := _read(path, found)) is None:
        return []
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        found.append(_error(path, "it is no PEM certificate", f"name the right file, or {_ISSUE}"))
        return []


def _key(path: Path, found: list[Finding]) -> PrivateKeyTypes | None:
    if (content := _read(path, found)) is None:
        return None
    try:
        return serialization.load_pem_private_key(content, password=None)
    except TypeError:
        found.append(_error(path, "the key has a password", "use one without, in a file for its owner only"))
    except ValueError:
        found.append(_error(path, "it is no PEM private key", f"name the right file, or {_ISSUE}"))
    return None


def _time(subject: object, what: str, certificate: x509.Certificate, now: datetime.datetime) -> list[Finding]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if end <= now:
        return [_error(subject, f"the {what} expired on {end:%Y-%m-%d at %H:%M} UTC", _ISSUE)]
    if begin > now:
        advice = "check this host's clock (`timedatectl`)"
        return [_error(subject, f"the {what} is not valid before {begin:%Y-%m-%d at %H:%M} UTC", advice)]
    if end - now < min(SOON, (end - begin) / LAST_PART):
        left = end - now
        words = f"{left.days} days" if left.days > 1 else f"{left.total_seconds() / 3600:.0f} hours"
        return [Finding(CHECK, "warning", str(subject), f"the {what} expires in {words}, on {end:%Y-%m-%d}", _ISSUE)]
    return []


def _identity(path: Path, certificate: x509.Certificate, roles: tuple[str, ...]) -> list[Finding]:
    identity = certificate_identity(certificate.public_bytes(serialization.Encoding.DER))
    match = IDENTITY.fullmatch(identity or "")
    if match is None:
        wrong = f"its identity is {identity!r}" if identity else "it has no SPIFFE identity (one URI SAN)"
        return [_error(path, wrong, f"an identity is spiffe://CLUSTER/{'|'.join(roles) or 'ROLE'}/NAME; {_ISSUE}")]
    if roles and match[2] not in roles:
        return [_error(path, f"it is of a {match[2]} ({identity})", f"use a certificate of a {' or '.join(roles)}")]
    return []


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    if certificate == authority:
        return True
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
