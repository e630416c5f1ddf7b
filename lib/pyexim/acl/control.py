"""The modifier ``control``: parses what is asked for, checks the place, records it in AclControls.

Spec: section "Use of the control modifier".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pyexim.acl.compiler import Build, with_argument
from pyexim.acl.controls import FAKE_TEXT
from pyexim.acl.parser import Item
from pyexim.acl.run import OK, AclRun, Step, where_name
from pyexim.acl.table import CONTROLS_BY_NAME, ControlRow
from pyexim.base.octets import lower
from pyexim.base.taint import like
from pyexim.model.address import unquoted

Apply = Callable[[AclRun, ControlRow, str, str], int]


def control(item: Item, build: Build) -> Step:
    """Make the step of one control."""
    return with_argument(item, _apply)


def _apply(run: AclRun, text: str) -> int:
    name, slash, rest = text.partition("/")
    row = CONTROLS_BY_NAME.get(name)
    if row is None or (slash and not row.options):
        return run.error(f'syntax error in "control={text}"')
    if run.where in row.forbidden:
        return run.error(f'cannot use "control={row.error_name or row.name}" in {where_name(run.where)} ACL')
    return _FUNCTIONS[row.apply](run, row, like(rest, text), text)


def _syntax(run: AclRun, text: str) -> int:
    return run.error(f'syntax error in "control={text}"')


def _switch(run: AclRun, row: ControlRow, rest: str, text: str) -> int:
    setattr(run.controls, row.field, row.value)
    return OK


def _local_part_case(run: AclRun, row: ControlRow, rest: str, text: str) -> int:
    run.controls.caseful_local_part = bool(row.value)
    if run.recipient is not None:
        local_part = unquoted(run.recipient.rpartition("@")[0] if "@" in run.recipient else run.recipient)
        value = local_part if row.value else lower(local_part)
        run.scope.vars["local_part"] = like(value, run.recipient)
    return OK


def _cutthrough(run: AclRun, row: ControlRow, rest: str, text: str) -> int:
    controls = run.controls
    for option in rest.split("/") if rest else ():
        name, _, value = option.partition("=")
        if name == "defer":
            controls.cutthrough_defer_pass = value == "pass"
    controls.cutthrough = True
    return OK


def _debug(run: AclRun, row: ControlRow, rest: str, text: str) -> int:
    conn, start = run.scope.conn, run.scope.facts.get("debug_control")
    if start is None or (conn is not None and conn.host_checking):
        return OK  # -bh, and what has no session: debugging output goes to standard error there, where -d asks for it
    debug = start(rest)
    run.trace = None
    if debug is not None and debug.selected("acl"):
        from pyexim.acl.trace import Trace  # only where something is shown
        run.trace = Trace(debug)
    return OK


def _dscp(run: AclRun, row: ControlRow, rest: str, text: str) -> int:
    from pyexim.net.connect import dscp_value  # sockets: only where this control is used
    if dscp_value(rest) is None:
        conn = run.scope.conn
        if conn is not None and conn.host_checking:
            return OK  # there is no socket, and Exim does not look at the value then
        return run.error(f'unrecognised DSCP value in "control={text}"')
    run.controls.dscp = rest
    return OK


def _fake(run: AclRun, row: ControlRow, rest: str, text: str) -> int:
    run.controls.fake_code = int(str(row.value))
    run.controls.fake_text = rest or FAKE_TEXT
    return OK


def _freeze(run: AclRun, row: ControlRow, rest: str, text: str) -> int:
    if rest not in ("", "no_tell"):
        return _syntax(run, text)
    controls = run.controls
    controls.freeze_no_tell = bool(rest) and (controls.freeze_no_tell or not controls.freeze)
    controls.freeze = True
    return OK


def _queue(run: AclRun, row: ControlRow, rest: str, text: str) -> int:
    run.controls.queue_only = True
    if rest.startswith("first_pass_route"):
        run.controls.queue_first_pass = True
    return OK


def _submission(run: AclRun, row: ControlRow, rest: str, text: str) -> int:
    controls = run.controls
    retain, domain, name = False, None, None
    while rest:
        if rest == "sender_retain" or rest.startswith("sender_retain/"):
            retain, rest = True, rest[len("sender_retain"):].removeprefix("/")
        elif rest.startswith("domain="):
            domain, _, rest = rest[7:].partition("/")
        elif rest.startswith("name="):
            # A name may contain a slash: it extends to the end.
            name, rest = rest[5:], ""
        else:
            return _syntax(run, text)
    controls.submission = True
    controls.submission_sender_retain = controls.submission_sender_retain or retain
    controls.submission_domain = controls.submission_domain if domain is None else like(domain, text)
    controls.submission_name = controls.submission_name if name is None else like(name, text)
    return OK


def _utf8_downconvert(run: AclRun, row: ControlRow, rest: str, text: str) -> int:
    value = {"": 1, "1": 1, "0": 0, "-1": -1}.get(rest)
    if value is None:
        return run.error("bad option value for control=utf8_downconvert")
    run.controls.utf8_downconvert = value
    if run.scope.message is not None:
        run.scope.message.utf8_downconvert = value
    return OK


def _wellknown(run: AclRun, row: ControlRow, rest: str, text: str) -> int:
    return run.error("the WELLKNOWN extension is not there yet")


_FUNCTIONS: Final[dict[str, Apply]] = {
    "switch": _switch, "local_part_case": _local_part_case, "cutthrough": _cutthrough, "debug": _debug,
    "dscp": _dscp, "fake": _fake, "freeze": _freeze, "queue": _queue, "submission": _submission,
    "utf8_downconvert": _utf8_downconvert, "wellknown": _wellknown}
