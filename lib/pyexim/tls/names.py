"""Names: of ciphers and protocols as logs show them, of certificates' owners, and of hosts that they are for."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from pyexim.base.octets import lower

if TYPE_CHECKING:
    from cryptography import x509

_SHORT: Final = {
    "2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
    "2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.17": "postalCode",
    "2.5.4.42": "GN", "2.5.4.43": "initials", "2.5.4.44": "generationQualifier", "2.5.4.46": "dnQualifier",
    "2.5.4.65": "pseudonym", "2.5.4.97": "organizationIdentifier", "2.5.4.15": "businessCategory",
    "1.2.840.113549.1.9.1": "emailAddress", "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC"}
_KEY_EXCHANGE: Final = frozenset({"ECDHE", "DHE", "ECDH", "ADH", "AECDH", "RSA", "ECDSA", "DSS", "PSK", "SRP", "EDH"})


def version_name(library: str) -> str:
    """Return a protocol version as Exim names it: TLS1.3, TLS1.2, TLS1.1, TLS1."""
    return library.replace("TLSv", "TLS")


def standard_cipher(name: str) -> str:
    """Return the name that the standards have for a cipher of OpenSSL."""
    if name.startswith("TLS_"):
        return name
    parts = name.split("-")
    exchange = []
    while parts and parts[0] in _KEY_EXCHANGE:
        exchange.append({"EDH": "DHE", "ADH": "DH_anon", "AECDH": "ECDH_anon"}.get(parts[0], parts[0]))
        del parts[0]
    if len(exchange) == 1 and exchange[0] in ("ECDHE", "DHE"):
        exchange.append("RSA")  # ciphers that need no longer name: ECDHE-ARIA256-GCM-SHA384
    cipher = "_".join(parts)
    for plain, long in (("CHACHA20_POLY1305", "CHACHA20_POLY1305_SHA256"), ("DES_CBC3", "3DES_EDE_CBC"),
                        ("CCM8", "CCM_8"), ("AES128", "AES_128"), ("AES256", "AES_256"),
                        ("CAMELLIA128", "CAMELLIA_128"), ("CAMELLIA256", "CAMELLIA_256"), ("ARIA128", "ARIA_128"),
                        ("ARIA256", "ARIA_256")):
        cipher = cipher.replace(plain, long)
    if cipher.startswith(("AES_", "CAMELLIA_")) and not any(x in cipher for x in ("GCM", "CCM", "CBC")):
        head, _, digest = cipher.rpartition("_")
        cipher = f"{head}_CBC_{digest}"
    return f"TLS_{'_'.join(exchange) or 'RSA'}_WITH_{cipher}"


def one_line(name: x509.Name) -> str:
    """Return a distinguished name in OpenSSL's form: /C=DE/O=Example/CN=host.example."""
    out = ""
    for part in name.rdns:
        for attribute in part:
            value = attribute.value if isinstance(attribute.value, bytes) else attribute.value.encode("utf-8")
            shown = "".join(chr(c) if 32 <= c <= 126 else f"\\x{c:02X}" for c in value)
            out += f"/{_SHORT.get(attribute.oid.dotted_string, attribute.oid.dotted_string)}={shown}"
    return out


def host_matches(certificate: x509.Certificate, host: str) -> bool:
    """Tell whether a certificate is for a host: by its alternative names, or without any by its common name.

    A "*" stands for the whole first component of a name.  RFC 6125.
    """
    from cryptography import x509 as library

    wanted = lower(host).rstrip(".")
    try:
        address = ipaddress.ip_address(wanted)
    except ValueError:
        address = None
    try:
        extension = certificate.extensions.get_extension_for_class(library.SubjectAlternativeName).value
    except (library.ExtensionNotFound, ValueError):
        extension = None
    if extension is not None:
        if address is not None:
            return address in extension.get_values_for_type(library.IPAddress)
        names = extension.get_values_for_type(library.DNSName)
        if names:
            return any(_name_matches(lower(x).rstrip("."), wanted) for x in names)
    common = certificate.subject.get_attributes_for_oid(library.NameOID.COMMON_NAME)
    return any(_name_matches(lower(str(x.value)).rstrip("."), wanted) for x in common)


def _name_matches(pattern: str, host: str) -> bool:
    if pattern == host:
        return True
    first, _, rest = host.partition(".")
    return pattern.startswith("*.") and "." in rest and bool(first) and pattern[2:] == rest
