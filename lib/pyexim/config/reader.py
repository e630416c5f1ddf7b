"""Reading a configuration file: sections, options, named lists, drivers, ACLs, rules.

    config = read_configuration(["/etc/exim/exim.conf"])

Makes one ``Configuration``; what ACL, retry and rewriting lines mean is the business of their rooms
(``config.load`` calls them), logical lines that of ``config.lines``, values that of
``config.options_reader``, the defaults that depend on the machine that of ``config.finish``.  Spec:
chapter "The Exim runtime configuration file".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pyexim.base.errors import ConfigError, ExpansionError, Place
from pyexim.base.octets import SPACE, lower
from pyexim.config.configuration import AclLine, Configuration, Instance, NamedList, RuleLine
from pyexim.config.finish import finish
from pyexim.config.lines import LineReader
from pyexim.config.macros import NAME_MAX, UPPER, Macro, MacroTable, is_definition, name_end, word_end
from pyexim.config.main_options import MainOptions
from pyexim.config.option import declared
from pyexim.config.options_reader import (
    Infos,
    OptionError,
    config_error,
    extra,
    find_option,
    read_string,
    set_option,
    split_hide,
)
from pyexim.config.table import EXPAND, GENERIC_OPTIONS, SCOPE, SERVICES, driver_options, resolve

LIST_KINDS: Final = {"domainlist": "domain", "hostlist": "host", "addresslist": "address",
                     "localpartlist": "localpart"}
_LIST_WORDS: Final = tuple(LIST_KINDS)
_SECTIONS: Final = ("acl", "authenticators", "local_scan", "retry", "rewrite", "routers", "transports")
Faults = Callable[[ConfigError], None]


def find_file(files: Iterable[str]) -> tuple[str, bytes]:
    """Return the first file of the list that exists, with its contents; raise ConfigError.

    A file that exists but cannot be read is an error, not passed over.
    """
    names = list(files)
    for name in names:
        try:
            with open(name, "rb") as f:
                return name, f.read()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as e:
            raise ConfigError(f"failed to open configuration file {name}: {e.strerror} "
                              f"(euid={os.geteuid()} egid={os.getegid()})", bare=True) from None
    raise ConfigError(f"non-existent configuration file(s): {':'.join(names)}", bare=True)


def read_configuration(files: list[str], *, macros: Mapping[str, str] | None = None, data: bytes | None = None,
                       settings: Any = None, faults: list[ConfigError] | None = None,
                       main_only: bool = False) -> Configuration:
    """Return what the first existing file of ``files`` says.

    ``macros`` are those of -D.  ``data`` stands for the contents of the (only) file, for tests and
    embedded defaults.  ``settings`` are the build-time settings (``pyexim.settings``).  Raises
    ConfigError for the first fault; with a list ``faults`` all of them are collected there instead,
    and what was understood is returned.  With ``main_only`` the sections after the first are not read.
    """
    if data is None:
        name, data = find_file(files)
    else:
        name = files[0]
    reader = _Reader(name, data, dict(macros or {}), faults)
    try:
        return reader.read(settings, main_only=main_only)
    except ConfigError as e:
        e.partial = reader.config
        raise


def expand_early(config: Configuration, text: str) -> str:
    """Expand a string while the configuration is being read; raises ExpansionError."""
    from pyexim.log.log import Log, LogSettings

    services = resolve(SERVICES)(log=Log(LogSettings(use_file=False)),
                                 primary_hostname=config.main.primary_hostname or "")
    expanded: str = resolve(EXPAND)(text, resolve(SCOPE)(config=config, services=services))
    return str(expanded)


class _Reader:
    """One reading; its state is the configuration as far as it has been read."""

    def __init__(self, name: str, data: bytes, macros: dict[str, str], faults: list[ConfigError] | None) -> None:
        self.macros = MacroTable(macros)
        self.lines = LineReader(name, data, self.macros)
        self.config = Configuration(main=MainOptions(), file=name, command_macros=macros)
        self.faults = faults
        self.sections_seen: set[str] = set()
        self.hidden: set[str] = set()
        self.driver_hidden: dict[str, set[str]] = {}
        self.kept = self.config.lines

    def read(self, settings: Any, *, main_only: bool = False) -> Configuration:
        """Read everything, or the main section only."""
        config = self.config
        section = self._main()
        while section is not None and not main_only:
            section = self._section(section)
        config.macros = self.macros.values()
        config.hidden = frozenset(self.hidden)
        config.files = self.lines.files
        for instance in config.authenticators:
            if instance.options.public_name is None or instance.driver_name == "tls":
                instance.options.public_name = instance.name
        for instances in (config.routers, config.transports.values(), config.authenticators):
            for instance in instances:
                hidden = self.driver_hidden.get(f"{instance.kind} {instance.driver_name}", ())
                instance.hidden = frozenset(hidden).union(self.driver_hidden.get(instance.kind, ()))
        finish(config, settings, lambda text: expand_early(config, text), self._fault)
        return config

    # -- lines and faults

    def _next(self) -> str | None:
        """Return the next logical line; None at the end or, in a section, when a new one begins."""
        while True:
            try:
                line = self.lines.next_line()
            except ConfigError as e:
                self._fault(e)
                continue
            if line is not None:
                self.kept.append(line)
            return line

    def _fault(self, error: ConfigError) -> None:
        """Raise the error, or keep it when all faults are being collected."""
        if self.faults is None:
            raise error
        self.faults.append(error)

    def _error(self, text: str, option: str | None = None) -> None:
        self._fault(ConfigError(text, self.lines.place, option, note=self._macro_note()))

    def _option_error(self, error: OptionError, line: str) -> None:
        name = split_hide(line)[0]
        name = name[:word_end(name)]
        self._fault(config_error(error, self.lines.place, name or None, self._macro_note()))

    def _macro_note(self) -> str:
        """Return where the macros of the current line come from: that may be the place to edit."""
        return "\n  ".join(dict.fromkeys(_describe(macro) for macro in self.lines.used))

    def _define(self, line: str) -> None:
        try:
            self.macros.define(line, self.lines.place)
        except ConfigError as e:
            self._fault(e)

    def _expand(self, name: str) -> Callable[[str], str]:
        def expand(text: str) -> str:
            try:
                return expand_early(self.config, text)
            except ExpansionError as e:
                raise OptionError(f"failed to expand {name}: {e.text}") from None
        return expand

    # -- the main section

    def _main(self) -> str | None:
        """Read the main section; return the name of the section that follows."""
        config = self.config
        infos = declared(MainOptions)
        main, seen = config.main, config.set_places
        lines = self.lines
        while (line := self._next()) is not None:
            if line[0] in UPPER and lower(line[:6]) != "begin ":
                self._define(line)
                continue
            section = self._begin(line)
            if section is not None:
                return section
            try:
                if (line[0] in "dhal" and self._named_list(line)):
                    continue
                text, hide = split_hide(line)
                name = set_option(text, infos, main, 'main option "%s" unknown', seen, lines.start,
                                  self._expand(text[:word_end(text)]))
                if hide:
                    self.hidden.add(name)
            except OptionError as e:
                self._option_error(e, line)
        return None

    def _named_list(self, line: str) -> bool:
        """Read the definition of a named list; False where the line is none."""
        text, hide = split_hide(line)
        if not text.startswith(_LIST_WORDS):
            return False
        end = word_end(text)
        word = text[:end]
        cached = word.endswith("_cache")
        kind = LIST_KINDS.get(word[:-6] if cached else word)
        rest = text[end:]
        if kind is None or rest[:1] not in SPACE or not rest:
            raise OptionError("unrecognized configuration line")
        rest = rest.lstrip(SPACE)
        end = word_end(rest)
        name = rest[:end]
        rest = rest[end:].lstrip(SPACE)
        if rest[:1] != "=":
            raise OptionError(f"missing '=' after \"{name}\"")
        lists = self.config.named_lists.setdefault(kind, {})
        if name in lists:
            raise OptionError(f'duplicate name "{name}" for a named {kind.replace("localpart", "local part")} list')
        value = read_string(name, rest[1:].lstrip(SPACE))
        lists[name] = NamedList(name, kind, value, self.lines.start, hide, cached)
        return True

    # -- sections

    def _check_length(self, name: str) -> None:
        if len(name) > NAME_MAX:
            self._error(f'exim item name too long (>{NAME_MAX + 1}), unable to use "{name[:NAME_MAX]}" (truncated)')

    def _begin(self, line: str) -> str | None:
        """Return the section that a "begin" line starts; None for any other line."""
        if not (line[0] in "bB" and len(line) > 6 and line[5] == " " and lower(line[:5]) == "begin"):
            return None
        name = line[6:].strip(SPACE)
        section = lower(name)
        if section not in _SECTIONS:
            self._error(f'"{name}" is not a known configuration section name')
            return "unknown"
        if section in self.sections_seen:
            self._error(f'"{section}" section is repeated in the configuration file')
        self.sections_seen.add(section)
        return section

    def _section(self, section: str) -> str | None:
        if section == "acl":
            return self._acl()
        if section == "retry":
            return self._rules(self.config.retry)
        if section == "rewrite":
            return self._rules(self.config.rewrite)
        if section == "local_scan":
            self._error("local_scan() options not supported: (LOCAL_SCAN_HAS_OPTIONS not defined in Local/Makefile)")
            return self._rules([])
        if section == "unknown":
            return self._rules([])
        return _DriverSection(self, section[:-1]).read()

    def _rules(self, rules: list[RuleLine]) -> str | None:
        while (line := self._next()) is not None:
            section = self._begin(line)
            if section is not None:
                return section
            rules.append(RuleLine(line, self.lines.start))
        return None

    def _acl(self) -> str | None:
        """Read the ACLs.  A macro definition ends an ACL; what follows on a name's line does not count."""
        acls = self.config.acls
        current: list[AclLine] | None = None
        lines = self.lines
        while (line := self._next()) is not None:
            section = self._begin(line)
            if section is not None:
                return section
            end = word_end(line)
            after = line[end:end + 1]
            if after == "=" or after in SPACE:
                if line[0] in UPPER and is_definition(line):
                    self._define(line)
                    current = None
                    continue
                after = line[end:].lstrip(SPACE)[:1]
            if after == ":" and not line[0].isdigit() and end:
                name = line[:end]
                self._check_length(name)
                if name in acls:
                    self._error(f'there are two ACLs called "{name}"')
                current = acls[name] = []
            elif current is None:
                self._error("missing or malformed ACL name")
                current = []
            else:
                current.append(AclLine(line, lines.start))
        return None


class _DriverSection:
    """Reads one of the sections of routers, transports and authenticators."""

    def __init__(self, reader: _Reader, kind: str) -> None:
        self.reader = reader
        self.kind = kind
        self.generic: Infos = declared(resolve(GENERIC_OPTIONS[kind]))
        self.names: set[str] = set()

    def read(self) -> str | None:
        """Read the section; return the name of the one that follows."""
        reader, lines = self.reader, self.reader.lines
        current: _Pending | None = None
        while (line := reader._next()) is not None:
            section = reader._begin(line)
            if section is not None:
                self._close(current)
                return section
            if line[0] in UPPER and is_definition(line):
                self._close(current)
                current = None
                reader._define(line)
                continue
            end = name_end(line)
            rest = line[end:].lstrip(SPACE)
            if rest[:1] == ":":
                self._close(current)
                name = line[:end]
                reader._check_length(name)
                if tail := rest[1:].strip(SPACE):
                    reader._fault(config_error(extra("driver name", name, tail), lines.place))
                current = _Pending(name, lines.start)
                if name in self.names:
                    reader._fault(ConfigError(f'there are two {self.kind}s called "{name}"', lines.place))
                    current.bad = True
                self.names.add(name)
                continue
            if current is None:
                reader._error(f"{self.kind} name missing")
                current = _Pending("", lines.start)
                current.bad = True
                continue
            if current.name:
                self._option(current, line)
        self._close(current)
        return None

    def _option(self, current: _Pending, line: str) -> None:
        """Obey one setting; before the driver is known, generic ones are kept for it."""
        reader = self.reader
        text, hide = split_hide(line)
        try:
            if current.instance is None:
                found = find_option(text, self.generic, 'option "%s" unknown ("driver" must be specified before '
                                                        'any private options)')
                if found[2][0] != "driver":
                    current.early.append((text, hide, reader.lines.start, reader.lines.place))
                    return
                self._choose_driver(current, text)
                if hide:
                    reader.driver_hidden.setdefault(self.kind, set()).add("driver")
                return
            self._set(current.instance, current.infos, text, hide, reader.lines.start)
        except OptionError as e:
            reader._option_error(e, line)

    def _set(self, instance: Instance, infos: Infos, text: str, hide: bool, start: Place) -> None:
        name = set_option(text, infos, instance.options, 'option "%s" unknown', instance.set_places, start,
                          self.reader._expand(text[:word_end(text)]))
        if hide:
            # Hidden for all instances of the driver, or of all drivers when the option is generic.
            where = self.kind if name in self.generic else f"{self.kind} {instance.driver_name}"
            self.reader.driver_hidden.setdefault(where, set()).add(name)

    def _choose_driver(self, current: _Pending, text: str) -> None:
        config = self.reader.config
        holder = _Driver()
        set_option(text, {"driver": self.generic["driver"]}, holder, 'option "%s" unknown', {},
                   self.reader.lines.start, self.reader._expand("driver"))
        driver = holder.driver
        cls = driver_options(self.kind, driver)
        if cls is None:
            current.bad = True
            current.name = ""
            raise OptionError(f'{self.kind} {current.given}: cannot find {self.kind} driver "{driver}"')
        instance = Instance(current.given, self.kind, driver, cls(), current.place)
        instance.options.driver = driver
        instance.set_places["driver"] = self.reader.lines.start
        current.instance = instance
        current.infos = declared(cls)
        for early, hide, start, place in current.early:
            try:
                self._set(instance, current.infos, early, hide, start)
            except OptionError as e:
                self.reader._fault(config_error(e, place, early[:word_end(early)]))
        if current.bad:
            return
        if self.kind == "router":
            config.routers.append(instance)
        elif self.kind == "transport":
            config.transports[instance.name] = instance
        else:
            config.authenticators.append(instance)

    def _close(self, current: _Pending | None) -> None:
        if current is not None and current.instance is None and not current.bad:
            self.reader._fault(ConfigError(f'no driver defined for {self.kind} "{current.given}"', current.place))


class _Driver:
    """Takes the value of a driver option."""

    driver = ""


class _Pending:
    """A driver instance that is being read; it gets its Instance when the driver is known."""

    __slots__ = ("bad", "early", "given", "infos", "instance", "name", "place")

    def __init__(self, name: str, place: Place) -> None:
        self.name = self.given = name
        self.place = place
        self.instance: Instance | None = None
        self.infos: Infos = {}
        self.early: list[tuple[str, bool, Place, Place]] = []
        self.bad = False


def _describe(macro: Macro) -> str:
    if macro.command_line:
        return f"(the line contains the macro {macro.name}, defined on the command line)"
    return f"(the line contains the macro {macro.name}, defined in {macro.place})"
