"""Items that call other parts: acl, authresults; and those whose library is not there: perl, dlfunc.

Spec: chapter "String expansions", section 5.
"""

from __future__ import annotations

from typing import Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.pattern import lazy_pattern
from pyexim.base.taint import Tainted, is_tainted
from pyexim.expand import table
from pyexim.expand.base import restore_var
from pyexim.expand.scope import Scope

_ARGUMENTS: Final = tuple(f"acl_arg{i}" for i in range(1, 10))
_NAMES: Final = ("acl_narg", *_ARGUMENTS)


def call_acl(scope: Scope, args: list[str]) -> tuple[str, str]:
    """Run an ACL with arguments; (status, text of its message).  $acl_arg... are as before afterwards."""
    saved = [scope.vars.get(n) for n in _NAMES]
    scope.vars["acl_narg"] = str(len(args) - 1)
    for i, name in enumerate(_ARGUMENTS, 1):
        scope.vars[name] = args[i] if i < len(args) else ""
    try:
        status, message = table.service("acl")(scope, args)
    finally:
        for name, value in zip(_NAMES, saved, strict=True):
            restore_var(scope, name, value)
    if status in ("error", "discard"):
        raise ExpansionError(f'{status.upper()} from acl "{args[0]}"')
    return status, message or ""


def acl(scope: Scope, args: list[str]) -> str:
    """${acl{name}{argument}...}: the message of the ACL; a forced failure where it defers."""
    status, message = call_acl(scope, args)
    if status == "defer":
        raise ForcedFail(f'DEFER from acl "{args[0]}"')
    return message


def perl(scope: Scope, args: list[str]) -> str:
    """${perl...: not there."""
    raise ExpansionError("perl: an embedded Perl interpreter is not included in this program")


def dlfunc(scope: Scope, args: list[str]) -> str:
    """${dlfunc...: not there."""
    raise ExpansionError("dlfunc: dynamically loaded functions are not included in this program")


def authresults(scope: Scope, args: list[str]) -> str:
    """${authresults{servid}}: an Authentication-Results: header line without its end."""
    out = [f"Authentication-Results: {args[0]}"]
    conn = scope.conn or (scope.message.conn if scope.message is not None else None)
    if conn is not None:
        iprev = _iprev(scope)
        if iprev:
            out.append(iprev)
        if conn.sender_host_authenticated:
            name = conn.sender_host_auth_pubname or conn.sender_host_authenticated
            if conn.authenticated_id:
                method = f"auth=pass ({name}) smtp.auth={_property(conn.authenticated_id)}"
            else:
                method = f"auth=pass ({name}, no id saved)"
            if conn.authenticated_sender:
                method += f" smtp.mailfrom={_property(conn.authenticated_sender)}"
            out.append(method)
    for key in ("authres_spf", "authres_dkim", "authres_dmarc", "authres_arc"):
        text = scope.facts.get(key)
        if text:
            out.append(str(text))
    text = ";\n\t".join(out)
    return Tainted(text) if len(out) > 1 or is_tainted(args[0]) else text


_plain_property: Final = lazy_pattern(r"[A-Za-z0-9!#$%&'*+\-./^_`{|}~@]+\Z")


def _property(text: str) -> str:
    """Return the value of a property, quoted where it could be taken for more than that.  RFC 8601."""
    if _plain_property.match(text) is not None:
        return text
    return '"' + "".join("\\" + c if c in '"\\' else c if c >= " " and c != "\x7f" else "?" for c in text) + '"'


def _iprev(scope: Scope) -> str:
    """What the reverse lookup of the client's address came to, where there was one."""
    conn = scope.conn or (scope.message.conn if scope.message is not None else None)
    if conn is None or not conn.sender_host_address:
        return ""
    if conn.sender_host_name:
        return f"iprev=pass ({conn.sender_host_name}) smtp.remote-ip={conn.sender_host_address}"
    if conn.host_lookup_deferred:
        return f"iprev=temperror smtp.remote-ip={conn.sender_host_address}"
    if conn.host_lookup_failed:
        return f"iprev=fail smtp.remote-ip={conn.sender_host_address}"
    return ""
