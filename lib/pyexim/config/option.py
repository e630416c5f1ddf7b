"""How an option is declared: once, as a class attribute; parser, -bP, checks and docs read that.

    @options
    class AcceptOptions(RouterOptions):
        route_data: str | None = option(STRING, None, expanded=True, doc="...")

Values as stored after reading: BOOL bool; INT, OCTAL int (K, M, G applied); FIXED int, thousandths;
TIME int, seconds; TIME_LIST, STRING and all kinds of list the source text, None when unset, to be
expanded or split where it is used.  An option that is of another kind but ``expanded`` holds the
typed value when the text is a literal of that kind, and otherwise the source text.

``options`` does what ``dataclass`` would (a constructor with keywords, repr, comparison) without
generating code: with 600 options that would cost more than reading a configuration.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")


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


class OptionInfo:
    """The declaration of one option, without its name (which is the field's)."""

    __slots__ = ("default", "doc", "expanded", "kind", "name", "no_effect", "spec", "style")

    def __init__(self, kind: Kind, default: Any, expanded: bool = False, doc: str = "", spec: str = "",
                 name: str | None = None, no_effect: str | None = None, style: str = "") -> None:
        self.kind = kind
        self.default = default
        self.expanded = expanded
        self.doc = doc
        self.spec = spec
        self.name = name
        """The configuration's name where it is no Python name (``set``, ``group``... are fine)."""
        self.no_effect = no_effect
        """Why the option is accepted without effect so far; listed in docs and by --check-config."""
        self.style = style
        """How the text is checked and printed where the kind does not say it: "uid" and "gid" (a user or
        group name, which must exist unless it is to be expanded), "uids" and "gids" (lists of them),
        "K" (an integer that -bP prints with K and M), "kib" (a size in octets; a number
        alone is one of KiB; printed in K, M or G), "plain" (a time
        that -bP prints in seconds, and that may be given so), "pair" (a switch that sets those for
        senders and recipients, and is not printed itself), "hidden" (known, but not printed),
        "conditions" (may be given several times; all must be true)."""


def option(kind: Kind, default: Any, *, expanded: bool = False, doc: str = "", spec: str = "",
           name: str | None = None, no_effect: str | None = None, style: str = "") -> Any:
    """Declare an option as a field of an options class."""
    return OptionInfo(kind, default, expanded, doc, spec, name, no_effect, style)


def _init(self: Any, /, **values: Any) -> None:
    fields = self.__defaults__
    self.__dict__.update(fields)
    if values:
        unknown = values.keys() - fields.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no option {', '.join(sorted(unknown))}")
        self.__dict__.update(values)


def _repr(self: Any) -> str:
    changed = (f"{n}={v!r}" for n, v in self.__dict__.items() if v != self.__defaults__.get(n))
    return f"{type(self).__name__}({', '.join(changed)})"


def _eq(self: Any, other: object) -> bool:
    return type(self) is type(other) and self.__dict__ == other.__dict__


def options(cls: type[T]) -> type[T]:
    """Make a class of declared options: keyword constructor with the defaults, repr, comparison.

    The class may say in ``SPEC`` and ``NO_EFFECT`` what holds for all options that it declares.
    """
    spec = cls.__dict__.get("SPEC", "")
    no_effect = getattr(cls, "NO_EFFECT", None)
    infos: dict[str, tuple[str, OptionInfo]] = {}
    defaults: dict[str, Any] = {}
    for base in reversed(cls.__mro__[1:]):
        infos.update(base.__dict__.get("__options__", {}))
        defaults.update(base.__dict__.get("__defaults__", {}))
    for field, info in list(cls.__dict__.items()):
        if type(info) is OptionInfo:
            info.spec = info.spec or spec
            info.no_effect = info.no_effect or no_effect
            infos[info.name or field] = (field, info)
            defaults[field] = info.default
            setattr(cls, field, info.default)
    members: dict[str, Any] = {"__options__": infos, "__defaults__": defaults, "__init__": _init,
                               "__repr__": _repr, "__eq__": _eq, "__hash__": None}
    for name, member in members.items():
        setattr(cls, name, member)
    return cls


def declared(cls: type) -> dict[str, tuple[str, OptionInfo]]:
    """Return {configuration name: (field name, declaration)} of an options class."""
    found: dict[str, tuple[str, OptionInfo]] = cls.__dict__["__options__"]
    return found
