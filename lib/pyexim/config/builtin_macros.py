"""The macros that tell a configuration what this program can do: _HAVE_*, _DRIVER_*, _OPT_* and so on.

They come in families by their beginning; a family is made when a line contains that beginning, so that
a configuration which asks for nothing costs nothing; nor does one that only has names like MAIN_ACL_CHECK_RCPT,
so a beginning is as long as can be.  Spec: chapter "The Exim runtime configuration
file", section "Builtin macros".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Final

from pyexim.config.option import declared
from pyexim.config.table import DRIVER_TABLES, GENERIC_OPTIONS, driver_names, driver_options, names_of, resolve
from pyexim.log.selectors import ALIASES, SELECTORS

PRESENT: Final = ("CRYPTEQ", "IPV6", "ICONV", "SRS", "NATIVE_SRS", "TRANSPORT_APPEND_MAILDIR",
                  "TRANSPORT_APPEND_MAILSTORE")
"""The _HAVE_ features that work in this version; whoever adds another feature adds its name."""

TLS: Final = ("TLS", "OPENSSL", "TLS1_3", "TLS_ALPN", "TLS_OCSP", "TLS_OCSP_LIST", "TLS_RESUME")
"""The same, where the library for TLS is installed."""
DKIM_SIGN_HEADERS: Final = (
    "From:Sender:Reply-To:Subject:Date:Message-ID:To:Cc:MIME-Version:Content-Type:Content-Transfer-Encoding:"
    "Content-ID:Content-Description:Resent-Date:Resent-From:Resent-Sender:Resent-To:Resent-Cc:"
    "Resent-Message-ID:In-Reply-To:References:List-Id:List-Help:List-Unsubscribe:List-Subscribe:List-Post:"
    "List-Owner:List-Archive")
"""The header fields that RFC 4871 and the list RFCs recommend for signing."""


def _have() -> list[tuple[str, str]]:
    tls = TLS if find_spec("OpenSSL") is not None else ()
    return [(f"_HAVE_{name}", "y") for name in (*PRESENT, *tls)]


def _drivers() -> list[tuple[str, str]]:
    return [(f"_DRIVER_{kind.upper()}_{name.upper()}", "y") for kind in DRIVER_TABLES for name in driver_names(kind)]


def _options(prefix: str, cls: type, skip: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    return [(f"{prefix}{name.upper()}", "y") for name in declared(cls) if name not in skip]


def _generic(kind: str) -> list[tuple[str, str]]:
    return _options(f"_OPT_{kind.upper()}S_", resolve(GENERIC_OPTIONS[kind]))


def _private(kind: str) -> list[tuple[str, str]]:
    generic = frozenset(declared(resolve(GENERIC_OPTIONS[kind])))
    out = []
    for name in driver_names(kind):
        out += _options(f"_OPT_{kind.upper()}_{name.upper()}_", driver_options(kind, name), generic)
    return out


def _named(prefix: str, names: str) -> list[tuple[str, str]]:
    return [(f"{prefix}{n.upper()}", "y") for n in names_of(names)]


def _main() -> list[tuple[str, str]]:
    return _options("_OPT_MAIN_", resolve("pyexim.config.main_options:MainOptions"))


def _selectors() -> list[tuple[str, str]]:
    return [(f"_LOG_{name.upper()}", "y") for name in ("all", *ALIASES, *SELECTORS)]


def _dkim() -> list[tuple[str, str]]:
    return [("_DKIM_SIGN_HEADERS", DKIM_SIGN_HEADERS),
            ("_DKIM_OVERSIGN_HEADERS", ":".join("+" + n for n in DKIM_SIGN_HEADERS.split(":")))]


def _resumption() -> list[tuple[str, str]]:
    """Say what the values of $tls_in_resumption from 1 to 31 mean, for listextract."""
    words = []
    for value in range(1, 32):
        asked, offered, ticket, used = (bool(value & bit) for bit in (2, 4, 8, 16))
        if used:
            text = "session resumed" + ("" if offered else " unasked") + (", also new ticket" if ticket else "")
        elif ticket:
            text = "client offered session, server only provided new ticket" if offered else (
                "client requested new ticket, server provided" if asked else "no client request")
        elif offered:
            text = "client offered session, not used"
        else:
            text = "client requested, no server ticket" if asked else "not requested or offered"
        words.append(text)
    return [("_RESUME_DECODE", ":".join(words))]


FAMILIES: Final[dict[str, Callable[[], list[tuple[str, str]]]]] = {
    "_HAVE_": _have,
    "_HAVE_LOOKUP_": lambda: _named("_HAVE_LOOKUP_", "lookups"),
    "_ACL_MOD_": lambda: _named("_ACL_MOD_", "acl modifiers"),
    "_ACL_COND_": lambda: _named("_ACL_COND_", "acl conditions"),
    "_EXP_ITEM_": lambda: _named("_EXP_ITEM_", "expansion items"),
    "_EXP_OP_": lambda: _named("_EXP_OP_", "expansion operators"),
    "_EXP_COND_": lambda: _named("_EXP_COND_", "expansion conditions"),
    "_EXP_VAR_": lambda: _named("_EXP_VAR_", "expansion variables"),
    "_DRIVER_": _drivers,
    "_OPT_MAIN_": _main,
    "_OPT_ROUTERS_": lambda: _generic("router"),
    "_OPT_ROUTER_": lambda: _private("router"),
    "_OPT_TRANSPORTS_": lambda: _generic("transport"),
    "_OPT_TRANSPORT_": lambda: _private("transport"),
    "_OPT_AUTHENTICATORS_": lambda: _generic("authenticator"),
    "_OPT_AUTHENTICATOR_": lambda: _private("authenticator"),
    "_LOG_": _selectors,
    "_DKIM_": _dkim,
    "_RESUME_": _resumption,
}


@cache
def family(prefix: str) -> list[tuple[str, str]]:
    """Return the macros of a family, (name, value); longer names before those they begin with."""
    return sorted(FAMILIES[prefix](), key=lambda m: m[0], reverse=True)


def all_macros() -> list[tuple[str, str]]:
    """Return all builtin macros in the order of -bP macro_list."""
    return [m for prefix in reversed(FAMILIES) for m in family(prefix)]


def replace(text: str) -> str | None:
    """Return a text with the builtin macros in it replaced; None where there are none."""
    changed = False
    for prefix in FAMILIES:
        if prefix in text:
            for name, value in family(prefix):
                if name in text:
                    text = text.replace(name, value)
                    changed = True
    return text if changed else None


def contained(name: str) -> str | None:
    """Return a builtin macro that a name contains, or None."""
    for prefix in FAMILIES:
        if prefix in name:
            for macro, _ in family(prefix):
                if macro in name:
                    return macro
    return None
