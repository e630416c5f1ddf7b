"""The modifiers, but for ``control``: texts, logs, variables, delays, header lines, queues, datagrams.

Spec: section "ACL modifiers".
"""

from __future__ import annotations

import os
import re
from typing import Final

from pyexim.acl import headers
from pyexim.acl.compiler import Build, with_argument
from pyexim.acl.parser import Item
from pyexim.acl.run import IGNORED, OK, AclRun, Step, where_name
from pyexim.base.octets import SPACE, lstrip, strip
from pyexim.base.pattern import lazy_pattern
from pyexim.expand.engine import is_literal
from pyexim.expand.lists import split_list
from pyexim.model.message import Message

_TIME: Final = lazy_pattern(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", re.ASCII)
_UNITS: Final = (604800, 86400, 3600, 60, 1)
_LOGS: Final = ("main", "panic", "reject")


def parse_time(text: str) -> int | None:
    """Return the seconds that a time interval ("1h30m") stands for, None where it is none."""
    match = _TIME.fullmatch(text)
    if match is None or not text:
        return None
    return sum(int(n) * unit for n, unit in zip(match.groups(), _UNITS) if n is not None)


def message(item: Item, build: Build) -> Step:
    """Make the step that sets the text for the client."""
    source: str = item.argument

    def step(run: AclRun) -> int:
        run.message = source
        return OK
    return step


def log_message(item: Item, build: Build) -> Step:
    """Make the step that sets the text for the log."""
    source: str = item.argument

    def step(run: AclRun) -> int:
        run.log_message = source
        return OK
    return step


def endpass(item: Item, build: Build) -> Step:
    """Make the step after which a failing condition means refusal."""
    def step(run: AclRun) -> int:
        run.endpass = True
        return OK
    return step


def continue_(item: Item, build: Build) -> Step:
    """Make the step that only expands its argument."""
    return with_argument(item, lambda run, value: OK)


def set_(item: Item, build: Build) -> Step:
    """Make the step that sets an ACL variable."""
    name, source = item.variable, item.argument
    literal = is_literal(source)
    if name.startswith("dkim_"):
        def set_dkim(run: AclRun, value: str) -> int:
            run.scope.vars[name] = value
            return OK
        return with_argument(item, set_dkim)
    connection = name[0] == "c"

    def step(run: AclRun) -> int:
        value = source if literal else run.expand(source)
        if value.__class__ is int:
            return value
        scope = run.scope
        if connection and scope.conn is not None:
            scope.conn.acl_c[name] = value  # type: ignore[assignment]
        else:
            if scope.message is None:
                scope.message = Message()
            scope.message.acl_m[name] = value  # type: ignore[assignment]
        return OK
    return step


def delay(item: Item, build: Build) -> Step:
    """Make the step that waits.

    Output is flushed first by ``scope.facts["flush"]()``, which reception provides; -bh does not wait.
    """
    def wait(run: AclRun, value: str) -> int:
        seconds = parse_time(value)
        if seconds is None:
            return run.error(f'syntax error in argument for "delay" modifier: "{value}" is not a time value')
        scope = run.scope
        if scope.conn is not None and scope.conn.host_checking:
            if run.trace is not None:
                run.trace.write(0, f"delay modifier requests {seconds}-second delay")
                run.trace.write(0, "delay skipped in -bh checking mode")
            return OK
        if seconds > 0:
            flush = scope.facts.get("flush")
            if flush is not None and run.controls.delay_flush:
                flush()
            scope.services.clock.sleep(seconds)
        return OK
    return with_argument(item, wait)


def logwrite(item: Item, build: Build) -> Step:
    """Make the step that writes to the logs at once."""
    def write(run: AclRun, value: str) -> int:
        targets = {"main"}
        text = value
        if text.startswith(":"):
            names, colon, rest = text[1:].partition(":")
            wanted = [strip(n) for n in names.split(",")]
            if not colon or any(n not in _LOGS for n in wanted):
                run.scope.services.log.panic(
                    f'unknown log name in "{value}" in "logwrite" in {where_name(run.where)} ACL')
                return OK
            targets, text = set(wanted), rest
        write_logs(run, lstrip(text), targets)
        return OK
    return with_argument(item, write)


def write_logs(run: AclRun, text: str, targets: set[str] | frozenset[str]) -> None:
    """Write a line to each of the named logs."""
    log = run.scope.services.log
    text = text.replace("\n", "\\n")
    message = run.scope.message
    message_id = message.message_id if message is not None else None
    if "reject" in targets:
        log.reject(text, message_id=message_id, also_main="main" in targets)
    elif "main" in targets and "panic" not in targets:
        log.main(text, message_id=message_id)
    if "panic" in targets:
        log.panic(text, message_id=message_id, also_main="main" in targets and "reject" not in targets)


def log_reject_target(item: Item, build: Build) -> Step:
    """Make the step that chooses the logs of a rejection by this ACL."""
    def choose(run: AclRun, value: str) -> int:
        targets: set[str] = set()
        message, known = run.scope.message, True
        for name in split_list(value):
            if name in _LOGS:
                targets.add(name)
            else:
                known = False
                run.scope.services.log.panic(
                    f'unknown log name "{name}" in "log_reject_target" in {where_name(run.where)} ACL',
                    message_id=message.message_id or None if message is not None else None)
        if known or targets:
            run.reject_targets = frozenset(targets)
        return OK
    return with_argument(item, choose)


def add_header(item: Item, build: Build) -> Step:
    """Make the step that adds header lines."""
    def add(run: AclRun, value: str) -> int:
        headers.add(run, value)
        return OK
    return with_argument(item, add)


def remove_header(item: Item, build: Build) -> Step:
    """Make the step that removes header lines."""
    def remove(run: AclRun, value: str) -> int:
        headers.remove(run, value)
        return OK
    return with_argument(item, remove)


def queue(item: Item, build: Build) -> Step:
    """Make the step that names the queue of the message."""
    def choose(run: AclRun, value: str) -> int:
        if "/" in value:
            return run.error(f"Directory separator not permitted in queue name: '{value}'")
        if run.scope.message is not None:
            run.scope.message.queue_name = str(value)
        return OK
    return with_argument(item, choose)


def udpsend(item: Item, build: Build) -> Step:
    """Make the step that sends a datagram; a failure to send is logged where it matters, and ignored."""
    def send(run: AclRun, value: str) -> int:
        parts = _udp_parts(value)
        if len(parts) < 1 or not parts[0]:
            return run.error('missing destination host in "udpsend" modifier')
        if len(parts) < 2 or not parts[1]:
            return run.error('missing destination port in "udpsend" modifier')
        if len(parts) < 3:
            return run.error('missing datagram content in "udpsend" modifier')
        host, port, content = parts
        if not re.fullmatch(r"\d{1,5}", port, re.ASCII) or int(port) > 65535:
            return run.error('bad destination port in "udpsend" modifier')
        import socket  # heavy, and seldom used

        from pyexim.routers.finding import log_nothing  # as a router logs it

        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
        except (socket.gaierror, UnicodeError):
            log_nothing(host, run.scope)
            return run.error('DNS lookup failed in "udpsend" modifier')
        conn = run.scope.conn
        if conn is not None and conn.host_checking:
            return OK
        try:
            with socket.socket(family, kind, protocol) as sock:
                sock.sendto(content.encode("latin-1"), address)
        except OSError as e:
            run.log_msg = (f'"udpsend" failed to send to {host}:{port}: {os.strerror(e.errno or 0)}')
            return IGNORED
        return OK
    return with_argument(item, send)


def _udp_parts(value: str) -> list[str]:
    """Split "host : port : content" with a changeable separator; the content keeps its separators' meaning."""
    text = lstrip(value)
    separator = ":"
    if text.startswith("<") and len(text) > 1:
        separator, text = text[1], text[2:]
    parts = text.split(separator, 2) if separator != ":" or not text.startswith("[") else split_list(value)
    return [p.strip(SPACE) for p in parts]
