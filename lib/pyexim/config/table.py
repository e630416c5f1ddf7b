"""What the configuration refers to in higher rooms, by name: "module:attribute", imported on first use.

The drivers of a kind are named by the table of their own room: driver name -> "module:Class", a class
with an ``Options`` class.  Only this file of the room names higher rooms.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

ROUTERS: Final = "router"
TRANSPORTS: Final = "transport"
AUTHENTICATORS: Final = "authenticator"
"""The kinds of driver."""

DRIVER_TABLES: Final = {
    ROUTERS: "pyexim.routers.table:DRIVERS",
    TRANSPORTS: "pyexim.transports.table:DRIVERS",
    AUTHENTICATORS: "pyexim.auth.table:DRIVERS",
}
GENERIC_OPTIONS: Final = {
    ROUTERS: "pyexim.routers.options:RouterOptions",
    TRANSPORTS: "pyexim.transports.options:TransportOptions",
    AUTHENTICATORS: "pyexim.auth.options:AuthenticatorOptions",
}
COMPILE_HOOKS: Final = {
    "transports": "pyexim.transports.table:instantiate",
    "routers": "pyexim.routers.runner:instantiate",
    "authenticators": "pyexim.auth.table:instantiate",
    "acl": "pyexim.acl.api:compile_acls",
    "retry": "pyexim.retry.api:compile_rules",
    "rewrite": "pyexim.rewrite.api:compile_rewrites",
}
"""Called by ``config.load`` with the configuration, in this order: a router may name a transport."""

ACL_STRINGS: Final = "pyexim.acl.check:strings"
ACL_UNKNOWN: Final = "pyexim.acl.check:unknown_names"
EXPAND: Final = "pyexim.expand.engine:expand"
REGEX_FAULT: Final = "pyexim.expand.regex:fault"
FIND_MISTAKE: Final = "pyexim.expand.mistakes:find_mistake"
SCOPE: Final = "pyexim.expand.scope:Scope"
SERVICES: Final = "pyexim.expand.scope:Services"


def resolve(reference: str) -> Any:
    """Return what a "module:attribute" names, importing the module."""
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


def driver_names(kind: str) -> dict[str, str]:
    """Return the table of the drivers of a kind."""
    table: dict[str, str] = resolve(DRIVER_TABLES[kind])
    return table


def driver_class(kind: str, driver: str) -> Any:
    """Return the class of a driver, importing its module; None where there is none."""
    reference = driver_names(kind).get(driver)
    if reference is None:
        return None
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute, None)


def driver_options(kind: str, driver: str) -> Any:
    """Return the Options class of a driver, importing its module; None for an unknown driver.

    By convention the class stands beside the driver as ``ClassOptions``; the table of the drivers names it in
    ``OPTIONS`` where it is elsewhere.
    """
    reference = driver_names(kind).get(driver)
    if reference is None:
        return None
    elsewhere = getattr(import_module(DRIVER_TABLES[kind].partition(":")[0]), "OPTIONS", {}).get(driver)
    if elsewhere is not None:
        return resolve(elsewhere)
    module, _, attribute = reference.partition(":")
    found = import_module(module)
    options = getattr(found, f"{attribute}Options", None)
    return options if options is not None else getattr(found, attribute).Options


NAMES: Final = {
    "acl conditions": "pyexim.acl.table:ROWS",
    "acl modifiers": "pyexim.acl.table:ROWS",
    "expansion items": "pyexim.expand.table:ITEMS",
    "expansion operators": "pyexim.expand.table:OPERATORS",
    "expansion conditions": "pyexim.expand.table:CONDITIONS",
    "expansion variables": "pyexim.expand.variables:VARIABLES",
    "lookups": "pyexim.lookup.table:available",
}
"""Where the names for the builtin macros are."""


def names_of(what: str) -> list[str]:
    """Return the names that a table of another room lists."""
    reference = NAMES[what]
    from importlib.util import find_spec  # only for configurations that ask what there is

    module = reference.partition(":")[0]
    if find_spec(module) is None:
        return []
    table = resolve(reference)
    if what == "lookups":
        return list(table(find_spec))
    if what.startswith("acl "):
        return [row.name for row in table if row.modifier is (what == "acl modifiers")]
    return list(table)
