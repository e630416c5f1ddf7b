"""The queryprogram router: a command says what to do with an address.

Spec: chapter "The queryprogram router".  As in Exim, the command runs as command_user only where this
process may become that user; the Exim user runs it as itself.
"""

from __future__ import annotations

import os
import re

from pyexim import child
from pyexim.base.errors import ForcedFail
from pyexim.base.octets import SPACE, lower, to_text
from pyexim.base.taint import like
from pyexim.config.configuration import Instance
from pyexim.config.option import STRING, TIME, option, options
from pyexim.model.address import Address
from pyexim.privs import find_group, find_user
from pyexim.routers.base import (
    Declined,
    Deferred,
    Failed,
    Passed,
    Rerouted,
    Routed,
    RouteOutcome,
    Router,
    RouteRun,
)
from pyexim.routers.children import make_child
from pyexim.routers.command import CommandError, expand_command, run_command
from pyexim.routers.finding import HostSearch, find_hosts
from pyexim.routers.hostlist import parse_host_list
from pyexim.routers.localhosts import obey_self
from pyexim.routers.options import RouterOptions
from pyexim.routers.redirection import ListRules, RedirectionError, parse_redirection


@options
class QueryprogramOptions(RouterOptions):
    """The options of its section."""

    command: str | None = option(STRING, None, expanded=True, doc="The command to run.", spec="21")
    command_group: str | None = option(STRING, None, expanded=True, style="gid", doc="Group to run it with.",
        spec="21")
    command_user: str | None = option(STRING, None, expanded=True, style="uid", doc="User to run it as.", spec="21")
    current_directory: str | None = option(STRING, "/", doc="Directory to run it in.", spec="21")
    timeout: int = option(TIME, 3600, doc="How long it may take.", spec="21")


_field = re.compile(r'([A-Za-z]+)=(?:"((?:[^"\\\\]|\\\\.)*)"|(\S*))', re.ASCII).match


class Queryprogram(Router):
    """The driver."""

    Options = QueryprogramOptions
    needs_transport = None

    def check(self) -> None:
        """Refuse a router without a command or a user for it."""
        options = self.options
        if options.command is None:
            raise self.wrong("a command specification is required", "command")
        if options.command_user is None:
            raise self.wrong("command_user must be specified", "command_user")

    def route(self, address: Address, run: RouteRun) -> RouteOutcome:
        """Run the command and do what its line says."""
        who = self._user()
        if isinstance(who, Deferred):
            return who
        try:
            arguments = expand_command(self.options.command, run.scope, f"{self.name} router")
            outcome = run_command(arguments, uid=who[0], gid=who[1], directory=self.options.current_directory,
                                  timeout=self.options.timeout, clock=run.scope.services.clock)
        except ForcedFail:
            return Declined()
        except CommandError as e:
            return Deferred(e.text)
        if outcome.status is None:
            return Deferred(f"{self.name} router: command timed out", freeze=True)
        code = child.exit_code(outcome.status)
        if code != 0:
            what = f"killed by signal {-code}" if code < 0 else f"returned non-zero code {code}"
            return Deferred(f"{self.name} router: command {what}")
        line = to_text(outcome.output).split("\n", 1)[0].strip(SPACE)
        if not line:
            return Deferred(f"{self.name} router: command failed to return data")
        return self._obey(line, address, run)

    def _user(self) -> tuple[int, int] | Deferred:
        options = self.options
        user = find_user(options.command_user)
        if user is None:
            return Deferred(f"user {options.command_user} for {self.name} router not found")
        gid = user[2]
        if options.command_group is not None:
            group = find_group(options.command_group)
            if group is None:
                return Deferred(f"group {options.command_group} for {self.name} router not found")
            gid = group
        if gid < 0:
            return Deferred(f"command_user set without command_group for {self.name} router")
        if user[1] == 0 and os.geteuid() == 0:
            return Deferred(f"command_user of the {self.name} router must not be root")
        return user[1], gid

    def _obey(self, line: str, address: Address, run: RouteRun) -> RouteOutcome:
        word, _, rest = line.partition(" ")
        verb, word, rest = word, lower(word), rest.strip(SPACE)
        if word == "accept":
            return self._accept(rest, address, run)
        if word == "decline":
            return Declined()
        if word == "pass":
            return Passed()
        if word == "fail":
            return Failed(rest, rest or None)
        if word == "defer":
            return Deferred(rest)
        if word == "freeze":
            return Deferred(rest, freeze=True)
        if word == "redirect":
            return self._redirect(rest, address, run)
        return self._panic(f"bad command yield: {verb} {rest}", run)

    def _panic(self, text: str, run: RouteRun) -> Deferred:
        """Defer for what the administrator has to mend."""
        run.scope.services.log.panic(f"{self.name} router: {text}", also_main=False,
                                     message_id=getattr(run.scope.message, "message_id", None))
        return Deferred(text)

    def _redirect(self, text: str, address: Address, run: RouteRun) -> RouteOutcome:
        main = run.scope.config.main
        rules = ListRules(main.allow_domain_literals, main.strip_trailing_dot, main.allow_utf8_domains,
                          forbidden=frozenset({"include", "fail", "defer", "blackhole"}))
        try:
            found = parse_redirection(text, rules)
        except RedirectionError as e:
            return Deferred(f"error in redirect data: {e.text}")
        if any(item.kind != "address" for item in found.items):
            return Deferred(f"error in redirect data: pipe or file is not permitted in {self.name} router")
        problem = self.generic.decorate(address, run)
        if problem is not None:
            return problem
        domain = main.qualify_recipient or main.qualify_domain or run.scope.services.primary_hostname
        return Rerouted([make_child(address, i.text if "@" in i.text else like(f"{i.text}@{domain}", i.text))
                         for i in found.items])

    def _accept(self, text: str, address: Address, run: RouteRun) -> RouteOutcome:
        fields = _fields(text)
        if fields is None:
            return Deferred(f"malformed data after accept in {self.name} router: {text}")
        if "data" in fields:
            address.address_data = fields["data"]
        transport: Instance | None = None
        name = fields.get("transport")
        if name:
            transport = run.scope.config.transports.get(name)
            if transport is None:
                return self._panic(f"unknown transport name {name} yielded by command", run)
        outcome = self.generic.accept(address, run, transport)
        if not isinstance(outcome, Routed):
            return outcome
        if address.transport is None:
            return outcome if run.verify else Deferred("no transport yielded by command")
        hosts = fields.get("hosts")
        if not hosts:
            return outcome
        return self._hosts(hosts, fields.get("lookup", "default"), address, run, outcome)

    def _hosts(self, text: str, lookup: str, address: Address, run: RouteRun, outcome: RouteOutcome) -> RouteOutcome:
        lookup = lower(lookup)
        if lookup not in ("default", "byname", "bydns"):
            return Deferred(f'bad lookup type "{lookup}" yielded by command')
        options = self.options
        found = find_hosts(parse_host_list(text), HostSearch(
            lookup, ignore=options.ignore_target_hosts, dnssec_request=options.dnssec_request_domains,
            dnssec_require=options.dnssec_require_domains), run)
        if found.deferred:
            if options.pass_on_timeout:
                return Passed()
            return Deferred(f'host lookup for "{found.failed}" did not complete')
        if found.failed:
            return Deferred(f'lookup of host "{found.failed}" failed in {self.name} router', freeze=True)
        if found.local_first:
            decided = obey_self(self, address, found.hosts[0].name, run)
            if decided is not None:
                return decided
        address.host_list = found.hosts
        return outcome


def _fields(text: str) -> dict[str, str] | None:
    """Read NAME=value and NAME="value with spaces"; None where the text is something else."""
    found = {}
    position = 0
    while position < len(text):
        match = _field(text, position)
        if match is None:
            return None
        quoted = match[2]
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match[3]
        found[lower(match[1])] = value
        position = match.end()
        while position < len(text) and text[position] in SPACE:
            position += 1
    return found
