"""What the check of a configuration has to know of ACLs: the strings in them, and names that no ACL has.

Only for --check-config: none of this is looked at when a configuration is loaded for use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pyexim.acl.api import acl_set
from pyexim.acl.compiler import AclError, AclSet
from pyexim.acl.parser import parse_acl
from pyexim.acl.where import OPTIONS
from pyexim.base.errors import Place
from pyexim.base.octets import SPACE
from pyexim.config.configuration import Configuration

LISTS: Final = {"domains": "domain", "sender_domains": "domain", "hosts": "host", "senders": "address",
                "recipients": "address", "local_parts": "localpart"}


def strings(config: Configuration) -> Iterator[tuple[str, str, str, Place | None]]:
    """Yield (whose, kind of list or "", text, place) of every argument in the configuration's ACLs.

    Lines that cannot be parsed are left out; they are faults of their own.
    """
    for name, lines in config.acls.items():
        for statement in parse_acl(lines, []):
            for item in statement.items:
                yield f'ACL {name}: "{item.name}"', LISTS.get(item.name, ""), item.argument, item.place


def unknown_names(config: Configuration) -> Iterator[tuple[str, Place | None]]:
    """Yield (text, place) for ACLs that are used and that nobody has defined."""
    acls = acl_set(config)
    for where, option in OPTIONS.items():
        source = getattr(config.main, option, None)
        fault = _fault(acls, source, where)
        if fault:
            yield f'main option "{option}": {fault}', config.set_places.get(option)
    for name in acls.names():
        for statement in acls.statements(name):
            for item in statement.items:
                if item.name == "acl":
                    fault = _fault(acls, item.argument.strip(SPACE).partition(" ")[0], "rcpt")
                    if fault:
                        yield f'ACL {name}: "acl": {fault}', item.place


def _fault(acls: AclSet, source: str | None, where: str) -> str:
    if not source or "$" in source or source in acls.names():
        return ""
    try:
        acls.find(source, where)
    except AclError as e:
        return f'"{source}" is no ACL: {e}'
    return ""
