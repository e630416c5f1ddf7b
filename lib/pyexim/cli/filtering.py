"""Testing filters: -bf, -bF and their helpers -bfd, -bfl, -bfp, -bfs.

A message is read from standard input; the filter is run against it, and what it would do is told.  A file that is no
filter is read as a redirection list.  Spec: chapter "The Exim command line"; the filter document, "Testing a new
filter file".
"""

from __future__ import annotations

import os
import pwd
import sys

from pyexim.base.octets import lower
from pyexim.base.record import replace
from pyexim.base.taint import taint
from pyexim.cli.testing import write
from pyexim.expand.scope import Scope
from pyexim.filters.testing import test_filter
from pyexim.model.address import Address
from pyexim.model.connection import Connection
from pyexim.model.message import Recipient
from pyexim.privs import drop_to_caller
from pyexim.receive.testing import TestMessage, message_of_data
from pyexim.routers.redirection import ListRules, RedirectionError, is_filter, parse_redirection
from pyexim.startup.options import UsageError
from pyexim.startup.preload import before_changing_user
from pyexim.startup.process import Process
from pyexim.startup.submission import apply_om, sender_of, submission_of
from pyexim.startup.work import make_receive_run


def test_filters(process: Process) -> int:
    """-bf, -bF: the exit code is 1 where a filter is wrong."""
    command, me = process.command, process.identity
    before_changing_user()
    drop_to_caller(me.uid, me.gid)
    files = {name: _open(name) for name in (command.system_filter, command.filter) if name is not None}
    scope, test = _scope(process, sys.stdin.buffer.read())
    assert scope.address is not None
    _introduce(process, scope.address, test)
    if command.system_filter is not None:
        scope.facts["enable_dollar_recipients"] = True
        if not _test(command.system_filter, files[command.system_filter], scope, system=True):
            return 1
        scope.facts.pop("enable_dollar_recipients")
        assert scope.message is not None
        for number in range(10):
            scope.message.filter_numbers[f"sn{number}"] = scope.vars.pop(f"n{number}", "0")
    if command.filter is not None and not _test(command.filter, files[command.filter], scope, system=False):
        return 1
    return 0


def _open(name: str) -> int:
    try:
        return os.open(name.encode("latin-1"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError as e:
        raise UsageError(f"exim: failed to open {name}: {e.strerror}") from None


def _read(fd: int, name: str) -> str:
    try:
        with os.fdopen(fd, "rb") as f:
            return f.read().decode("latin-1")
    except OSError as e:
        raise UsageError(f"exim: error while reading {name}: {e.strerror}") from None


# -- the message

def _scope(process: Process, data: bytes) -> tuple[Scope, TestMessage]:
    """Return the scope of the message on standard input, as it is for the user that the filter is tested for."""
    command, me, main = process.command, process.identity, process.config.main
    conn = Connection(kind="local", submitter_trusted=True, sender_ident=me.login)
    apply_om(conn, command.oma, process)
    sender = sender_of(process, testing=True)
    run = make_receive_run(process, lambda message_id, queue: None)
    submission = replace(submission_of(process, sender), recipients=[], dot_ends=True)
    test = message_of_data(data, submission, conn, run)
    message, scope = test.message, test.scope
    qualify = main.qualify_recipient or main.qualify_domain or process.services.primary_hostname
    local_part = command.filter_local_part or me.login
    address = Address("", taint(local_part), taint(lower(command.filter_domain or qualify)))
    address.prefix, address.suffix = command.filter_prefix, command.filter_suffix
    address.address = address.unique = (
        f"{address.prefix}{address.local_part}{address.suffix}@{address.domain}")
    try:
        address.home_dir = pwd.getpwuid(me.uid).pw_dir
    except KeyError:
        address.home_dir = os.environ.get("HOME")
    message.recipients = [Recipient(address.address)]
    message.first_delivery = message.deliver_firsttime = True
    message.received_count = 1
    scope.message, scope.address, scope.is_delivery = message, address, True
    return scope, test


def _introduce(process: Process, address: Address, test: TestMessage) -> None:
    """Say where the envelope comes from."""
    message, command, paths = test.message, process.command, test.return_paths
    text = ""
    if not test.has_header:
        text += "Warning: no message headers read\n"
    if test.from_line and command.sender is None:
        text += 'Sender taken from "From " line\n'
    for path in paths:
        text += 'Return-path taken from "Return-path:" header line\n'
        address.errors_address = "" if path == "<>" else path
    if paths:
        text += f"Return-path = {paths[-1]}\n"
    else:
        text += "Return-path copied from sender\n"
    text += f"Sender      = {message.sender_address or '<>'}\nRecipient   = {address.address}\n"
    if command.filter_prefix:
        text += f"Prefix    = {command.filter_prefix}\n"
    if command.filter_suffix:
        text += f"Suffix    = {command.filter_suffix}\n"
    write(text)


# -- the filters

def _test(name: str, fd: int, scope: Scope, *, system: bool) -> bool:
    """Test one file; False where it is wrong."""
    text = _read(fd, name)
    kind = is_filter(text)
    write(f'Testing {kind + " filter" if kind else "forward file"} file "{name}"\n\n')
    if kind is None and not system:
        return _test_list(text, scope)
    shown, good = test_filter(text, "Exim" if system or kind is None else kind, scope, write, system=system)
    write(shown)
    return good


def _test_list(text: str, scope: Scope) -> bool:
    """Read a redirection list and show what it generates; what needs a router's leave is refused."""
    main = scope.config.main

    def include(path: str) -> str:
        try:
            with open(path, "rb") as f:
                return f.read().decode("latin-1")
        except OSError as e:
            raise RedirectionError(f"failed to open included file {path}: {e.strerror}") from None

    rules = ListRules(main.allow_domain_literals, main.strip_trailing_dot, main.allow_utf8_domains,
                      forbidden=frozenset({"fail", "defer"}), read_include=include)
    try:
        found = parse_redirection(text, rules)
    except RedirectionError as e:
        write(f"exim: error in forward file: {e.text}\n")
        return False
    if found.verdict == "blackhole":
        write('exim: forwardfile contains ":blackhole:"\n')
    if not found.items:
        write("exim: no addresses generated from forward file\n")
        return True
    write("exim: forward file generated:\n" + "".join(f"  {item.text}\n" for item in reversed(found.items)))
    return True
