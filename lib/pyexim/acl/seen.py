"""The condition ``seen``: has this key been met before?  Remembered in the hints.

Spec: section "Previously seen user and hosts".
"""

from __future__ import annotations

from typing import Final

from pyexim.acl.compiler import Build, with_argument
from pyexim.acl.modifiers import parse_time
from pyexim.acl.parser import Item
from pyexim.acl.run import FAIL, OK, AclRun, Step
from pyexim.base.octets import SPACE
from pyexim.base.record import dataclass
from pyexim.expand.lists import split_list

DATABASE: Final = "seen"
REFRESH: Final = 10 * 86400


class _Wrong(Exception):
    """The arguments are wrong; the text is Exim's."""


@dataclass(slots=True)
class Parameters:
    """What the argument says."""

    interval: int
    before: bool
    """With a minus sign: a record older than the interval is asked for."""
    key: str | None = None
    readonly: bool = False
    write: bool = False
    refresh: int = REFRESH


def parse_parameters(text: str) -> Parameters:
    """Read "[-]interval / options"; _Wrong."""
    first, *options = split_list("</" + text, "/") if text else [""]
    first = first.strip(SPACE)
    before = first.startswith("-")
    interval = parse_time(first[1:] if before else first)
    if interval is None:
        raise _Wrong(f"failed to parse '{text}'")
    out = Parameters(interval, before)
    for option in options:
        option = option.strip(SPACE)
        name, _, value = option.partition("=")
        if option.startswith("key="):
            out.key = value
        elif option == "readonly":
            out.readonly, out.write = True, False
        elif option == "write":
            out.readonly, out.write = False, True
        elif option.startswith("refresh="):
            refresh = parse_time(value)
            if refresh is None:
                raise _Wrong(f"failed to parse '{text}'")
            out.refresh = refresh
        elif option:
            raise _Wrong(f"unrecognised option '{name}' in '{text}'")
    return out


def seen(item: Item, build: Build) -> Step:
    """Make the step of ``seen = interval / options``."""
    def check(run: AclRun, value: str) -> int:
        try:
            parameters = parse_parameters(value)
        except _Wrong as e:
            return run.error(str(e))
        return _check(run, parameters)
    return with_argument(item, check)


def _check(run: AclRun, p: Parameters) -> int:
    scope = run.scope
    hints = scope.services.hints
    if hints is None:
        return run.deferred("database for 'seen' not available")
    key = p.key if p.key is not None else (scope.conn.sender_host_address or "" if scope.conn is not None else "")
    now = scope.services.clock.time()
    text = hints.get(DATABASE, key)
    try:
        stamp = float(text) if text is not None else None
    except ValueError:
        stamp = None
    found = stamp is not None
    answer = False
    if stamp is not None:
        age = now - stamp
        answer = age > p.interval if p.before else age <= p.interval
        if p.before and answer and not p.readonly and not p.write and age > p.interval + p.refresh:
            # The record would be tidied away: it gets the time that was tested for.
            hints.put(DATABASE, key, repr(now - p.interval), now)
    if p.write or (not p.readonly and (not found or not p.before)):
        hints.put(DATABASE, key, repr(now), now)
    return OK if answer else FAIL
