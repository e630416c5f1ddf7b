"""The local caller: login and full name.  Spec: section "Constructed addresses", options gecos_pattern, gecos_name."""

from __future__ import annotations

import pwd
from functools import cache

from pyexim.base.taint import taint
from pyexim.config.configuration import Configuration
from pyexim.expand import regex
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope, Services
from pyexim.match.lists import match_address
from pyexim.model.message import Message


@cache
def login_of(uid: int) -> str | None:
    """Return a user's login, None where the uid has no account."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return None


def login_name(services: Services) -> str | None:
    """Return the caller's login, None where his uid has no account."""
    return login_of(services.caller_uid)


def names(services: Services, config: Configuration, login: str) -> tuple[str, str]:
    """Return (login, full name) of the caller; unknown_login and unknown_username for a uid without account."""
    if login_of(services.caller_uid) is None and config.main.unknown_login:
        scope = Scope(config, services)
        return expand(config.main.unknown_login, scope), config.main.unknown_username or ""
    return login, full_name(services, login, config)


def may_set_sender(address: str, scope: Scope) -> bool:
    """Tell whether untrusted_set_sender lets every caller use this sender."""
    allowed = scope.config.main.untrusted_set_sender
    return allowed is not None and bool(match_address(address, allowed, scope))


def own_sender(message: Message, login: str, scope: Scope) -> None:
    """Put the caller's own address in place of the sender that he gave, unless that one is allowed."""
    message.sender_local = True
    domain = scope.config.main.qualify_domain
    if not may_set_sender(message.sender_address or f"@{domain}", scope):  # so is the empty one looked for
        message.sender_address = f"{login}@{domain}"


def full_name(services: Services, login: str, config: Configuration | None = None) -> str:
    """Return the caller's name from the password file, "&" replaced by the login with a capital."""
    try:
        gecos = pwd.getpwuid(services.caller_uid).pw_gecos
    except (KeyError, OverflowError):
        return ""
    name = gecos.encode("utf-8", "surrogateescape").decode("latin-1")
    if "&" in name:
        name = name.replace("&", login[:1].upper() + login[1:])
    if config is not None and config.main.gecos_pattern and config.main.gecos_name:
        name = _by_pattern(name, config, services)
    return taint(name)


def _by_pattern(name: str, config: Configuration, services: Services) -> str:
    main = config.main
    groups = regex.compile(main.gecos_pattern or "").search(name)
    if groups is None:
        return name
    scope = Scope(config, services)
    for number, value in enumerate(groups):
        scope.vars[str(number)] = value
    return expand(main.gecos_name or "", scope)
