"""The conditions that compare with a list: domains, local_parts, hosts, senders, recipients and the like.

The matcher expands, splits and compiles the list, once per text.  Data of the match goes to the
variables that the section "ACL conditions" of the spec names.
"""

from __future__ import annotations

from pyexim.acl.compiler import Build
from pyexim.acl.parser import Item
from pyexim.acl.run import DEFER, FAIL, OK, AclRun, Step
from pyexim.base.taint import like
from pyexim.expand.base import restore_numeric, save_numeric
from pyexim.match import lists
from pyexim.match.lists import Match
from pyexim.model.connection import Connection

_NO_CONNECTION = Connection()


def _data(match: Match) -> str:
    """Return what a condition leaves in its variable, also where it is not true: nothing of an earlier one."""
    return match.value if match.found and match.value is not None else ""


def _outcome(run: AclRun, match: Match) -> int:
    if match.found:
        return OK
    if match.deferred:
        # A trouble that was reported where it happened is no text of the rejection too.
        return DEFER if match.reported else run.deferred(match.error)
    return FAIL


def domains(item: Item, build: Build) -> Step:
    """Make the step that tests the recipient's domain; sets $domain_data."""
    in_list = lists.domain_list(item.argument)

    def step(run: AclRun) -> int:
        variables = run.scope.vars
        match = in_list(variables.get("domain", ""), run.scope)
        variables["domain_data"] = _data(match)
        return _outcome(run, match)
    return step


def local_parts(item: Item, build: Build) -> Step:
    """Make the step that tests the recipient's local part; sets $local_part_data."""
    in_list = lists.local_part_list(item.argument)
    in_caseful_list = lists.local_part_list(item.argument, caseful=True)

    def step(run: AclRun) -> int:
        variables = run.scope.vars
        find = in_caseful_list if run.controls.caseful_local_part else in_list
        # +caseful in the list brings the original case back
        match = find(run.caseful_local_part or variables.get("local_part", ""), run.scope)
        variables["local_part_data"] = _data(match)
        return _outcome(run, match)
    return step


def hosts(item: Item, build: Build) -> Step:
    """Make the step that tests the client; sets $host_data."""
    in_list = lists.host_list(item.argument)

    def step(run: AclRun) -> int:
        scope = run.scope
        match = in_list(scope.conn or _NO_CONNECTION, scope)
        scope.vars["host_data"] = data = _data(match)
        if scope.message is not None:
            scope.message.host_data = data or None
        return _outcome(run, match)
    return step


def senders(item: Item, build: Build) -> Step:
    """Make the step that tests the envelope sender; sets $sender_data."""
    source = item.argument
    match_address = lists.match_address

    def step(run: AclRun) -> int:
        scope = run.scope
        message = scope.message
        match = match_address(message.sender_address if message is not None else "", source, scope)
        scope.vars["sender_data"] = data = _data(match)
        if message is not None:
            message.sender_data = data or None
        return _outcome(run, match)
    return step


def sender_domains(item: Item, build: Build) -> Step:
    """Make the step that tests the domain of the envelope sender; $domain stays the recipient's."""
    in_list = lists.domain_list(item.argument)

    def step(run: AclRun) -> int:
        message = run.scope.message
        sender = message.sender_address if message is not None else ""
        domain = like(sender.rpartition("@")[2] if "@" in sender else "", sender)
        return _outcome(run, in_list(domain, run.scope))
    return step


def recipients(item: Item, build: Build) -> Step:
    """Make the step that tests the recipient's whole address; sets $recipient_data."""
    source = item.argument
    match_address = lists.match_address

    def step(run: AclRun) -> int:
        match = match_address(run.recipient or "", source, run.scope)
        run.scope.vars["recipient_data"] = _data(match)
        return _outcome(run, match)
    return step


def _in_strings(run: AclRun, subject: str, source: str) -> int:
    """Match a string; what its patterns capture is not seen afterwards, other than with names and addresses."""
    saved = save_numeric(run.scope)
    match = lists.match_string(subject, source, run.scope)
    restore_numeric(run.scope, saved)
    return _outcome(run, match)


def authenticated(item: Item, build: Build) -> Step:
    """Make the step that tests the name of the authenticator that let the client in."""
    source = item.argument

    def step(run: AclRun) -> int:
        conn = run.scope.conn
        if conn is None or not conn.sender_host_authenticated:
            return FAIL
        return _in_strings(run, conn.sender_host_authenticated, source)
    return step


def encrypted(item: Item, build: Build) -> Step:
    """Make the step that tests the cipher of the connection."""
    source = item.argument

    def step(run: AclRun) -> int:
        conn = run.scope.conn
        if conn is None or not conn.tls_in.active:
            return FAIL
        return _in_strings(run, conn.tls_in.cipher or "", source)
    return step


def atrn_domains(item: Item, build: Build) -> Step:
    """Make the step that tests the domains asked for by ATRN, an extension that is not there yet."""
    def step(run: AclRun) -> int:
        return run.error('the condition "atrn_domains" needs the ATRN extension, which is not there yet')
    return step
