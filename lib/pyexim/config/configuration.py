"""What reading a configuration yields: one immutable object that everybody is handed.

The reader (``config.reader.read_configuration``) makes it.  Values are as declared; texts that are
expanded at run time are kept as source text (see ``config.option``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyexim.base.errors import Place
from pyexim.base.record import dataclass, field
from pyexim.config.main_options import MainOptions


@dataclass(frozen=True, slots=True)
class NamedList:
    """A named domain, host, address or local part list."""

    name: str
    kind: str
    """domain, host, address or localpart."""
    text: str
    place: Place
    hide: bool = False
    cached: bool = False


@dataclass(frozen=True, slots=True)
class AclLine:
    """One logical line of an ACL, unparsed; ``acl.parser`` makes verbs and conditions of them."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One logical line of the retry or rewrite section, unparsed."""

    text: str
    place: Place


@dataclass(slots=True)
class Instance:
    """A configured router, transport or authenticator."""

    name: str
    kind: str
    """router, transport or authenticator."""
    driver_name: str
    options: Any
    """An instance of the driver's Options dataclass."""
    place: Place
    set_places: dict[str, Place] = field(default_factory=dict)
    """Where each option that is set was set."""
    hidden: frozenset[str] = frozenset()
    """Options given with "hide"."""
    made: Any = None
    """The driver object, where the room of the drivers has made it."""
    maker: Callable[[Instance], Any] | None = None
    """What makes it, where that has been left until it is needed."""

    @property
    def driver(self) -> Any:
        """The driver object; None before the room of the drivers has seen to it."""
        if self.made is None and self.maker is not None:
            self.made = self.maker(self)
        return self.made

    @driver.setter
    def driver(self, driver: Any) -> None:
        self.made = driver


@dataclass(slots=True)
class Configuration:
    """Everything that a configuration file says."""

    main: MainOptions
    file: str
    """The file that was used."""
    named_lists: dict[str, dict[str, NamedList]] = field(default_factory=dict)
    """kind -> name -> list."""
    acls: dict[str, list[AclLine]] = field(default_factory=dict)
    routers: list[Instance] = field(default_factory=list)
    transports: dict[str, Instance] = field(default_factory=dict)
    """In the order of the configuration; names of transports are unique."""
    authenticators: list[Instance] = field(default_factory=list)
    retry: list[RuleLine] = field(default_factory=list)
    rewrite: list[RuleLine] = field(default_factory=list)
    macros: dict[str, str] = field(default_factory=dict)
    """User macros with their final values, in order of definition."""
    local_scan: dict[str, str] = field(default_factory=dict)
    set_places: dict[str, Place] = field(default_factory=dict)
    """Where each main option that is set was set."""
    hidden: frozenset[str] = frozenset()
    files: list[str] = field(default_factory=list)
    """The main file and everything it included."""
    lines: list[str] = field(default_factory=list)
    """The whole configuration as read, for -bP config."""
    compiled: dict[str, Any] = field(default_factory=dict)
    """What other rooms made of it at load time, under their own keys: acl, retry, rewrite, lists."""
    command_macros: dict[str, str] = field(default_factory=dict)
    """Macros given with -D."""
