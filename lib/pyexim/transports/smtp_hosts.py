"""The hosts of a remote delivery: which ones, in what order, when not, and how often.

:class:`HostLoop` takes the hosts of a batch one after the other until every address is settled; it knows
retry times, the limits on the number of hosts, live connections, serialization and waiting hints.

Spec: chapters "The smtp transport" (section "How the limits for the number of hosts to try are used"),
"Retry configuration" and "SMTP processing".
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import is_digits
from pyexim.base.record import dataclass, field, replace
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.retry.api import RetryItem, RetryRecord, find_record, outlived
from pyexim.retry.errors import ERRNO_EXPANDFAIL, ERRNO_HRETRY, ERRNO_RCPT4XX, ERRNO_TLSFAILURE, ERRNO_UNKNOWNHOST
from pyexim.transports.base import DEFER, FAIL, OK, PENDING, Result, TransportRun
from pyexim.transports.smtp_errors import HOST, MESSAGE, RECIPIENT, Failure

if TYPE_CHECKING:
    from pyexim.transports.smtp import Smtp

SERIALIZE_LIFE: Final = 6 * 3600


class Unable(Exception):
    """What is left of the batch cannot be delivered, to whatever host."""

    def __init__(self, text: str, errno: int = -1, *, status: str = DEFER, panic: bool = True) -> None:
        super().__init__(text)
        self.text = text
        self.errno = errno
        self.status = status
        self.panic = panic
        """An error of the set-up goes to the panic log, too."""

    def result(self, address: Address) -> Result:
        """Return what this means for an address."""
        result = Result(address, self.status, self.text, self.errno)
        result.panic = result.panic and self.panic
        return result


@dataclass(slots=True)
class Attempt:
    """What is known of one host while it is at work."""

    host: Host
    port: int
    key: str
    """Retry key of the host."""
    message_key: str
    record: RetryRecord | None = None
    message_record: RetryRecord | None = None
    continued: bool = False
    interface: str | None = None
    flags: list[str] = field(default_factory=list)
    auth: tuple[str, ...] | None = None
    """By which authenticator, as whom and with which AUTH= the message goes there."""
    tls: dict[str, str] = field(default_factory=dict)
    """What log lines say of encryption."""


def find_port(source: str | None, protocol: str, scope: Scope, name: str) -> int:
    """Return the transport's port.  Raises Unable."""
    text = source or {"lmtp": "lmtp", "smtps": "submissions"}.get(protocol, "25")
    if "$" in text or "\\" in text:
        try:
            text = expand(text, scope)
        except ExpansionError as e:
            raise Unable(f'failed to expand "{source}" for port in {name} transport: {e.text}') from None
    if is_digits(text):
        if int(text) > 65535:
            raise Unable(f'TCP port "{text}" is not valid for {name} transport')
        return int(text)
    import socket  # names are rare
    try:
        return socket.getservbyname(str(text), "tcp")
    except (OSError, ValueError):
        if text in ("submissions", "smtps"):
            return 465
        if text == "lmtp":
            return 24
        raise Unable(f'TCP port "{text}" is not defined for {name} transport') from None


def host_list(transport: Smtp, batch: list[Address], run: TransportRun) -> list[Host]:
    """Return the hosts to try, with addresses, in order.  Raises Unable."""
    options, first = transport.options, batch[0]
    hosts = first.host_list
    if "fallback" in first.flags:
        return _not_local(transport, _look_up(transport, hosts, run, first), run.scope)
    if hosts and not (options.hosts is not None and options.hosts_override):
        if _randomize(transport, run.scope) and hosts[0].mx < 0:
            hosts = _shuffled(hosts)
        missing = [h for h in hosts if h.address is None]
        return hosts if not missing else _look_up(transport, hosts, run, first)
    if options.hosts is None:
        raise Unable(f"{transport.name} transport called with no hosts set", -1)
    try:
        text = expand(options.hosts, run.scope)
    except ExpansionError as e:
        raise Unable(f'failed to expand list of hosts "{options.hosts}" in {transport.name} transport: {e.text}',
                     -1) from None
    if not text:
        raise Unable(f"{transport.name} transport has empty hosts setting", -1)
    from pyexim.routers.hostlist import parse_host_list
    items = parse_host_list(text)
    if _randomize(transport, run.scope):
        items = _shuffled(items)
    return _look_up(transport, items, run, first)


def _randomize(transport: Smtp, scope: Scope) -> bool:
    value = transport.options.hosts_randomize
    if isinstance(value, bool):
        return value
    from pyexim.expand.engine import expand_bool
    try:
        return expand_bool(value, scope, "hosts_randomize")
    except ExpansionError as e:
        raise Unable(f"hosts_randomize in {transport.name} transport: {e.text}") from None


def _shuffled(hosts: list[Host]) -> list[Host]:
    """Return the hosts at random within the groups that "+" makes, which are told by ``mx``."""
    import random  # only where it is wanted
    out: list[Host] = []
    group: list[Host] = []
    for host in hosts:
        if group and group[-1].mx != host.mx:
            random.shuffle(group)
            out += group
            group = []
        group.append(host)
    random.shuffle(group)
    return out + group


def _look_up(transport: Smtp, items: list[Host], run: TransportRun, first: Address) -> list[Host]:
    """Give every host its addresses, one entry an address."""
    from pyexim.dns.hosts import addresses_by_dns, addresses_of
    options, scope = transport.options, run.scope
    out: list[Host] = []
    for item in items:
        if item.address is not None:
            out.append(item)
            continue
        if options.gethostbyname:
            found = addresses_of(item.name, scope)
        else:
            found = addresses_by_dns(item.name, scope, qualify_single=options.dns_qualify_single,
                                     search_parents=options.dns_search_parents)
            if not found.addresses and not found.deferred:
                found = addresses_of(item.name, scope)
        if found.deferred or not found.addresses:
            scope.services.log.main(f"no IP address found for host {item.name}",
                                    message_id=run.message.message_id)
            if found.deferred:
                raise Unable(f'lookup of host "{item.name}" failed in {transport.name} transport', ERRNO_UNKNOWNHOST)
            continue
        out += [Host(item.name, a, item.port, item.mx, dnssec=found.dnssec) for a in found.addresses]
    if not out:
        names = ":".join(h.name for h in items)
        raise Unable(f'lookup of host "{names}" failed in {transport.name} transport', ERRNO_UNKNOWNHOST)
    return _not_local(transport, out, scope)


def _not_local(transport: Smtp, hosts: list[Host], scope: Scope) -> list[Host]:
    """Return hosts the first of which is not this one; Unable."""
    if not transport.options.allow_localhost:
        from pyexim.routers.localhosts import is_local_address, is_local_name
        if any(h.address is not None and (is_local_address(h.address, scope) or is_local_name(h.name, scope))
               for h in hosts[:1]):
            raise Unable(f"{transport.name} transport found host {hosts[0].name} to be local", -50)
    return hosts


class HostLoop:
    """One run of the transport for one batch."""

    def __init__(self, transport: Smtp, batch: list[Address], run: TransportRun, hosts: list[Host],
                 port: int) -> None:
        self.transport = transport
        self.run = run
        self.hosts = hosts
        self.port = port
        self.results: dict[int, Result] = {}
        self.left = list(batch)
        self.batch = batch
        self.sent: list[Address] = []
        """The addresses that went to the host at work, as the server numbers them."""
        self.last: tuple[Failure, Attempt] | None = None
        self.retries: dict[int, list[RetryItem]] = {}
        self.waiting: list[str] = []
        self.message_age = run.scope.services.clock.time() - run.message.received_time

    def go(self) -> list[Result]:
        """Try the hosts; a result for every address."""
        options = self.transport.options
        tried = tried_fresh = skipped = expired = 0
        hosts = self.hosts
        for position, host in enumerate(hosts):
            if not self.left:
                break
            attempt = self._attempt(host)
            if attempt is None:
                continue
            usable = self._usable(attempt)
            if not usable:
                if host.status == "expired":
                    expired += 1
                skipped += 1
                continue
            if tried >= options.hosts_max_try_hardlimit:
                break
            if tried_fresh >= options.hosts_max_try and not self._other_preference(position):
                continue
            tried += 1
            if host.status != "expired":
                tried_fresh += 1
            try:
                self._one(attempt)
            except Unable as e:
                for address in list(self.left):
                    self._settle(address, e.result(address))
                break
        self._finish(tried, skipped, expired)
        return [self.results[id(a)] for a in self.batch]

    def _other_preference(self, position: int) -> bool:
        """Past hosts_max_try only the first host of each further MX value is tried."""
        host = self.hosts[position]
        return host.mx >= 0 and position > 0 and self.hosts[position - 1].mx != host.mx

    def _attempt(self, host: Host) -> Attempt | None:
        """Return the retry keys and the records of a host; None where a passed connection is to another one."""
        run, options = self.run, self.transport.options
        port = host.port if host.port is not None else self.port
        scope = run.scope
        scope.host = host if host.port is not None else replace(host, port=port)
        conn = run.continued
        if conn is not None and not conn.fits(self.transport.name, host.name, host.address, port):
            return None
        include = options.retry_include_ip_address
        if not isinstance(include, bool):
            from pyexim.expand.engine import expand_bool
            try:
                include = expand_bool(include, scope, "retry_include_ip_address")
            except ExpansionError:
                include = True
        key = f"T:{host.name}:{host.address}" if include else f"T:{host.name}"
        if port != 25:
            key += f":{port}"
        interface = self.transport.interface_for(host, scope)
        if interface is not None:
            key += f"/{interface}"
        return Attempt(host, port, key, f"{key}:{run.message.message_id}", interface=interface)

    def _usable(self, attempt: Attempt) -> bool:
        """Tell whether a host may be tried now, by what is remembered of it."""
        scope, host = self.run.scope, attempt.host
        hints = scope.services.hints
        host.status = "usable"
        if hints is None:
            return True
        now = scope.services.clock.time()
        attempt.record = record = find_record(hints, attempt.key, scope.config, now)
        attempt.message_record = about = find_record(hints, attempt.message_key, scope.config, now)
        if scope.facts.get("force") or self.run.force:
            return True
        if record is not None:
            if now < record.next_try:
                old = record.expired or outlived(record, host.name, self.left[0].domain, scope, self.message_age)
                if not old:
                    host.status = "unusable"
                    return False
                if record.expired:
                    host.status = "expired"
                    if self.transport.options.delay_after_cutoff:
                        return False
                    return record.last_try <= self.run.message.received_time
            elif record.expired:
                host.status = "expired"
        if about is not None and now < about.next_try:
            old = about.expired or outlived(about, host.name, self.left[0].domain, scope, self.message_age)
            if not old:
                host.status = "unusable"
                return False
        return True

    def _one(self, attempt: Attempt) -> None:
        """Deliver to one host what is left."""
        transport, run, host = self.transport, self.run, attempt.host
        batch = self.sent = list(self.left)
        serialized = transport.serialize(host, run)
        if serialized is False:
            self.last = (Failure(HOST, f"another process is serialized with host {host.name}", -1, with_host=False),
                         attempt)
            return
        try:
            outcome = transport.converse(attempt, self.left, run)
        finally:
            run.scope.facts.pop("tls_out", None)
            if serialized:
                transport.end_serialize(host, run)
        if isinstance(outcome, Failure):
            self._failed(outcome, attempt)
            return
        forget = []
        if attempt.record is not None and (outcome.failure is None or outcome.failure.kind != HOST):
            forget.append(RetryItem(attempt.key, delete=True))
        if attempt.message_record is not None and outcome.failure is None:
            forget.append(RetryItem(attempt.message_key, delete=True, kind="message"))
        for number, told in sorted(outcome.told.items()):
            address = batch[number]
            result = self._result(address, {"ok": OK, "fail": FAIL, "defer": PENDING}[told.status], told.text,
                                  told.errno, told.more_errno, attempt)
            result.flags, result.tls = tuple(attempt.flags), attempt.tls
            result.confirmation = told.confirmation
            result.size = outcome.size
            if told.status == "ok":
                result.auth = attempt.auth
                result.retries = list(forget)
                if not run.first_attempt:
                    result.retries += [RetryItem(k, delete=True, kind="routing") for k in self._address_keys(address)]
                address.host_used = host
            elif told.status == "defer":
                if transport.options.event_action is not None:
                    self._event("msg:rcpt:host:defer", result)
                if host is not self.hosts[-1]:
                    self._log(Failure(RECIPIENT, told.text, told.errno), attempt)
                self._remember(address, RetryItem(
                    self._address_keys(address)[0], told.errno, told.more_errno,
                    f"H={host.name} [{host.address}]: {told.text}", kind="routing", domain=address.domain))
            self._settle(address, result)
        if outcome.failure is not None:
            self._failed(outcome.failure, attempt, told={id(batch[i]) for i in outcome.told})

    def _event(self, name: str, result: Result) -> None:
        """Tell of a deferral; the number is the one that tells most of it."""
        scope, address = self.run.scope, result.address
        saved = scope.address, scope.router_name, scope.vars
        scope.address, scope.vars = address, {}  # not what is common to the batch
        scope.router_name = address.router.name if address.router is not None else ""
        text = ": ".join(filter(None, (result.text, os.strerror(result.errno) if result.errno > 0 else "")))
        try:
            self.transport.event(name, scope, text, result.more_errno if "rcpt" in name else result.errno)
        finally:
            scope.address, scope.router_name, scope.vars = saved

    def _address_keys(self, address: Address) -> list[str]:
        plain = f"R:{address.address}"
        with_sender = f"{plain}:<{self.run.return_path}>"
        if self.transport.options.address_retry_include_sender:
            return [with_sender, plain]
        return [plain, with_sender]

    def _failed(self, failure: Failure, attempt: Attempt, told: set[int] | None = None) -> None:
        """Note a failure for all that are left (a recipient error: for the one it is about)."""
        run, host = self.run, attempt.host
        self.last = (failure, attempt)
        if (failure.with_host or not failure.text) and failure.errno != ERRNO_TLSFAILURE and (
                failure.kind == HOST or (failure.kind == MESSAGE and not failure.permanent
                                         and not run.scope.config.main.mua_wrapper)):
            self._log(failure, attempt)
        permanent = failure.permanent
        if failure.kind == HOST and not permanent and self.transport.options.event_action is not None:
            self._event("msg:host:defer", Result(self.left[0], PENDING, failure.text, failure.errno))
        item = None
        if failure.kind == HOST:
            item = RetryItem(attempt.key, failure.errno, failure.more_errno, failure.record(host), kind="host",
                             domain=self.left[0].domain if self.left else None)
            self.waiting.append(host.name)
        elif failure.kind == MESSAGE and not permanent:
            item = RetryItem(attempt.message_key, failure.errno, failure.more_errno, failure.record(host),
                             kind="message", domain=self.left[0].domain if self.left else None)
        for address in list(self.left):
            if told is not None and id(address) in told:
                continue
            # A recipient whose silence ended the session is named with its host, as are those that had an answer.
            about = failure.with_host and failure.errno != ERRNO_EXPANDFAIL and (
                failure.recipient < 0 or any(address is a for a in self.sent[:failure.recipient + 1]))
            result = self._result(address, FAIL if permanent else PENDING, failure.text, failure.errno,
                                  failure.more_errno, attempt if about else None)
            result.flags = tuple(attempt.flags)
            if item is not None:
                self._remember(address, item)
            elif failure.recipient >= 0 and address is self.sent[failure.recipient]:
                self._remember(address, RetryItem(f"R:{address.address}", failure.errno, failure.more_errno,
                                                  failure.record(host), kind="routing", domain=address.domain))
            self._settle(address, result)

    def _log(self, failure: Failure, attempt: Attempt) -> None:
        """Log what a host has to do with the delay of a message."""
        if self.transport.options.disable_logging:
            return
        services = self.run.scope.services
        port = attempt.port if services.log.selected("outgoing_port") else None
        services.log.main(failure.line(attempt.host, port).replace("\n", "\\n"),
                          message_id=self.run.message.message_id)

    def _result(self, address: Address, status: str, text: str, number: int, more: int,
                attempt: Attempt | None) -> Result:
        result = Result(address, status, text, number, more)
        if attempt is not None:
            host = attempt.host
            result.host_name, result.host_address, result.host_port = host.name, host.address, attempt.port
        return result

    def _remember(self, address: Address, item: RetryItem) -> None:
        self.retries.setdefault(id(address), []).append(item)

    def _settle(self, address: Address, result: Result) -> None:
        self.results[id(address)] = result
        if result.status != PENDING:
            self.left.remove(address)

    # -- after the last host

    def _finish(self, tried: int, skipped: int, expired: int) -> None:
        run, transport = self.run, self.transport
        for address in self.left:
            result = self.results.get(id(address))
            if result is None:
                result = self.results[id(address)] = self._untried(address, skipped, expired)
        for address in self.batch:
            result = self.results[id(address)]
            # That another host took the message does not make the first one well; about a message that is done
            # nothing need be remembered.
            seen = {i.key: i for i in self.retries.get(id(address), []) if result.status != OK or i.kind != "message"}
            result.retries = [*result.retries, *seen.values()]
            if result.status == PENDING and transport.options.event_action is not None:
                self._event("msg:rcpt:defer" if result.errno == ERRNO_RCPT4XX else "msg:defer", result)
        hints = run.scope.services.hints
        if hints is not None and self.left and (self.waiting or skipped):
            names = list(dict.fromkeys(h.name for h in self.hosts))
            hints.add_waiting(transport.name, names, run.message.message_id)

    def _untried(self, address: Address, skipped: int, expired: int) -> Result:
        if self.run.continued is not None and not skipped:
            return Result(address, DEFER, "the connection passed is not to a host of this address", ERRNO_HRETRY)
        if expired and expired == skipped:
            why = "(and retry time not reached)" if self.transport.options.delay_after_cutoff else (
                "and were last tried after this message arrived")
            return Result(address, FAIL, f"all hosts for '{address.domain}' have been failing for a long time {why}",
                          ERRNO_HRETRY)
        return Result(address, PENDING, f"retry time not reached for any host for '{address.domain}'", ERRNO_HRETRY)


def expand_interface(source: str, host: Host, scope: Scope, name: str) -> str | None:
    """Return the first address of the option interface that is of the host's family.  Raises Unable."""
    try:
        text = expand(source, scope)
    except ForcedFail:
        return None
    except ExpansionError as e:
        raise Unable(f'failed to expand "interface" option for {name} transport: {e.text}') from None
    from pyexim.expand.lists import split_list
    six = ":" in (host.address or "")
    for item in split_list(text):
        if item and (":" in item) == six:
            return item
    return None
