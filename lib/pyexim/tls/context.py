"""Contexts of the library, made of settings; and the certificate of our own making.

A context may serve any number of connections, and processes that are forked after it was made: then they share
the keys of its session tickets.
"""

from __future__ import annotations

import datetime
import os
import stat
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp as ocsp_library
from OpenSSL import SSL
from OpenSSL.crypto import X509StoreFlags

from pyexim.config.openssl import option_bits, parse_options
from pyexim.tls import binding, dh
from pyexim.tls.settings import ClientSettings, ServerSettings, TlsFailure

SESSION_SECONDS: Final = 7200
"""How long a session may be resumed."""
_SESSION_ID: Final = b"exim"


class Context:
    """A context of the library, and what goes with it; ``Engine`` makes connections of it."""

    __slots__ = ("alpn", "context", "proofs", "verifies")

    def __init__(self, settings: ServerSettings | ClientSettings) -> None:
        self.context = SSL.Context(SSL.TLS_METHOD)
        self.alpn = settings.alpn
        self.proofs: list[tuple[bytes, str]] = []
        """OCSP answers, and the files that they are from, in the order of the certificates."""
        self.verifies = bool(settings.verify_certificates)
        """There is something to check the other side's certificate against."""
        _set_options(self.context, settings)
        if settings.ciphers is not None:
            _set_ciphers(self.context, settings.ciphers)
        self.context.set_timeout(SESSION_SECONDS)


def server_context(settings: ServerSettings) -> Context:
    """Make a context for the server's side; raises TlsFailure where the settings cannot be obeyed."""
    made = Context(settings)
    context = made.context
    _set_groups(context, settings)
    if not _set_dh(context, settings):
        _set_ciphers(context, (settings.ciphers or "DEFAULT") + ":!kDHE")
    if settings.certificates:
        _set_certificates(context, settings.certificates, settings.privatekeys)
    else:
        certificate, key = self_signed(settings.hostname)
        context.use_certificate(certificate)
        context.use_privatekey(key)
    context.set_session_id(_SESSION_ID)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    made.proofs = [proof for proof in _proofs(settings.ocsp) if proof[0]]
    _set_verification(context, settings, server=True)
    from pyexim.tls.engine import choose_protocol, name_given, proof_wanted

    context.set_tlsext_servername_callback(name_given)
    context.set_ocsp_server_callback(proof_wanted)
    if settings.alpn:
        context.set_alpn_select_callback(choose_protocol)
    return made


def client_context(settings: ClientSettings) -> Context:
    """Make a context for the client's side; raises TlsFailure where the settings cannot be obeyed."""
    made = Context(settings)
    context = made.context
    if settings.certificates:
        _set_certificates(context, settings.certificates, settings.privatekeys)
    if settings.alpn:
        context.set_alpn_protos([x.encode("latin-1") for x in settings.alpn])
    if settings.ocsp:
        from pyexim.tls.engine import proof_given

        context.set_ocsp_client_callback(proof_given)
    _set_verification(context, settings, server=False)
    return made


def _failure(what: str, error: SSL.Error | None, text: str = "") -> TlsFailure:
    return TlsFailure(f"({what}): {text or reason(error)}", configuration=True)


def reason(error: BaseException | None) -> str:
    """Return the library's words for an error, those that it met first."""
    try:
        library, function, text = error.args[0][0]  # type: ignore[union-attr]
    except (AttributeError, IndexError, TypeError, ValueError):
        return str(error) or "unknown error"
    return f"error:{library}:{function}:{text}"


def _set_options(context: SSL.Context, settings: ServerSettings | ClientSettings) -> None:
    if parse_options(settings.options) is None:
        raise TlsFailure("(openssl_options parsing failed)", configuration=True)
    bits = option_bits(settings.options)
    if settings.tickets:
        bits &= ~int(SSL.OP_NO_TICKET)
    context.set_options(bits)
    for name, value in (("_1", SSL.OP_NO_TLSv1_1), ("", SSL.OP_NO_TLSv1)):
        if not bits & int(value):
            # Old versions are left to the administrator, as the options say; the library's own minimum is higher.
            context.set_min_proto_version(SSL.TLS1_1_VERSION if name else SSL.TLS1_VERSION)


def _set_groups(context: SSL.Context, settings: ServerSettings) -> None:
    curves = settings.curves
    if curves != "auto" and not binding.set_groups(context, curves or dh.DEFAULT):
        raise _failure("SSL_CTX_set1_curves_list", None, f"Unknown curve name tls_eccurve '{curves}'")


def _set_dh(context: SSL.Context, settings: ServerSettings) -> bool:
    """Set the group for Diffie-Hellman; False where there is to be none, which takes the ciphers that use it away."""
    name = settings.dhparam
    if name == "none":
        return False
    if name.startswith("/"):
        try:
            with open(name.encode("latin-1"), "rb") as f:
                pem = f.read()
        except OSError as e:
            raise _failure(f"could not read dhparams file {name}", None, e.strerror or "") from None
        if dh.size_of(pem) > settings.dh_max_bits:
            return False
    else:
        found = dh.parameters(name or dh.DEFAULT)
        if found is None:
            raise _failure("unrecognised or unsupported DH prime", None, name)
        pem = found
    if not binding.set_dh(context, pem) and name:
        raise _failure("SSL_CTX_set_tmp_dh", None, f"the parameters of tls_dhparam = {name} cannot be used")
    return True


def _set_ciphers(context: SSL.Context, ciphers: str) -> None:
    try:
        context.set_cipher_list(ciphers.replace("_", "-").encode("latin-1"))
    except SSL.Error as e:
        raise _failure(f"SSL_CTX_set_cipher_list({ciphers})", e) from None


def _set_certificates(context: SSL.Context, certificates: tuple[str, ...], keys: tuple[str, ...]) -> None:
    for n, path in enumerate(certificates):
        try:
            context.use_certificate_chain_file(path.encode("latin-1"))
        except SSL.Error as e:
            raise _failure(f"SSL_CTX_use_certificate_chain_file file={path}", e, _unreadable(path)) from None
        key = keys[n] if n < len(keys) else path if not keys else ""
        if not key:
            raise _failure("tls_privatekey", None, "fewer keys than certificates")
        try:
            context.use_privatekey_file(key.encode("latin-1"))
            context.check_privatekey()
        except SSL.Error as e:
            raise _failure(f"SSL_CTX_use_PrivateKey_file file={key}", e, _unreadable(key)) from None


def _unreadable(path: str) -> str:
    """Return why a file cannot be read, "" where it can be: the library's words are about itself."""
    try:
        with open(path.encode("latin-1"), "rb"):
            return ""
    except OSError as e:
        return e.strerror or ""


def _set_verification(context: SSL.Context, settings: ServerSettings | ClientSettings, *, server: bool) -> None:
    source = settings.verify_certificates
    if not source:
        return
    context.set_default_verify_paths()
    store = context.get_cert_store()
    assert store is not None
    if source not in ("system", "system,cache"):
        path = source.encode("latin-1")
        try:
            is_directory = stat.S_ISDIR(os.stat(path).st_mode)
        except OSError as e:
            raise TlsFailure(f"failed to stat {source} for certificates: {e.strerror}", configuration=True) from None
        try:
            if is_directory:
                context.load_verify_locations(None, path)
            elif os.path.getsize(path):
                context.load_verify_locations(path)
                if server:
                    context.load_client_ca(path)
        except SSL.Error as e:
            raise _failure("SSL_CTX_load_verify_locations", e, _unreadable(source)) from None
    if settings.crl:
        path = settings.crl.encode("latin-1")
        try:
            if os.path.isdir(path):
                store.load_locations(None, path)
            else:
                with open(path, "rb") as f:
                    for pem in _blocks(f.read(), b"X509 CRL"):
                        store.add_crl(x509.load_pem_x509_crl(pem))
        except OSError as e:
            raise TlsFailure(f"failed to read {settings.crl} for certificate revocation lists: {e.strerror}",
                             configuration=True) from None
        except (SSL.Error, ValueError) as e:
            raise TlsFailure(f"(X509_STORE_load_locations): {settings.crl}: {reason(e)}", configuration=True) from None
        store.set_flags(X509StoreFlags.CRL_CHECK | X509StoreFlags.CRL_CHECK_ALL)


def _blocks(data: bytes, kind: bytes) -> list[bytes]:
    """Return the PEM blocks of a kind."""
    begin, end = b"-----BEGIN " + kind + b"-----", b"-----END " + kind + b"-----"
    found = []
    for piece in data.split(begin)[1:]:
        body, marker, _ = piece.partition(end)
        if marker:
            found.append(begin + body + end + b"\n")
    if not found:
        raise ValueError("no " + kind.decode())
    return found


def _proofs(files: tuple[str, ...]) -> list[tuple[bytes, str]]:
    """Read OCSP answers; one that is not good any more, or cannot be read, is passed over (its octets are empty)."""
    out = []
    for item in files:
        kind, path = ("", item) if item[:4] not in ("DER ", "PEM ") else (item[:3], item[4:].strip(" "))
        out.append((_proof(path, kind), path))
    return out


def _proof(path: str, kind: str) -> bytes:
    try:
        with open(path.encode("latin-1"), "rb") as f:
            data = f.read()
        if kind == "PEM":
            import base64

            data = base64.b64decode(b"".join(line for line in data.splitlines() if b"-----" not in line))
        answer = ocsp_library.load_der_ocsp_response(data)
        if answer.response_status != ocsp_library.OCSPResponseStatus.SUCCESSFUL:
            return b""
        until = answer.next_update_utc
        if until is None or until <= datetime.datetime.now(datetime.UTC):
            return b""
    except (OSError, ValueError):
        return b""
    return data


def self_signed(hostname: str) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """Make a certificate that encrypts but proves nothing, and its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "UK"),
                      x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Exim Developers"),
                      x509.NameAttribute(x509.NameOID.COMMON_NAME, hostname[:64] or "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(minutes=5))
                   .not_valid_after(now + datetime.timedelta(days=365)).sign(key, hashes.SHA256()))
    return certificate, key


def pem_of(certificate: x509.Certificate | None) -> str | None:
    """Return a certificate in PEM form, as the spool and the variables have it."""
    return None if certificate is None else certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


