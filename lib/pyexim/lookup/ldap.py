"""ldap, ldapdn, ldapm: queries to LDAP servers; need the package ldap3.

Spec: sections "More about LDAP" to "Format of data returned by LDAP".
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import ldap3  # type: ignore[import-untyped, unused-ignore]
from ldap3.core.exceptions import (  # type: ignore[import-untyped, unused-ignore]
    LDAPException,
    LDAPInvalidFilterError,
    LDAPSocketOpenError,
)

from pyexim.base.lists import split_list
from pyexim.base.octets import SPACE, is_digits, lower
from pyexim.base.record import dataclass, field
from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, Deferred, Found, Lookup, Outcome

_SETTING: Final = re.compile(r'([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^"\s]\S*|)\s+', re.DOTALL | re.ASCII)
_URL: Final = re.compile(r"(ldap[si]?)://([^/?]*)(?:/(.*))?\Z", re.DOTALL | re.ASCII | re.IGNORECASE)
_DEREFERENCE: Final = {"never": "NEVER", "searching": "SEARCH", "finding": "FINDING_BASE", "always": "ALWAYS"}
_SCOPES: Final = {"base": "BASE", "one": "LEVEL", "sub": "SUBTREE", "": "BASE"}
_BAD_FILTER: Final = "ldap_search failed: -7, Bad search filter"
_ERRORS: Final = {
    1: "Operations error", 2: "Protocol error", 3: "Time limit exceeded", 7: "Authentication method not supported",
    8: "Strong(er) authentication required", 11: "Administrative limit exceeded", 13: "Confidentiality required",
    32: "No such object", 34: "Invalid DN syntax", 48: "Inappropriate authentication", 49: "Invalid credentials",
    50: "Insufficient access", 51: "Server is busy", 52: "Server is unavailable",
    53: "Server is unwilling to perform", 80: "Other (e.g., implementation specific) error"}
"""The words of OpenLDAP's library for result codes."""
_NUMBERS: Final = {"size": "size_limit", "time": "time_limit", "nettime": "net_time", "connect": "net_time"}


class Unreachable(Exception):
    """A server cannot be asked; the next of the list may be.  The text says why, ``step`` what was tried."""

    def __init__(self, text: str, step: str = "bind the LDAP connection to") -> None:
        super().__init__(text)
        self.step = step


@dataclass(slots=True)
class Query:
    """A query taken apart."""

    scheme: str = "ldap"
    server: str = ""
    base: str = ""
    attributes: list[str] = field(default_factory=list)
    scope: str = "BASE"
    filter: str = "(objectClass=*)"
    user: str | None = None
    password: str | None = None
    servers: list[str] = field(default_factory=list)
    dereference: str = "NEVER"
    referrals: bool = True
    size_limit: int = 0
    time_limit: int = 0
    net_time: int = 0


def parse_query(text: str) -> Query | str:
    """Take a query apart; Exim's complaint where it is wrong."""
    q = Query()
    rest = text.lstrip(SPACE)
    while (m := _SETTING.match(rest)) is not None and not _URL.match(rest):
        name, value = lower(m[1]), m[2]
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
        wrong = _set(q, name, value, m[1])
        if wrong:
            return wrong
        rest = rest[m.end():]
    if lower(rest[:4]) != "ldap":
        return "malformed parameter setting precedes LDAP URL"
    url = _URL.match(rest)
    if url is None:
        return f'LDAP URL does not start with "ldap://", "ldaps://", or "ldapi://" (it starts with "{rest[:16]}...")'
    q.scheme, q.server = lower(url[1]), _unquoted(url[2])
    parts = (url[3] or "").split("?")
    parts += [""] * (5 - len(parts))
    q.base = _unquoted(parts[0])
    q.attributes = [_unquoted(a) for a in parts[1].split(",") if a]
    if lower(parts[2]) not in _SCOPES:
        return f'ldap_url_parse: (error 8) parsing "{rest}"\n'
    q.scope = _SCOPES[lower(parts[2])]
    q.filter = _unquoted(parts[3]) or q.filter
    if not q.filter.startswith("("):
        q.filter = f"({q.filter})"
    return q


def _set(q: Query, name: str, value: str, written: str) -> str:
    if name == "user":
        q.user = _unquoted(value)
    elif name == "pass":
        q.password = value
    elif name == "servers":
        q.servers = split_list(value)
    elif name == "dereference":
        q.dereference = _DEREFERENCE.get(lower(value), "NEVER")  # Exim takes any other word so
    elif name == "referrals":
        if value not in ("follow", "nofollow"):
            return 'LDAP option REFERRALS is not "follow" or "nofollow"'
        q.referrals = value == "follow"
    elif name in _NUMBERS:
        digits = re.match(r"\d+", value, re.ASCII)
        setattr(q, _NUMBERS[name], int(digits[0]) if digits is not None else 0)
    else:
        return f"unknown parameter \"{written}=\" precedes LDAP URL"
    return ""


def _unquoted(text: str) -> str:
    return unquote_to_bytes(text.encode("latin-1")).decode("latin-1")


class Ldap(Lookup):
    """One entry's attributes."""

    query_style = True
    quoter = "ldap"
    keeps_results = True
    several = False
    names_only = False

    def __init__(self) -> None:
        self._connections: dict[tuple[Any, ...], Any] = {}

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        q = parse_query(key)
        if isinstance(q, str):
            return Deferred(q)
        main = scope.config.main
        servers = [q.server] if q.server else q.servers or split_list(main.ldap_default_servers or "") or [""]
        outcome: Outcome = Deferred("the list of LDAP servers is empty")
        for server in servers:
            if q.scheme == "ldapi" and server and not server.startswith("/"):
                outcome = Deferred(f'ldapi requires an absolute path ("{server.partition(":")[0]}" given)')
                continue
            try:
                return self._ask(server, q, main)
            except Unreachable as e:
                outcome = Deferred(f"failed to {e.step} server {server or 'localhost'} - {e}")
        return outcome

    def _ask(self, server: str, q: Query, main: Any) -> Outcome:
        """Ask one server; Unreachable where the next may be tried."""
        if not q.filter.endswith(")"):
            return Deferred(_BAD_FILTER)
        index = server, q.scheme, q.user, q.password
        kept = self._connections.get(index)
        connection = kept if kept is not None and not kept.closed else None
        if connection is None:
            kept = None
            connection = self._connections[index] = _connect(server, q, main)
        try:
            connection.search(_text(q.base), _text(q.filter), search_scope=q.scope,
                              dereference_aliases=q.dereference, attributes=q.attributes or ["*"],
                              size_limit=q.size_limit, time_limit=q.time_limit)
        except LDAPInvalidFilterError:
            return Deferred(_BAD_FILTER)
        except (LDAPException, OSError) as e:
            del self._connections[index]
            if kept is not None:
                return self._ask(server, q, main)  # the server had closed an idle connection
            raise Unreachable(str(e)) from None
        code = connection.result["result"]
        if code not in (0, 4, 32):  # success, size limit exceeded, no such object
            return Deferred(f"ldap_search failed: {code}, {_ERRORS.get(code, connection.result['description'])}")
        return self._answer([(e["dn"], e["raw_attributes"]) for e in connection.response or ()
                             if e.get("type") == "searchResEntry"], q)

    def _answer(self, entries: list[tuple[str, dict[str, list[bytes]]]], q: Query) -> Outcome:
        if not entries:
            return NOT_FOUND
        if len(entries) > 1 and not self.several:
            return Deferred(f"LDAP search: more than one entry ({len(entries)}) was returned "
                            "(filter not specific enough?)")
        if self.names_only:
            return Found(entries[0][0].encode("utf-8").decode("latin-1"))
        single = len(q.attributes) == 1
        text = ""
        for _, attributes in entries:  # one without attributes after the first data leaves an empty line
            text += ("\n" if text else "") + entry_text(attributes, single)
        return Found(text) if any(attributes for _, attributes in entries) else NOT_FOUND

    def close(self, handle: Any) -> None:
        for connection in self._connections.values():
            connection.unbind()
        self._connections.clear()


def _connect(server: str, q: Query, main: Any) -> Any:
    """Return a connection that is bound; Unreachable where that fails."""
    host, _, port = server.rpartition(":") if server.count(":") == 1 else (server, "", "")
    local = server.startswith("/")
    tls = q.scheme == "ldaps" and not local
    if q.user and not q.password:
        # RFC 4513, 5.1.2: no server should take it for an authentication, and the package does not send it
        raise Unreachable(f"LDAP error 53: {_ERRORS[53]}")
    try:
        target = ldap3.Server(f"ldapi://{server}" if local else host or "localhost",
                              port=int(port) if is_digits(port) else 636 if tls else 389, use_ssl=tls,
                              tls=_tls(main) if tls or main.ldap_start_tls else None, get_info=ldap3.NONE,
                              connect_timeout=q.net_time or None)
        connection = ldap3.Connection(target, _text(q.user) if q.user else None, _text(q.password or "") or None,
                                      version=main.ldap_version if main.ldap_version > 0 else 3,
                                      auto_referrals=q.referrals, receive_timeout=q.net_time or None,
                                      raise_exceptions=False, return_empty_attributes=False)
        connection.open()
        if main.ldap_start_tls and not tls and not local:
            _start_tls(connection)
        if not connection.bind():
            code = connection.result["result"]
            raise Unreachable(f"LDAP error {code}: {_ERRORS.get(code, connection.result['description'])}")
    except LDAPSocketOpenError:
        raise Unreachable("ldap_bind() returned -1") from None
    except (LDAPException, OSError) as e:
        raise Unreachable(str(e)) from None
    return connection


def _start_tls(connection: Any) -> None:
    trouble = "the server refuses"
    try:
        if connection.start_tls():
            return
    except (LDAPException, OSError) as e:
        trouble = str(e)
    raise Unreachable(f"ldap_start_tls_s() returned -1: {trouble}", "initiate TLS processing on an LDAP session to")


class Ldapdn(Ldap):
    """One entry's distinguished name."""

    names_only = True


class Ldapm(Ldap):
    """The attributes of several entries."""

    several = True


def entry_text(attributes: dict[str, list[bytes]], single: bool) -> str:
    """Return an entry: the values of a single attribute, or name="values" of each."""
    parts = []
    for name, values in attributes.items():
        texts = [v.decode("latin-1").replace(",", ",,") for v in values]
        if single:
            parts += texts
            continue
        joined = ",".join(texts).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        parts.append(f'{name}="{joined}"')
    return (",".join(parts)) if single else " ".join(parts)


def _tls(main: Any) -> Any:
    import ssl  # only where a server wants it

    required = {"hard": ssl.CERT_REQUIRED, "demand": ssl.CERT_REQUIRED, "try": ssl.CERT_OPTIONAL,
                "allow": ssl.CERT_NONE, "never": ssl.CERT_NONE}
    return ldap3.Tls(validate=required.get(main.ldap_require_cert or "demand", ssl.CERT_REQUIRED),
                     ca_certs_file=main.ldap_ca_cert_file, ca_certs_path=main.ldap_ca_cert_dir,
                     local_certificate_file=main.ldap_cert_file, local_private_key_file=main.ldap_cert_key,
                     ciphers=main.ldap_cipher_suite)


def _text(octets: str) -> str:
    """Return octets as the text that the package wants: LDAP's is UTF-8."""
    return octets.encode("latin-1").decode("utf-8", "surrogateescape")
