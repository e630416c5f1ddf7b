"""Certificates in the language: ${certextract and the operators that make a fingerprint of a certificate.

A variable with a certificate shows ``<cert>``; its contents are reached only where the source of an expansion names
the variable itself.  The certificate is in PEM form.  Spec: chapter "String expansions".
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import upper
from pyexim.base.taint import like, taint
from pyexim.expand.base import Part, as_callable
from pyexim.expand.items_lists import value_part, with_value
from pyexim.expand.parser import Parser, choose
from pyexim.expand.scope import Scope
from pyexim.expand.sources import tls_certificate

_NAME: Final = re.compile(r"\$(\{)?tls_(in|out)_(our|peer)cert(?(1)\}|(?![A-Za-z0-9_]))")
_ALONE: Final = re.compile(r"\$tls_(in|out)_(our|peer)cert\}")


def parse_certextract(parser: Parser, name: str) -> Part:
    """${certextract{field}{certificate}{yes}{no}}: a field that is not there gives the no string."""
    field = as_callable(parser.argument("missing '{' for field arg of certextract"))
    parser.space()
    found = _NAME.match(parser.src, parser.pos + 1)
    parser.argument("missing '{' for cert variable arg of certextract")
    yes, no = choose(name, parser.choice(name), value_part)

    def run(scope: Scope) -> str:
        if found is None:
            raise ExpansionError('second argument of "certextract" must be a certificate variable')
        pem = tls_certificate(scope, f"{found[3]}cert", out=found[2] == "out")
        wanted = field(scope)
        return with_value(scope, None if not pem else extract(pem, wanted, peer=found[3] == "peer"), yes, no)

    return run


def parse_fingerprint(parser: Parser, name: str, function: Callable[[Scope, str, str | None, str], str]) -> Part | None:
    """Return what an operator makes of a certificate, where its operand is just such a variable; else None."""
    found = _ALONE.match(parser.src, parser.pos)
    if found is None:
        return None
    parser.pos = found.end()

    def run(scope: Scope) -> str:
        pem = tls_certificate(scope, f"{found[2]}cert", out=found[1] == "out")
        return fingerprint(pem, name) if pem else function(scope, "", None, name)

    return run


def fingerprint(pem: str, name: str) -> str:
    """Return the digest of a certificate's DER form in upper-case digits, or that form in base64."""
    import binascii
    import hashlib

    der = binascii.a2b_base64("".join(line for line in pem.split("\n") if not line.startswith("-----")))
    if name == "base64":
        return binascii.b2a_base64(der, newline=False).decode("ascii")
    return upper(hashlib.new(name, der, usedforsecurity=False).hexdigest())


def extract(pem: str, selector: str, *, peer: bool) -> str | None:
    """Return a field of a certificate, None where it is not there; raises ExpansionError for a name of none."""
    name, *modifiers = [x.strip(" \t") for x in selector.split(",")]
    function = _FIELDS.get(name)
    if function is None:
        raise ExpansionError(f'bad field selector "{name}" for certextract')
    try:
        from cryptography import x509  # heavy: only who takes a certificate apart pays
    except ImportError:
        raise ExpansionError("certextract needs the library cryptography, which is not installed") from None
    try:
        value = function(x509.load_pem_x509_certificate(pem.encode("latin-1")), modifiers)
    except ValueError as e:
        raise ExpansionError(f"certextract: the certificate cannot be read: {e}") from None
    if value is None:
        return None
    return taint(value) if peer else like(value, selector)


# -- fields

def _text(value: object) -> str:
    """Return a text of a certificate as octets."""
    return (value if isinstance(value, bytes) else str(value).encode("utf-8")).decode("latin-1")


def _list(values: list[str], modifiers: list[str]) -> str | None:
    """Return a list with the separator that ">" names; one within an item is doubled."""
    separator = next((m[1:2] for m in modifiers if m.startswith(">") and m[1:]), "\n")
    return separator.join(v.replace(separator, separator * 2) for v in values) if values else None


_TYPES: Final = {
    "2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET", "2.5.4.10": "O",
    "2.5.4.11": "OU", "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "EMAIL", "2.5.4.5": "serialNumber", "2.5.4.4": "surName", "2.5.4.42": "givenName",
    "2.5.4.12": "title", "2.5.4.17": "postalCode"}
_SPECIAL: Final = re.compile(r'([,+"\\<>;])')


def _name(name: Any, modifiers: list[str]) -> str | None:
    """Return a distinguished name (RFC 4514), or the values of one type in it."""
    found = [(_TYPES.get(a.oid.dotted_string, a.oid.dotted_string), _text(a.value)) for a in name]
    kinds = [m for m in modifiers if not m.startswith(">")]
    if kinds:
        return _list([value for kind, value in found if kind in kinds], modifiers)
    return ",".join(f"{kind}={_escaped(value)}" for kind, value in found)


def _escaped(value: str) -> str:
    out = _SPECIAL.sub(r"\\\1", value)
    if out[:1] in (" ", "#"):
        out = "\\" + out
    return out[:-1] + "\\ " if out.endswith(" ") and len(out) > 1 else out


def _time(when: Any, modifiers: list[str]) -> str:
    seconds = int(when.timestamp())
    if "int" in modifiers:
        return str(seconds)
    t = time.localtime(seconds)
    return f"{time.strftime('%b', t)} {t.tm_mday:2d} {time.strftime('%H:%M:%S %Y', t)} {t.tm_zone}"


_DIGESTS: Final = {"sha1": "SHA1", "sha224": "SHA224", "sha256": "SHA256", "sha384": "SHA384", "sha512": "SHA512"}


def _algorithm(certificate: Any, modifiers: list[str]) -> str:
    """Return the name of the signature's algorithm, as Debian's Exim has it."""
    name: str = certificate.signature_algorithm_oid._name
    digest = next((d for d in _DIGESTS if d in name.lower()), "")  # the library's own names, in ASCII
    for part, kind in (("ecdsa", "ECDSA"), ("RSA", "RSA"), ("dsa", "DSA")):
        if part in name and digest:
            return f"{kind}-{_DIGESTS[digest]}"
    return "EdDSA-Ed25519" if name == "ed25519" else "EdDSA-Ed448" if name == "ed448" else name


def _other_names(certificate: Any, modifiers: list[str]) -> str | None:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    tags = ((x509.DNSName, "DNS"), (x509.RFC822Name, "MAIL"), (x509.UniformResourceIdentifier, "URI"))
    wanted = next((m for m in modifiers if m in ("dns", "mail", "uri")), None)
    values = []
    for one in names:
        for kind, tag in tags:
            if isinstance(one, kind) and (wanted is None or wanted == tag.lower()):
                values.append(_text(one.value) if wanted else f"{tag}={_text(one.value)}")
    return _list(values, modifiers)


def _ocsp_uris(certificate: Any, modifiers: list[str]) -> str | None:
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return None
    return _list([_text(a.access_location.value) for a in access
                  if a.access_method == AuthorityInformationAccessOID.OCSP], modifiers)


def _crl_uris(certificate: Any, modifiers: list[str]) -> str | None:
    from cryptography import x509

    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return None
    return _list([_text(n.value) for p in points for n in p.full_name or ()
                  if isinstance(n, x509.UniformResourceIdentifier)], modifiers)


def _serial(certificate: Any, modifiers: list[str]) -> str:
    digits = f"{certificate.serial_number:x}"
    return digits if len(digits) % 2 == 0 else "0" + digits


_FIELDS: Final[dict[str, Callable[[Any, list[str]], str | None]]] = {
    "version": lambda c, m: str(c.version.value + 1),
    "serial_number": _serial,
    "subject": lambda c, m: _name(c.subject, m),
    "issuer": lambda c, m: _name(c.issuer, m),
    "notbefore": lambda c, m: _time(c.not_valid_before_utc, m),
    "notafter": lambda c, m: _time(c.not_valid_after_utc, m),
    "sig_algorithm": _algorithm,
    "signature": lambda c, m: c.signature.hex(" "),
    "subj_altname": _other_names,
    "ocsp_uri": _ocsp_uris,
    "crl_uri": _crl_uris,
}
