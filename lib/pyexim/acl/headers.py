"""Header lines that ACLs add and remove: collecting, checking, and what $headers_added shows.

Spec: sections "Adding header lines in ACLs" and "Removing header lines in ACLs".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pyexim.acl.controls import AFTER_RECEIVED, AT_END, AT_START, AT_START_RFC, AddedHeader
from pyexim.acl.table import BY_NAME
from pyexim.acl.where import NON_SMTP
from pyexim.base.pattern import lazy_pattern
from pyexim.base.taint import like
from pyexim.expand.lists import split_list

if TYPE_CHECKING:
    from pyexim.acl.run import AclRun

_POSITIONS: Final = {":after_received:": AFTER_RECEIVED, ":at_start_rfc:": AT_START_RFC, ":at_start:": AT_START,
                     ":at_end:": AT_END}
_NAME: Final = lazy_pattern(r"[!-9;-~]+:", re.ASCII)
_LINES: Final = lazy_pattern(r"[^\n]*\n(?:[ \t][^\n]*\n)*", re.ASCII)


def add(run: AclRun, text: str) -> None:
    """Add the header lines of a text, each line that is no header field with "X-ACL-Warn: " before it.

    The same line is added only once until the lines are taken (before the DATA ACL, and after it).
    """
    body = text.strip("\n")
    if not body:
        return
    body = body.replace("\r\n", "\n") + "\n"
    waiting = run.controls.headers_add
    position = AT_END
    for match in _LINES.finditer(body):
        line = match.group()
        position = AT_END
        for prefix, where in _POSITIONS.items():
            if line.startswith(prefix):
                position, line = where, line[len(prefix):].lstrip(" \t")
                break
        if not _NAME.match(line):
            line = "X-ACL-Warn: " + line
        if any(h.text == line and h.position == position for h in waiting):
            continue
        line = like(line, text)
        waiting.append(AddedHeader(line, position))
        run.scope.headers_added.append(line)


def remove(run: AclRun, names: str) -> None:
    """Note the names of header lines to be removed; patterns and a changed separator are kept."""
    for name in split_list(names):
        if name:
            run.controls.headers_remove.append(name)


def warn_message(run: AclRun, text: str) -> None:
    """Do what ``message`` on ``warn`` does: add a header line where a message is being received."""
    if run.where in BY_NAME["add_header"].forbidden and run.where not in NON_SMTP:
        from pyexim.acl.run import where_name
        run.scope.services.log.panic(
            f"ACL \"warn\" with \"message\" setting found in a non-message ({where_name(run.where)}) ACL: "
            "cannot specify header lines here: message ignored")
        return
    add(run, text)
