"""What pyOpenSSL has in its lower layer only: each use of that is here, and the version is pinned in setup.py."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from OpenSSL import SSL

_lib: Final[Any] = vars(SSL)["_lib"]
_ffi: Final[Any] = vars(SSL)["_ffi"]


def session_reused(connection: SSL.Connection) -> bool:
    """Tell whether the handshake went on with an earlier session."""
    return bool(_lib.SSL_session_reused(connection._ssl))


def set_groups(context: SSL.Context, names: str) -> bool:
    """Set the groups for key exchange, a list with colons; False where the library does not know one."""
    if _lib.SSL_CTX_set1_curves_list(context._context, names.encode("latin-1")) == 1:
        return True
    forget_errors()
    return False


def set_dh(context: SSL.Context, pem: bytes) -> bool:
    """Set Diffie-Hellman parameters in PEM form; False where they are none, or not to be used."""
    bio = _ffi.gc(_lib.BIO_new_mem_buf(pem, len(pem)), _lib.BIO_free)
    dh = _lib.PEM_read_bio_DHparams(bio, _ffi.NULL, _ffi.NULL, _ffi.NULL)
    if dh != _ffi.NULL:
        dh = _ffi.gc(dh, _lib.DH_free)
        if _lib.SSL_CTX_set_tmp_dh(context._context, dh) == 1:
            return True
    forget_errors()
    return False


def verify_text(number: int) -> str:
    """Return the library's words for an error of verification."""
    text: bytes = _ffi.string(_lib.X509_verify_cert_error_string(number))
    return text.decode("latin-1")


def save_session(connection: SSL.Connection) -> bytes | None:
    """Return the session in a form that another process can take up (``restore_session``); None without one."""
    session = _lib.SSL_get1_session(connection._ssl)
    if session == _ffi.NULL:
        return None
    session = _ffi.gc(session, _lib.SSL_SESSION_free)
    size = _lib.i2d_SSL_SESSION(session, _ffi.NULL)
    if size <= 0:
        return None
    buffer = _ffi.new("unsigned char[]", size)
    place = _ffi.new("unsigned char **", buffer)
    _lib.i2d_SSL_SESSION(session, place)
    return bytes(_ffi.buffer(buffer, size))


def restore_session(connection: SSL.Connection, data: bytes) -> bool:
    """Offer a saved session in the handshake to come; False where the octets are none."""
    place = _ffi.new("const unsigned char **", _ffi.from_buffer("unsigned char[]", data))
    session = _lib.d2i_SSL_SESSION(_ffi.NULL, place, len(data))
    if session == _ffi.NULL:
        forget_errors()
        return False
    session = _ffi.gc(session, _lib.SSL_SESSION_free)
    return bool(_lib.SSL_set_session(connection._ssl, session) == 1)


def forget_errors() -> None:
    """Empty the library's list of errors, which the next call would be blamed for."""
    with contextlib.suppress(SSL.Error):
        vars(SSL)["_raise_current_error"]()
