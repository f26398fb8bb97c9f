"""Subjects and alternative names, from what a user types to X.509 objects."""

import ipaddress

from cryptography import x509

from hsmctl.failures import USAGE, CommandError


def subject_of(text: str) -> x509.Name:
    """Return the name that `CN=www.example.org,O=Example` (RFC 4514) or `/O=Example/CN=www` stands for."""
    if text.startswith("/"):
        text = ",".join(part.replace(",", "\\,") for part in reversed(text[1:].split("/")))
    try:
        name = x509.Name.from_rfc4514_string(text)
    except ValueError:
        name = x509.Name([])
    if not list(name):
        raise CommandError(f"{text!r} is no subject; write it like CN=www.example.org,O=Example", USAGE)
    return name


def alternative_names(texts: tuple[str, ...]) -> x509.SubjectAlternativeName | None:
    """Return the extension for `dns:NAME`, `ip:ADDRESS`, `uri:URI` and `email:ADDRESS`, None for none."""
    names = [_general_name(text) for text in texts]
    return x509.SubjectAlternativeName(names) if names else None


def _general_name(text: str) -> x509.GeneralName:
    kind, _, value = text.partition(":")
    try:
        if value and kind == "dns":
            return x509.DNSName(value)
        if value and kind == "ip":
            return x509.IPAddress(ipaddress.ip_address(value))
        if value and kind == "uri":
            return x509.UniformResourceIdentifier(value)
        if value and kind == "email":
            return x509.RFC822Name(value)
    except ValueError:
        pass
    raise CommandError(f"{text!r} is no alternative name; write dns:NAME, ip:ADDRESS, uri:URI or email:ADDRESS", USAGE)
