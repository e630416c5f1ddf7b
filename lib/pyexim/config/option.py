"""How an option is declared: once, as a dataclass field; parser, -bP, checks and docs read that.

    @dataclass(kw_only=True, slots=True)
    class AcceptOptions(RouterOptions):
        route_data: str | None = option(STRING, None, expanded=True, doc="...")

Values as stored after reading: BOOL bool; INT, OCTAL int (K, M, G applied); FIXED int, thousandths;
TIME int, seconds; TIME_LIST list of seconds; STRING and all kinds of list the source text, None when
unset, to be expanded or split where it is used.  An option that is of another kind but ``expanded``
holds the typed value when the text is a literal of that kind, and otherwise the source text.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Kind(Enum):
    """The kinds of option of the spec's chapter on the configuration file."""

    BOOL = "boolean"
    INT = "integer"
    OCTAL = "octal integer"
    FIXED = "fixed-point"
    TIME = "time"
    TIME_LIST = "time list"
    STRING = "string"
    STRING_LIST = "string list"
    INT_LIST = "integer list"
    DOMAIN_LIST = "domain list"
    HOST_LIST = "host list"
    ADDRESS_LIST = "address list"
    LOCALPART_LIST = "local part list"
    HEADERS = "header lines"
    """headers_add and headers_remove: may be given several times, the values add up."""
    SET = "variable settings"
    """The routers' ``set``: may be given several times."""


BOOL, INT, OCTAL, FIXED = Kind.BOOL, Kind.INT, Kind.OCTAL, Kind.FIXED
TIME, TIME_LIST, STRING, STRING_LIST = Kind.TIME, Kind.TIME_LIST, Kind.STRING, Kind.STRING_LIST
INT_LIST, DOMAIN_LIST, HOST_LIST = Kind.INT_LIST, Kind.DOMAIN_LIST, Kind.HOST_LIST
ADDRESS_LIST, LOCALPART_LIST = Kind.ADDRESS_LIST, Kind.LOCALPART_LIST
HEADERS, SET = Kind.HEADERS, Kind.SET


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """The declaration of one option, without its name (which is the field's)."""

    kind: Kind
    default: Any
    expanded: bool = False
    doc: str = ""
    spec: str = ""
    name: str | None = None
    """The configuration's name where it is no Python name (``set``, ``group``... are fine)."""
    no_effect: str | None = None
    """Why the option is accepted without effect so far; listed in docs and by --check-config."""


def option(kind: Kind, default: Any, *, expanded: bool = False, doc: str = "", spec: str = "",
           name: str | None = None, no_effect: str | None = None) -> Any:
    """Declare an option as a field of an options dataclass."""
    info = OptionInfo(kind, default, expanded, doc, spec, name, no_effect)
    return dataclasses.field(default=default, metadata={"option": info})


def declared(cls: type) -> dict[str, tuple[str, OptionInfo]]:
    """Return {configuration name: (field name, declaration)} of an options dataclass."""
    out = {}
    for f in dataclasses.fields(cls):
        info = f.metadata.get("option")
        if info is not None:
            out[info.name or f.name] = (f.name, info)
    return out
