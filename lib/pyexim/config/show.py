"""What -bP prints: options, drivers, named lists, macros, the configuration itself, in Exim's form.

Spec: chapter "The Exim command line", option -bP.  Who is an admin user, and which environment is kept,
the caller says.
"""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable, Mapping
from typing import Any, Final

from pyexim.base.octets import SPACE, words
from pyexim.config.builtin_macros import all_macros
from pyexim.config.configuration import Configuration, Instance
from pyexim.config.macros import UPPER, is_definition, word_end
from pyexim.config.option import Kind, OptionInfo, declared
from pyexim.config.options_reader import split_hide
from pyexim.config.table import GENERIC_OPTIONS, driver_class, resolve
from pyexim.config.values import (
    format_bool,
    format_fixed,
    format_int_k,
    format_octal,
    format_size,
    format_time,
    parse_time,
    split_items,
)

MASK: Final = "<value not displayable>"
DENIED: Final = "exim: permission denied"
_LISTS: Final = ("address", "domain", "host", "localpart")
_ESCAPES: Final = {i: f"\\{i:03o}" for i in (*range(32), 127, *range(128, 256))} | {
    9: "\\t", 10: "\\n", 13: "\\r", 8: "\\b", 11: "\\v", 12: "\\f"}


def show(config: Configuration, args: list[str], *, admin: bool, no_labels: bool = False,
         environment: Mapping[str, str] | None = None) -> tuple[list[str], int]:
    """Return the lines that -bP prints for these arguments, and the exit code.

    ``environment`` is what is left of the caller's after keep_environment and add_environment;
    ``no_labels`` is -n.  The exit code is that of the last argument, as with Exim.
    """
    shown = _Show(config, admin, no_labels, environment or {})
    if not args:
        shown.main_options()
        return shown.lines, 0
    code = 0
    i = 0
    while i < len(args):
        arg = args[i]
        if arg in ("router", "transport", "authenticator", "macro") and i + 1 < len(args):
            code = shown.named(arg, args[i + 1])
            i += 2
        else:
            code = shown.argument(arg)
            i += 1
    return shown.lines, code


def print_value(text: str) -> str:
    """Return a string as -bP prints it: control characters and octets above 126 as escapes."""
    return text if text.isascii() and text.isprintable() else text.translate(_ESCAPES)


class _Show:
    """One -bP: collects the lines."""

    def __init__(self, config: Configuration, admin: bool, no_labels: bool, environment: Mapping[str, str]) -> None:
        self.config = config
        self.admin = admin
        self.no_labels = no_labels
        self.environment = environment
        self.lines: list[str] = []

    # -- arguments

    def argument(self, arg: str) -> int:
        """Print what one argument asks for; return the exit code."""
        special = _WORDS.get(arg)
        if special is not None:
            return special(self)
        if arg.startswith("+"):
            return self.named_list(arg[1:])
        found = declared(type(self.config.main)).get(arg)
        if found is None:
            self.lines.append(f"{arg} is not a known option")
            return 1
        self.option(arg, found, self.config.main, arg in self.config.hidden)
        return 0

    def main_options(self) -> int:
        infos = declared(type(self.config.main))
        for name in sorted(infos):
            if infos[name][1].style not in ("hidden", "pair"):
                self.option(name, infos[name], self.config.main, name in self.config.hidden)
        return 0

    def named(self, kind: str, name: str) -> int:
        """Print one driver instance or one macro."""
        if kind == "macro":
            return self.macro(name)
        for instance in self.instances(kind):
            if instance.name == name:
                self.instance(instance)
                return 0
        self.lines.append(f"{kind} {name} not found")
        return 1

    def instances(self, kind: str) -> list[Instance]:
        config = self.config
        return {"router": config.routers, "transport": list(config.transports.values()),
                "authenticator": config.authenticators}[kind]

    def all_instances(self, kind: str) -> int:
        for instance in self.instances(kind):
            self.lines += ["", f"{instance.name} {kind}:"]
            self.instance(instance)
        return 0

    def instance_names(self, kind: str) -> int:
        self.lines += [instance.name for instance in self.instances(kind)]
        return 0

    def named_list(self, name: str) -> int:
        code = 1
        for kind in _LISTS:
            found = self.config.named_lists.get(kind, {}).get(name)
            if found is not None:
                code = 0
                value = MASK if found.hide and not self.admin else found.text
                self.lines.append(value if self.no_labels else f"{kind}list {name} = {value}")
        if code:
            self.lines.append(f'no address, domain, host, or local part list called "{name}" exists')
        return code

    def macro(self, name: str) -> int:
        if not self.admin:
            self.lines.append(DENIED)
            return 1
        value = self.config.macros.get(name)
        if value is None:
            value = dict(all_macros()).get(name)
        if value is None:
            self.lines.append(f"macro {name} not found")
            return 1
        self.lines.append(value if self.no_labels else f"{name}={value}")
        return 0

    def macros(self, names_only: bool) -> int:
        if not self.admin:
            self.lines.append(DENIED)
            return 1
        for name, value in [*all_macros(), *self.config.macros.items()]:
            self.lines.append(name if names_only else value if self.no_labels else f"{name}={value}")
        return 0

    def show_environment(self) -> int:
        for name, value in self.environment.items():
            self.lines.append(name if self.no_labels else f"{name}={value}")
        return 0

    def show_file(self) -> int:
        self.lines.append(self.config.file)
        return 0

    def show_config(self) -> int:
        self.lines += format_config(self.config, self.admin, laid_out=not self.no_labels)
        return 0

    def show_local_scan(self) -> int:
        self.lines.append("local_scan() options are not supported")
        return 1

    # -- options

    def instance(self, instance: Instance) -> None:
        """Print the options of a driver instance, the generic ones first."""
        generic = declared(resolve(GENERIC_OPTIONS[instance.kind]))
        private = declared(type(instance.options))
        for infos in (generic, {n: i for n, i in private.items() if n not in generic}):
            for name in sorted(infos):
                if infos[name][1].style not in ("hidden", "pair"):
                    self.option(name, infos[name], instance.options, name in instance.hidden,
                                _DEFAULTS.get((instance.kind, name)), instance)

    def option(self, name: str, found: tuple[str, OptionInfo], holder: Any, hidden: bool,
               default: Callable[[Instance], Any] | None = None, instance: Instance | None = None) -> None:
        """Print one option."""
        field, info = found
        if hidden and not self.admin:
            self.lines.append(MASK if self.no_labels else f"{name} = {MASK}")
            return
        value = getattr(holder, field)
        if value is None and default is not None and instance is not None:
            value = default(instance)
        if info.kind is Kind.BOOL and not isinstance(value, str):
            self.lines.append(format_bool(name, bool(value)))
            return
        text = format_value(info, value)
        if instance is not None and name not in instance.set_places and text in ("0", "0s") and info.expanded:
            # A default of zero that stands for "unset".
            text = ""
        if text is None and (info.kind is Kind.FIXED or not self.no_labels):
            self.lines.append(f"{name} =")
        else:
            self.lines.append((text or "") if self.no_labels else f"{name} = {text}")


def format_value(info: OptionInfo, value: Any) -> str | None:
    """Return an option's value as -bP prints it; None where not even a space follows the equals sign."""
    if value is None:
        return None if info.kind is Kind.FIXED or info.style in ("uids", "gids") else ""
    if isinstance(value, str):
        if info.kind is Kind.TIME_LIST:
            times = [parse_time(item) or 0 for item in split_items(value)]
            return ":".join(map(format_time, times)) if times[:1] != [0] else ""  # 0s stands for none at all
        if info.style in ("uid", "gid"):
            return print_value(account_name(info.style, value))
        if info.style in ("uids", "gids"):
            return ":".join(account_name(info.style[:3], item) for item in split_items(value)) or None
        return print_value(value)
    if info.kind is Kind.TIME:
        return str(value) if info.style == "plain" else format_time(value)
    if info.kind is Kind.FIXED:
        return format_fixed(value)
    if info.kind is Kind.OCTAL:
        return format_octal(value)
    if info.style in ("K", "hidden"):
        return format_int_k(value)
    return format_size(value) if info.style == "kib" else str(value)


def account_name(style: str, text: str) -> str:
    """Return the name of a user ("uid") or group ("gid") given by number, other texts unchanged."""
    if not (text.isascii() and text.isdigit()):
        return text
    try:
        return pwd.getpwuid(int(text)).pw_name if style == "uid" else grp.getgrgid(int(text)).gr_name
    except (KeyError, OverflowError):
        return text


# -- defaults that depend on the other options of the instance

def _login_group(user: str | None) -> str | None:
    # A user given by number brings no group.
    if not user or "$" in user or (user.isascii() and user.isdigit()):
        return None
    try:
        return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except (KeyError, OverflowError):
        return None


def _retries_by_local_part(instance: Instance) -> bool:
    o = instance.options
    return bool(o.check_local_user or o.local_parts or o.condition or o.local_part_prefix or o.local_part_suffix
                or o.senders or o.require_files)


def _is_local(instance: Instance) -> bool:
    return bool(getattr(driver_class("transport", instance.driver_name), "is_local", instance.driver_name != "smtp"))


def _checks_owner(instance: Instance) -> bool:
    return bool(instance.options.check_local_user or instance.options.owners)


def _checks_group(instance: Instance) -> bool:
    o = instance.options
    return bool((o.check_local_user and not o.modemask & 0o020) or o.owngroups)


_MBOX_PREFIX: Final = "From ${if def:return_path{$return_path}{MAILER-DAEMON}} ${tod_bsdinbox}\n"
_NAME_EXTRACT: Final = (r"${if and {{match{$host}{.outlook.com\$}} {match{$item}{\N^250-([\w.]+)\s\N}}} {$1}}")


def _separates(instance: Instance) -> bool:
    """Tell whether messages are written one after another, with a separator, to a file or a pipe."""
    o = instance.options
    if instance.driver_name == "appendfile" and (o.maildir_format or o.mailstore_format):
        return False
    return not o.use_bsmtp


def _writes_mbox(instance: Instance) -> bool:
    return instance.driver_name == "appendfile" and _separates(instance) and not instance.options.directory


def _locks_as_mbx(instance: Instance) -> bool:
    """Tell whether an appendfile transport uses MBX locking: told so, or where no lock is named."""
    if "use_mbx_lock" in instance.set_places:
        return bool(instance.options.use_mbx_lock)
    return bool(instance.options.mbx_format) and not any(
        name in instance.set_places for name in ("use_fcntl_lock", "use_flock_lock", "use_lockfile"))


_DEFAULTS: Final[dict[tuple[str, str], Callable[[Instance], Any]]] = {
    ("router", "group"): lambda i: _login_group(i.options.user),
    ("router", "log_as_local"): lambda i: i.driver_name == "accept",
    ("router", "retry_use_local_part"): _retries_by_local_part,
    ("router", "command_group"): lambda i: _login_group(i.options.command_user),
    ("router", "check_owner"): _checks_owner,
    ("router", "check_group"): _checks_group,
    ("transport", "check_string"): lambda i: "." if i.options.use_bsmtp else "From " if _writes_mbox(i) else None,
    ("transport", "escape_string"): lambda i: ".." if i.options.use_bsmtp else ">From " if _writes_mbox(i) else None,
    ("transport", "message_prefix"): lambda i: _MBOX_PREFIX if _separates(i) else None,
    ("transport", "message_suffix"): lambda i: "\n" if _separates(i) else None,
    ("transport", "directory_file"): lambda i: "q${base62:$tod_epoch}-$inode",
    ("transport", "maildir_quota_directory_regex"): lambda i: r"^(?:cur|new|\..*)$",
    ("transport", "use_fcntl_lock"): lambda i: not i.options.use_flock_lock,
    ("transport", "use_lockfile"): lambda i: not (i.options.mbx_format and _locks_as_mbx(i)),
    ("transport", "use_mbx_lock"): _locks_as_mbx,
    ("transport", "temp_errors"): lambda i: "75:73",
    ("transport", "helo_data"): lambda i: "$primary_hostname",
    ("transport", "host_name_extract"): lambda i: _NAME_EXTRACT,
    ("transport", "hosts_request_ocsp"): lambda i: "*",
    ("transport", "protocol"): lambda i: "smtp",
    ("transport", "port"): lambda i: {"lmtp": "lmtp", "smtps": "smtps"}.get(i.options.protocol, "smtp"),
    ("transport", "group"): lambda i: _login_group(i.options.user),
    ("transport", "retry_use_local_part"): _is_local,
}

_WORDS: Final[dict[str, Callable[[_Show], int]]] = {
    "all": _Show.main_options,
    "config": _Show.show_config,
    "configure_file": _Show.show_file,
    "config_file": _Show.show_file,
    "environment": _Show.show_environment,
    "local_scan": _Show.show_local_scan,
    "macros": lambda s: s.macros(names_only=False),
    "macro_list": lambda s: s.macros(names_only=True),
    "routers": lambda s: s.all_instances("router"),
    "transports": lambda s: s.all_instances("transport"),
    "authenticators": lambda s: s.all_instances("authenticator"),
    "router_list": lambda s: s.instance_names("router"),
    "transport_list": lambda s: s.instance_names("transport"),
    "authenticator_list": lambda s: s.instance_names("authenticator"),
}


def format_config(config: Configuration, admin: bool, *, laid_out: bool = True) -> list[str]:
    """Return the configuration as it was parsed: without comments, macros and inclusions resolved.

    Not ``laid_out``: without indentation and empty lines.
    """
    out = [f"# Exim Configuration ({config.main.exim_version})", f'# 1 "{config.file}"']
    indent, drivers, in_acl = "", False, False
    for raw in config.lines:
        line = _squeezed(raw, not in_acl)
        if not admin:
            line = _masked(line)
        if not laid_out:
            out.append(line)
            continue
        if line[:6].lower() == "begin ":
            out += ["", line]
            section = line[6:].strip(SPACE).lower()
            indent, drivers, in_acl = "  ", section in _WITH_NAMES, section == "acl"
            continue
        end = word_end(line) if drivers else 0
        if end and line[end:].lstrip(SPACE) == ":":
            out += ["", "  " + line]
            indent = "    "
        else:
            out.append(indent + line)
    return out


def _squeezed(line: str, quotes: bool) -> str:
    """Return a line with its runs of white space made one space.

    With ``quotes`` a value that begins with a double quote keeps those up to its last one.
    """
    if quotes and '"' in line:
        head, equals, value = line.partition("=")
        value = value.lstrip(SPACE)
        if equals and value.startswith('"'):
            close = value.rfind('"') + 1
            return f"{' '.join(words(head))} = {value[:close]}{' '.join(words(value[close:]))}"
    return " ".join(words(line))


_WITH_NAMES: Final = ("acl", "routers", "transports", "authenticators")


def _masked(line: str) -> str:
    """Return a line with what follows "hide", or the value of a macro, made unreadable."""
    if line[0] in UPPER and is_definition(line):
        return f"{line[:word_end(line)]} = {MASK}"
    text, hide = split_hide(line)
    if not hide:
        return line
    head, equals, _ = text.partition("=")
    return f"hide {head}= {MASK}" if equals else MASK
