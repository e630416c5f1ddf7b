"""The names in openssl_options, and what they come to.  Spec: option openssl_options.

Which names there are is known without the library, so that a configuration is checked without loading it.
"""

from __future__ import annotations

from typing import Final

_MODERN: Final = {
    "all": "ALL", "cipher_server_preference": "CIPHER_SERVER_PREFERENCE",
    "dont_insert_empty_fragments": "DONT_INSERT_EMPTY_FRAGMENTS", "legacy_server_connect": "LEGACY_SERVER_CONNECT",
    "no_compression": "NO_COMPRESSION", "no_renegotiation": "NO_RENEGOTIATION", "no_sslv2": "NO_SSLv2",
    "no_sslv3": "NO_SSLv3", "no_ticket": "NO_TICKET", "no_tlsv1": "NO_TLSv1", "no_tlsv1_1": "NO_TLSv1_1",
    "no_tlsv1_2": "NO_TLSv1_2", "no_tlsv1_3": "NO_TLSv1_3", "single_dh_use": "SINGLE_DH_USE",
    "single_ecdh_use": "SINGLE_ECDH_USE", "tls_rollback_bug": "TLS_ROLLBACK_BUG",
    "cisco_anyconnect": "CISCO_ANYCONNECT", "cookie_exchange": "COOKIE_EXCHANGE",
    "cryptopro_tlsext_bug": "CRYPTOPRO_TLSEXT_BUG", "enable_middlebox_compat": "ENABLE_MIDDLEBOX_COMPAT",
    "prioritize_chacha": "PRIORITIZE_CHACHA", "allow_no_dhe_kex": "ALLOW_NO_DHE_KEX",
    "ignore_unexpected_eof": "IGNORE_UNEXPECTED_EOF", "safari_ecdhe_ecdsa_bug": "SAFARI_ECDHE_ECDSA_BUG",
    "tlsext_padding": "TLSEXT_PADDING", "allow_unsafe_legacy_renegotiation": "ALLOW_UNSAFE_LEGACY_RENEGOTIATION",
    "no_session_resumption_on_renegotiation": "NO_SESSION_RESUMPTION_ON_RENEGOTIATION",
}
"""Names that mean something to a current library, by its own without OP_."""

_BITS: Final = {
    "ALLOW_NO_DHE_KEX": 1 << 10, "ENABLE_MIDDLEBOX_COMPAT": 1 << 20, "PRIORITIZE_CHACHA": 1 << 21,
    "NO_SESSION_RESUMPTION_ON_RENEGOTIATION": 1 << 16, "ALLOW_UNSAFE_LEGACY_RENEGOTIATION": 1 << 18,
    "SAFARI_ECDHE_ECDSA_BUG": 1 << 6, "TLSEXT_PADDING": 1 << 4, "CISCO_ANYCONNECT": 1 << 15,
    "CRYPTOPRO_TLSEXT_BUG": 1 << 31, "COOKIE_EXCHANGE": 1 << 13, "NO_COMPRESSION": 1 << 17,
}
"""Options without a constant in pyOpenSSL: their values are part of the library's interface."""

_GONE: Final = frozenset({
    "ephemeral_rsa", "microsoft_big_sslv3_buffer", "microsoft_sess_id_bug", "msie_sslv2_rsa_padding",
    "netscape_ca_dn_bug", "netscape_challenge_bug", "netscape_demo_cipher_change_bug",
    "netscape_reuse_cipher_change_bug", "pkcs1_check_1", "pkcs1_check_2", "ssleay_080_client_dh_bug",
    "sslref2_reuse_cert_type_bug", "tls_block_padding_bug", "tls_d5_bug"})
"""Names that the library has kept without a meaning."""


def parse_options(text: str) -> list[tuple[bool, str]] | None:
    """Return (add, name) for the items of openssl_options; None where one of them is not understood.

    Items stand one after another with their sign, with spaces between them (and around the sign).
    """
    out: list[tuple[bool, str]] = []
    rest = text.strip(" \t\n")
    while rest:
        sign, rest = rest[0], rest[1:].lstrip(" \t\n")
        end = 0
        while end < len(rest) and ((rest[end].isascii() and rest[end].isalnum()) or rest[end] == "_"):
            end += 1
        name = "".join(c.lower() if c.isascii() else c for c in rest[:end])
        if sign not in "+-" or (name not in _MODERN and name not in _GONE):
            return None
        out.append((sign == "+", name))
        rest = rest[end:]
        if rest and rest[0] not in " \t\n+-":
            return None
        rest = rest.lstrip(" \t\n")
    return out


def option_bits(text: str) -> int:
    """Return the options that are to be set besides the library's own.  Needs the library."""
    from OpenSSL import SSL

    bits = 0
    for add, name in parse_options(text) or []:
        known = _MODERN.get(name)
        if known is None:
            continue
        value = _BITS[known] if known in _BITS else int(getattr(SSL, "OP_" + known, 0))
        bits = bits | value if add else bits & ~value
    return bits
