"""What a configuration leaves open and the machine or the build decides; sense checks of the main options.

Spec: chapter "Main configuration", the options named below.
"""

from __future__ import annotations

import grp
import os
from collections.abc import Callable
from typing import Any, Final

from pyexim import EXIM_VERSION
from pyexim.base.errors import ConfigError, ExpansionError, Place
from pyexim.config.configuration import Configuration
from pyexim.config.openssl import parse_options
from pyexim.config.pace import parse_pace
from pyexim.config.table import REGEX_FAULT, resolve
from pyexim.config.values import scan_int, split_items
from pyexim.log import selectors
from pyexim.privs import find_user

_FACILITIES: Final = frozenset({
    "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "syslog", "user", "uucp",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"})
_MAX_HOST_NUMBER: Final = 16
_DEBIAN_USER: Final = "Debian-exim"


def finish(config: Configuration, settings: Any, expand: Callable[[str], str],
           fault: Callable[[ConfigError], None]) -> None:
    """Fill in the defaults that are not constants, and report impossible settings to ``fault``.

    ``settings`` are the build-time settings, None for those of this program; ``expand`` expands what
    is needed before anything else runs (spool_directory and the like).
    """
    if settings is None:
        from pyexim import settings
    main = config.main
    if main.primary_hostname is None:
        main.primary_hostname = primary_hostname()
    if main.qualify_domain is None:
        main.qualify_domain = main.primary_hostname
    if main.qualify_recipient is None:
        main.qualify_recipient = main.qualify_domain
    if main.exim_user is None:
        main.exim_user = _exim_user(settings.EXIM_USER)
        if main.exim_group is None:
            main.exim_group = settings.EXIM_GROUP or _login_group(main.exim_user)
    if main.exim_group is None:
        main.exim_group = settings.EXIM_GROUP or _login_group(main.exim_user)
    if main.spool_directory is None:
        main.spool_directory = settings.SPOOL_DIRECTORY
    if main.log_file_path is None:
        main.log_file_path = settings.LOG_FILE_PATH
    if main.pid_file_path is None:
        main.pid_file_path = settings.PID_FILE_PATH
    if main.exim_path is None:
        main.exim_path = settings.PROGRAM
    if main.exim_version is None:
        main.exim_version = EXIM_VERSION
    if main.local_interfaces is None:
        main.local_interfaces = "<; ::0 ; 0.0.0.0"
    # Older names of the same settings.
    if main.return_size_limit is not None:
        main.bounce_return_size_limit = main.return_size_limit
    if main.daemon_smtp_port is not None:
        main.daemon_smtp_ports = main.daemon_smtp_port
    main.return_size_limit = main.bounce_return_size_limit
    main.daemon_smtp_port = main.daemon_smtp_ports
    main.remote_max_parallel = max(main.remote_max_parallel, 1)
    _expand_paths(config, expand, fault)
    if main.process_log_path is None:
        main.process_log_path = f"{main.spool_directory}/exim-process.info"
    for text, option in _contradictions(config):
        fault(ConfigError(text, config.set_places.get(option), option))
    _check_numbers(config, expand, fault)


def _exim_user(built_in: str) -> str:
    """Return the built-in exim user, or that of Debian's packages where only that one exists."""
    return next((name for name in (built_in, _DEBIAN_USER) if find_user(name) is not None), built_in)


def _login_group(user: str) -> str | None:
    found = find_user(user)
    if found is None or found[2] < 0:
        return None
    try:
        return grp.getgrgid(found[2]).gr_name
    except KeyError:
        return str(found[2])


def primary_hostname() -> str:
    """Return this host's name: that of uname(), made complete by a lookup when it has no dot."""
    name = os.uname().nodename
    if "." in name or not name:
        return name
    # The C module: importing the Python one around it costs more than reading a configuration.
    import _socket

    try:
        found = _socket.getaddrinfo(name, None, 0, _socket.SOCK_STREAM, 0, _socket.AI_CANONNAME)
    except OSError:
        return name
    for *_, canonical, _address in found:
        if canonical:
            return str(canonical)
    return name


def _expand_paths(config: Configuration, expand: Callable[[str], str],
                  fault: Callable[[ConfigError], None]) -> None:
    main = config.main
    for option in ("spool_directory", "log_file_path", "pid_file_path"):
        text = getattr(main, option)
        if text and "$" in text:
            try:
                setattr(main, option, expand(text))
            except ExpansionError as e:
                fault(ConfigError(f'failed to expand {option} "{text}": {e.text}', _place(config, option), option))
    if not main.spool_directory:
        fault(ConfigError("spool_directory undefined: cannot proceed", _place(config, "spool_directory"),
                          "spool_directory"))
    wrong = _log_path_fault(main.log_file_path or "")
    if wrong:
        fault(ConfigError(wrong, _place(config, "log_file_path"), "log_file_path"))


def _log_path_fault(text: str) -> str | None:
    """Return what is wrong with log_file_path."""
    # No changed separators in this list.
    paths = [p.strip() for p in text.split(":")]
    files = [p for p in paths if p and p != "syslog"]
    return next((wrong for path in files if (wrong := _log_name_fault(path)) is not None), None)


def _log_name_fault(path: str) -> str | None:
    at = path.find("%s")
    if at < 0:
        return f'log_file_path "{path}" does not contain "%s"'
    rest = path[:at] + path[at + 2:]
    for stamp in ("%D", "%M"):
        rest = rest.replace(stamp, "", 1)
    if "%" in rest:
        return f'log_file_path "{path}" contains unexpected "%" character'
    return None


def _contradictions(config: Configuration) -> list[tuple[str, str]]:
    main = config.main
    out = []
    if main.local_from_check and main.local_sender_retain:
        out.append(("both local_from_check and local_sender_retain are set; this combination is not allowed",
                    "local_sender_retain"))
    try:
        selectors.parse(main.log_selector)
    except ValueError as e:
        out.append((str(e), "log_selector"))
    if main.syslog_facility is not None and main.syslog_facility.lower().removeprefix("log_") not in _FACILITIES:
        out.append((f'failed to interpret syslog_facility "{main.syslog_facility}"', "syslog_facility"))
    if main.errors_reply_to is not None:
        # seldom set, and its expressions take a while to compile
        from pyexim.mailfmt.address import parse_address

        parsed = parse_address(main.errors_reply_to)
        if parsed.error is not None:
            out.append((f"error in errors_reply_to ({main.errors_reply_to}): {parsed.error}", "errors_reply_to"))
        elif not parsed.domain_at:
            out.append((f"errors_reply_to ({main.errors_reply_to}) does not contain a domain", "errors_reply_to"))
    patterns = [("uucp_from_pattern", main.uucp_from_pattern)] if "uucp_from_pattern" in config.set_places else []
    if main.gecos_name is not None and main.gecos_pattern is not None:
        patterns.append(("gecos_pattern", main.gecos_pattern))
    patterns += [("keep_environment", item) for item in split_items(main.keep_environment or "") if item[:1] == "^"]
    for option, pattern in patterns:
        fault = resolve(REGEX_FAULT)(pattern)
        if fault is not None:
            out.append((fault, option))
    for option in ("smtp_ratelimit_mail", "smtp_ratelimit_rcpt"):
        text = getattr(main, option)
        if text is not None and parse_pace(text) is None:
            out.append((f"malformed ratelimit data: {text}", option))
    if main.tls_dh_max_bits < 1024:
        out.append(("tls_dh_max_bits is too small, must be at least 1024 for interop", "tls_dh_max_bits"))
    if main.openssl_options is not None and parse_options(main.openssl_options) is None:
        out.append((f"openssl_options parse error: {main.openssl_options}", "openssl_options"))
    return out


def _check_numbers(config: Configuration, expand: Callable[[str], str],
                   fault: Callable[[ConfigError], None]) -> None:
    """Check localhost_number, which is expanded when the configuration is read."""
    main = config.main
    text = main.localhost_number
    if not text:
        return
    try:
        text = expand(text) if "$" in text else text
    except ExpansionError as e:
        fault(ConfigError(f'failed to expand localhost_number "{text}": {e.text}',
                          _place(config, "localhost_number"), "localhost_number"))
        return
    text = text.strip()
    wrong = None
    value, end = scan_int(text) or (0, -1)
    if end != len(text):
        wrong = f"localhost_number value is not a number: {text}"
    elif value > _MAX_HOST_NUMBER:
        wrong = f"localhost_number is greater than the maximum allowed value ({_MAX_HOST_NUMBER})"
    if wrong:
        fault(ConfigError(wrong, _place(config, "localhost_number"), "localhost_number"))
    else:
        main.localhost_number = str(value)


def _place(config: Configuration, option: str) -> Place | None:
    return config.set_places.get(option)
