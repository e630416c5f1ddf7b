"""--check-config: every fault of a configuration, with file and line, instead of the first one.

An extension: none of Exim's own switches prints any of this.  Beyond what makes the program refuse a
configuration it tells, as warnings, of options that have no effect yet, of names that nothing defines,
and of strings that cannot be expanded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pyexim.base.errors import ConfigError, Place
from pyexim.base.octets import SPACE
from pyexim.base.record import dataclass, field
from pyexim.config.configuration import Configuration, Instance
from pyexim.config.load import compile_for
from pyexim.config.macros import word_end
from pyexim.config.option import Kind, declared
from pyexim.config.reader import read_configuration
from pyexim.config.table import ACL_STRINGS, ACL_UNKNOWN, COMPILE_HOOKS, FIND_MISTAKE, resolve
from pyexim.config.values import split_items

_ENOUGH: Final = 500
"""Faults of one part after which looking for more stops."""
_LIST_KINDS: Final = {Kind.DOMAIN_LIST: "domain", Kind.HOST_LIST: "host", Kind.ADDRESS_LIST: "address",
                      Kind.LOCALPART_LIST: "localpart"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to tell."""

    text: str
    place: Place | None = None
    warning: bool = False
    """The configuration can be used all the same."""

    def __str__(self) -> str:
        where = f"{self.place.file}:{self.place.line}: " if self.place is not None else ""
        text = " ".join(line.strip(SPACE) for line in self.text.split("\n"))
        return f"{where}{'warning' if self.warning else 'error'}: {text}"


@dataclass(slots=True)
class Report:
    """All that a check found."""

    faults: list[Fault] = field(default_factory=list)
    """What makes the configuration unusable."""
    warnings: list[Fault] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return a line per fault, ordered by file and line, and a summary."""
        order = {name: i for i, name in enumerate(self.files)}

        def key(fault: Fault) -> tuple[int, int]:
            return (order.get(fault.place.file, -1), fault.place.line) if fault.place else (-1, 0)

        out = [str(f) for f in sorted([*self.faults, *self.warnings], key=key)]
        out.append(f"{len(self.faults)} error{'s' * (len(self.faults) != 1)}, "
                   f"{len(self.warnings)} warning{'s' * (len(self.warnings) != 1)}")
        return out


def check_configuration(files: list[str], macros: Mapping[str, str] | None = None, *, data: bytes | None = None,
                        settings: Any = None) -> Report:
    """Read and compile a configuration and return everything that is wrong with it."""
    report = Report()
    errors: list[ConfigError] = []
    try:
        config = read_configuration(files, macros=macros, data=data, settings=settings, faults=errors)
    except ConfigError as e:
        report.faults.append(_fault(e))
        return report
    report.files = config.files
    # first: what is wrong is taken out below
    report.warnings += [*_expansion_faults(config), *_without_effect(config), *_undefined(config)]
    for part in COMPILE_HOOKS:
        errors += _compile_faults(config, part)
    report.warnings += [Fault(text, place, warning=True) for text, place in resolve(ACL_UNKNOWN)(config)]
    seen = set()
    for error in errors:
        fault = _fault(error)
        if fault not in seen:
            seen.add(fault)
            report.faults.append(fault)
    return report


def _fault(error: ConfigError) -> Fault:
    text = f"{error.about}: {error.text}" if error.about else error.text
    if error.note:
        text += f" {error.note}".replace("\n  ", " ")
    return Fault(text, error.place)


# -- what the other rooms say

def _compile_faults(config: Configuration, part: str) -> list[ConfigError]:
    """Return the faults of one part: what is wrong is taken out, and the part compiled again."""
    faults: list[ConfigError] = []
    while len(faults) < _ENOUGH:
        try:
            compile_for(config, [part])
        except ConfigError as e:
            faults.append(e)
            if not _take_out(config, part, e):
                break
        else:
            break
    return faults


def _take_out(config: Configuration, part: str, error: ConfigError) -> bool:
    """Remove what an error is about from the configuration; False where that is not known."""
    if part in ("retry", "rewrite"):
        rules = config.retry if part == "retry" else config.rewrite
        kept = [r for r in rules if r.place != error.place]
        found = len(kept) < len(rules)
        rules[:] = kept
        return found
    if part == "acl":
        for lines in config.acls.values():
            for i, line in enumerate(lines):
                if line.place == error.place:
                    del lines[i]
                    return True
        return False
    instances: list[Instance] = {"routers": config.routers, "transports": list(config.transports.values()),
                                 "authenticators": config.authenticators}[part]
    for instance in instances:
        places = [instance.place, *instance.set_places.values()]
        if error.place in places or error.about.split(" ")[0] == instance.name:
            if part == "transports":
                del config.transports[instance.name]
            elif part == "routers":
                config.routers.remove(instance)
            else:
                config.authenticators.remove(instance)
            return True
    return False


# -- what works but not as it looks

def _settings(config: Configuration) -> Iterator[tuple[str, Any, Place, Any, str]]:
    """Yield (name, declaration, place, value, whose) of every option that is set."""
    infos = declared(type(config.main))
    for name, place in config.set_places.items():
        yield name, infos[name][1], place, getattr(config.main, infos[name][0]), "main option"
    for instance in (*config.routers, *config.transports.values(), *config.authenticators):
        infos = declared(type(instance.options))
        for name, place in instance.set_places.items():
            value = getattr(instance.options, infos[name][0])
            yield name, infos[name][1], place, value, f"{instance.kind} {instance.name}: option"


def _without_effect(config: Configuration) -> list[Fault]:
    """Report options that do nothing yet; for a driver of which none does anything, only the first."""
    faults = []
    told = set()
    for name, info, place, _, whose in _settings(config):
        if not info.no_effect:
            continue
        if whose.startswith("authenticator"):
            if whose in told:
                continue
            told.add(whose)
            what = whose.removesuffix(": option")
            faults.append(Fault(f"{what} has no effect: {info.no_effect}", place, warning=True))
        else:
            faults.append(Fault(f'{whose} "{name}" has no effect: {info.no_effect}', place, warning=True))
    return faults


def _expansion_faults(config: Configuration) -> list[Fault]:
    """Report strings that will be expanded and cannot be parsed."""
    find_mistake = resolve(FIND_MISTAKE)
    faults = []
    strings = [(value, f'{whose} "{name}"', place) for name, info, place, value, whose in _settings(config)
               if info.expanded and isinstance(value, str)]
    strings += [(found.text, f"{kind} list {found.name}", found.place)
                for kind, lists in config.named_lists.items() for found in lists.values()]
    strings += [(text, what, place) for what, _, text, place in resolve(ACL_STRINGS)(config)]
    for text, what, place in strings:
        if "$" not in text:
            continue
        mistake = find_mistake(text)
        if mistake is not None:
            faults.append(Fault(f"{what} cannot be expanded: {mistake}", place, warning=True))
    return faults


def _undefined(config: Configuration) -> list[Fault]:
    """Report references to named lists and transports that do not exist."""
    faults = []
    for name, info, place, value, whose in _settings(config):
        kind = _LIST_KINDS.get(info.kind)
        if kind is not None and isinstance(value, str) and "$" not in value:
            faults += _undefined_lists(config, kind, value, f'{whose} "{name}"', place)
        if name.endswith("transport") and isinstance(value, str) and value and "$" not in value:
            if value not in config.transports:
                faults.append(Fault(f'{whose} "{name}" names the unknown transport "{value}"', place, warning=True))
    for kind, lists in config.named_lists.items():
        for found in lists.values():
            if "$" not in found.text:
                faults += _undefined_lists(config, kind, found.text, f"{kind} list {found.name}", found.place)
    for what, kind, text, place in resolve(ACL_STRINGS)(config):
        if kind and "$" not in text:
            faults += _undefined_lists(config, kind, text, what, place)
    return faults


def _undefined_lists(config: Configuration, kind: str, text: str, what: str, place: Place) -> list[Fault]:
    faults = []
    known = config.named_lists.get(kind, {})
    for item in split_items(text):
        item = item.lstrip("!").lstrip(SPACE)
        if item.startswith("+") and word_end(item[1:]) == len(item) - 1 and item[1:] not in known \
                and item[1:] not in _LIST_WORDS:
            faults.append(Fault(f'{what} uses the unknown named {kind} list "{item}"', place, warning=True))
    return faults


_LIST_WORDS: Final = frozenset({"include_unknown", "ignore_unknown", "include_defer", "ignore_defer", "caseful"})
