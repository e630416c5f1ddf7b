"""Callouts: asking an address's own mail servers whether they would take a message for it.

Results are kept in the hints database "callout": one record per domain (does it take the empty sender,
postmaster, a random local part), one per address, or per address and sender where the sender is not
empty.  The conversation is EHLO or HELO, STARTTLS and AUTH as the transport would, MAIL, RCPT, QUIT.
Spec: sections "Callout verification", "Additional parameters for callouts", "Callout caching".
"""

from __future__ import annotations

import json
import socket
from functools import partial
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import is_digits, lower
from pyexim.base.record import dataclass, field, replace
from pyexim.expand.engine import expand
from pyexim.expand.lists import split_list
from pyexim.expand.scope import Scope
from pyexim.hints.stored import find_object
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.transports import smtp_tls
from pyexim.transports.smtp import Smtp
from pyexim.transports.smtp_errors import Failure
from pyexim.transports.smtp_session import xtext
from pyexim.verify.api import DEFER, FAIL, OK, Verified, VerifyOptions
from pyexim.verify.introduction import encrypt, identify, start_tls
from pyexim.verify.talk import Talk, TalkFailed

DATABASE: Final = "callout"
CACHED: Final = "Previous (cached) callout verification failure"
CACHED_MAIL: Final = "(result of an earlier callout reused)."
CACHED_DOMAIN: Final = "(result of earlier verification reused)."
_NULL_REFUSED: Final = (
    "The initial connection, or a HELO or MAIL FROM:<> command was\n"
    "rejected. Refusing MAIL FROM:<> does not help fight spam, disregards\n"
    "RFC requirements, and stops you from receiving standard bounce\n"
    "messages. This host does not accept mail from domains whose servers\n"
    "refuse bounces.")
_POSTMASTER_REFUSED: Final = (
    "Several RFCs state that you are required to have a postmaster\n"
    "mailbox for each mail domain. This host does not accept mail\n"
    "from domains whose servers reject the postmaster address.")
ACCEPT, REJECT, UNKNOWN, NULL_REJECTED = "accept", "reject", "unknown", "reject_mfnull"


@dataclass(slots=True)
class DomainRecord:
    """What is known of a domain's servers."""

    result: str = UNKNOWN
    postmaster: str = UNKNOWN
    postmaster_time: float = 0.0
    random: str = UNKNOWN
    random_time: float = 0.0


@dataclass(slots=True)
class Outcome:
    """What one host said: ok, fail or defer."""

    status: str
    failure: str = ""
    text: str = ""
    """For the log, without the host."""
    sent: str = ""
    response: str = ""


@dataclass(slots=True)
class Plan:
    """One callout: whom to ask what."""

    address: str
    domain: str
    role: str
    sender: str
    options: dict[str, str]
    timeout: float
    connect_timeout: float
    maxwait: float
    random: str = ""
    postmaster_sender: str | None = None
    lmtp: bool = False
    helo: str = ""
    port: int = 25
    interface: str | None = None
    transport: Smtp | None = None
    """The transport that would deliver, where it is of the kind."""
    authenticated: str | None = None
    """What AUTH= of MAIL says."""
    record: DomainRecord = field(default_factory=DomainRecord)

    @property
    def address_key(self) -> str:
        """The key of the address in the cache."""
        return f"{self.address}/<{self.sender}>" if self.sender else self.address


def callout(address: Address, role: str, scope: Scope, options: VerifyOptions) -> Verified:
    """Verify an address that has been routed; success where it was not routed to hosts, and under -bh."""
    conn, debug = scope.conn, scope.services.debug
    show = partial(debug, "verify") if debug is not None else lambda text: None
    show("Attempting full verification using callout")
    if conn is not None and conn.host_checking and not conn.host_checking_callout:
        show("... callout omitted by default when host testing\n(Use -bhc if you want the callouts to happen.)")
        return Verified(OK, address=address)
    hosts = hosts_of(address, scope)
    if not hosts:
        return Verified(OK, address=address)
    try:
        plan = plan_of(address, role, scope, options)
    except ExpansionError as e:
        return Verified(DEFER, "", f"failed to expand a setting for a callout: {e.text}", address=address)
    use_cache = "no_cache" not in options.callout_options and scope.services.hints is not None
    if "no_cache" in options.callout_options:
        show("callout cache: disabled by no_cache")
    if use_cache:
        known = _from_cache(plan, scope)
        if known is not None:
            known.address = address
            return known
    flush = scope.facts.get("flush")
    controls = scope.facts.get("controls")
    if flush is not None and (controls is None or controls.callout_flush):
        flush()
    result = _ask_hosts(plan, hosts, replace(scope, address=address), use_cache)
    result.address = address
    return result


# -- what is asked, and whom

def hosts_of(address: Address, scope: Scope) -> list[Host]:
    """Return the hosts to call, each with an address."""
    options = getattr(address.transport, "options", None)
    own = getattr(options, "hosts", None)
    hosts = list(address.host_list)
    if own and (not hosts or getattr(options, "hosts_override", False)):
        try:
            hosts = [Host(name) for name in split_list(expand(own, scope)) if name and name != "+"]
        except ExpansionError:
            hosts = []
    out: list[Host] = []
    for host in hosts:
        if host.address is not None:
            out.append(host)
            continue
        from pyexim.dns.hosts import addresses_of  # asks the DNS
        out += [Host(host.name, found, host.port) for found in addresses_of(host.name, scope).addresses]
    return out


def _port(source: str | None, lmtp: bool, scope: Scope) -> int:
    text = expand(source, scope) if source else ("lmtp" if lmtp else "smtp")
    if is_digits(text):
        return int(text)
    known = {"smtp": 25, "lmtp": 24, "submission": 587, "smtps": 465}
    if text in known:
        return known[text]
    try:
        return socket.getservbyname(text, "tcp")
    except OSError:
        return 25


def plan_of(address: Address, role: str, scope: Scope, options: VerifyOptions) -> Plan:
    main = scope.config.main
    given = options.callout_options
    timeout = float(options.callout or 30)
    sender = given.get("mailfrom", "") if role == "sender" else ""
    if role == "recipient":
        if "use_sender" in given:
            sender = scope.message.sender_address if scope.message is not None else ""
        elif "use_postmaster" in given:
            sender = f"postmaster@{main.qualify_domain or scope.services.primary_hostname}"
    transport = getattr(address.transport, "options", None)
    lmtp = getattr(transport, "protocol", "smtp") == "lmtp"
    conn = scope.conn
    default = (conn.smtp_active_hostname if conn is not None else None) or scope.services.primary_hostname
    helo_source = getattr(transport, "helo_data", None)
    interface = getattr(transport, "interface", None)
    plan = Plan(
        address=address.address, domain=lower(address.domain), role=role, sender=sender, options=given,
        timeout=timeout, connect_timeout=float(given.get("connect", timeout)),
        maxwait=float(given.get("maxwait", 4 * timeout)), lmtp=lmtp,
        helo=(expand(helo_source, scope) if helo_source and address.transport is not None else "") or default,
        port=_port(getattr(transport, "port", None), lmtp, scope),
        interface=(expand(interface, scope) or None) if interface else None)
    driver = getattr(address.transport, "driver", None)
    if isinstance(driver, Smtp):
        plan.transport = driver
    if "random" in given and main.callout_random_local_part:
        plan.random = expand(main.callout_random_local_part, scope)
    if "postmaster_mailfrom" in given:
        plan.postmaster_sender = given["postmaster_mailfrom"]
    elif "postmaster" in given or "fullpostmaster" in given:
        plan.postmaster_sender = ""
    return plan


# -- the cache

def _from_cache(plan: Plan, scope: Scope) -> Verified | None:
    """Answer from the cache, or fill ``plan.record`` with what is known of the domain."""
    main, hints, now = scope.config.main, scope.services.hints, scope.services.clock.time()
    known = find_object(hints, DATABASE, plan.domain, "time", "postmaster_time", "random_time")
    if known is not None:
        record = DomainRecord(known.get("result", UNKNOWN), known.get("postmaster", UNKNOWN),
                              known["postmaster_time"], known.get("random", UNKNOWN), known["random_time"])
        negative = record.result in (REJECT, NULL_REJECTED) or record.postmaster == REJECT
        limit = main.callout_domain_negative_expire if negative else main.callout_domain_positive_expire
        if now - known["time"] <= limit:
            plan.record = record
            if record.result == REJECT or (record.result == NULL_REJECTED and not plan.sender):
                return _known_failure(plan, "mail", CACHED_MAIL)
            if plan.random and record.random == ACCEPT and \
                    now - record.random_time <= main.callout_domain_positive_expire:
                return Verified(OK, failure="random")
            if plan.postmaster_sender is not None and record.postmaster == REJECT:
                return _known_failure(plan, "postmaster", CACHED_DOMAIN)
            if record.random != UNKNOWN and now - record.random_time > main.callout_domain_positive_expire:
                record.random = UNKNOWN
    known = find_object(hints, DATABASE, plan.address_key, "time")
    if known is None:
        return None
    accepted = known.get("result") == ACCEPT
    if now - known["time"] > (main.callout_positive_expire if accepted else main.callout_negative_expire):
        return None
    if not accepted:
        return Verified(FAIL, CACHED, "" if plan.role == "sender" else CACHED, "recipient", callout=True)
    if plan.postmaster_sender is None or plan.record.postmaster == ACCEPT:
        return Verified(OK)
    return None


def _known_failure(plan: Plan, failure: str, text: str) -> Verified:
    """Return a failure that the cache knows of the domain; for a sender the log has no text."""
    if plan.role != "sender":
        return Verified(FAIL, text, text, failure, callout=True)
    details = _about_sender(plan, "setup" if failure == "mail" else failure, text)
    return Verified(FAIL, text, "", failure, callout=True, details=details)


def _write_domain(plan: Plan, scope: Scope) -> None:
    record, now = plan.record, scope.services.clock.time()
    value = {"time": now, "result": record.result, "postmaster": record.postmaster,
             "postmaster_time": record.postmaster_time, "random": record.random, "random_time": record.random_time}
    scope.services.hints.put(DATABASE, plan.domain, json.dumps(value, separators=(",", ":")), now)


def _write_address(plan: Plan, accepted: bool, scope: Scope) -> None:
    now = scope.services.clock.time()
    value = {"time": now, "result": ACCEPT if accepted else REJECT}
    scope.services.hints.put(DATABASE, plan.address_key, json.dumps(value, separators=(",", ":")), now)


# -- the calls

def _ask_hosts(plan: Plan, hosts: list[Host], scope: Scope, use_cache: bool) -> Verified:
    """Call one host after another until one gives a definite answer."""
    clock = scope.services.clock
    started = clock.monotonic()
    last = ""
    for host in hosts:
        if clock.monotonic() - started > plan.maxwait:
            last = last or "timed out"
            break
        outcome = _ask(plan, host, scope, use_cache)
        if outcome.status == OK:
            return Verified(OK, failure=outcome.failure)
        log = f"{host.name} [{host.address}] : {outcome.text}"
        if outcome.status == FAIL:
            return _refused(plan, host, outcome, log)
        last = log
    return _unreachable(plan, last, scope)


def _refused(plan: Plan, host: Host, outcome: Outcome, log: str) -> Verified:
    response = outcome.response
    if plan.role == "recipient":
        return Verified(FAIL, f"Callout verification failed:\n{response}", log, outcome.failure, callout=True)
    setup = outcome.failure == "mail" and outcome.sent == "MAIL FROM:<>"
    talk = f"Called:   {host.address}\nSent:     {outcome.sent}\nResponse: {response}"
    details = _about_sender(plan, "setup" if setup else outcome.failure, talk)
    return Verified(FAIL, response, log, outcome.failure, details=details, callout=True)


def _about_sender(plan: Plan, failure: str, talk: str) -> str:
    """Return what a client is told about its sender: what failed, what was said, and why that is wrong."""
    if failure == "setup":
        return f"Callback setup failed while verifying <{plan.address}>\n{talk}\n{_NULL_REFUSED}"
    if failure == "postmaster":
        return f"Postmaster verification failed while checking <{plan.address}>\n{talk}\n{_POSTMASTER_REFUSED}"
    return f"Verification failed for <{plan.address}>\n{talk}"


def _unreachable(plan: Plan, last: str, scope: Scope) -> Verified:
    """Return the deferral, or success with defer_ok."""
    if "defer_ok" in plan.options:
        return Verified(OK)
    head = f"Could not complete {plan.role} verify callout"
    user = head
    if scope.config.main.smtp_return_error_details:
        user = (f"{head} for <{plan.address}>.\nThe mail server(s) for the domain may be temporarily unreachable, or\n"
                "they may be permanently unreachable from this server. In the latter case,\n")
        user += ("the address will never be accepted." if plan.role == "recipient" else
                 "you need to change the address or create an MX record for its domain\n"
                 "if it is supposed to be generally accessible from the Internet.\n"
                 "Talk to your mail administrator for details.")
    return Verified(DEFER, user, f"{head}: {last}", callout=True)


def open_talk(plan: Plan, host: Host, scope: Scope) -> Talk:
    """Connect to a host; TalkFailed."""
    debug = scope.services.debug
    return Talk(host.address or "", host.port or plan.port, plan.connect_timeout, plan.timeout, plan.interface,
                debug.dialogue() if debug is not None else None, host.name)


def _ask(plan: Plan, host: Host, scope: Scope, use_cache: bool) -> Outcome:
    """Make one call."""
    scope.host = replace(host, port=host.port or plan.port)
    try:
        outcome = _call(plan, host, scope, use_cache, tls=True)
        transport, message = plan.transport, scope.message
        if isinstance(outcome, Failure) and transport is not None and smtp_tls.in_clear(
                transport, outcome, host, scope, message.message_id if message is not None else None, callout=True):
            outcome = _call(plan, host, scope, use_cache, tls=False)
        return Outcome(DEFER, "", outcome.text) if isinstance(outcome, Failure) else outcome
    except TalkFailed as e:
        if e.code >= 500:
            return Outcome(FAIL, "mail", e.text, e.sent, e.response)
        return Outcome(DEFER, "", e.text)
    finally:
        scope.facts.pop("tls_out", None)


def _call(plan: Plan, host: Host, scope: Scope, use_cache: bool, *, tls: bool) -> Outcome | Failure:
    """Make one connection and ask; the failure of what the transport wants of it.  Raises TalkFailed."""
    talk = open_talk(plan, host, scope)
    transport = plan.transport
    try:
        if transport is not None and transport.protocol == "smtps":
            failure = encrypt(transport, talk, host, scope)
            if failure is not None:
                return failure
        talk.greeting()
        talk.hello(plan.helo, lmtp=plan.lmtp)
        if transport is not None and transport.protocol != "smtps":
            failure = start_tls(transport, plan.helo, talk, host, scope, wanted=tls)
            if failure is not None:
                return failure
        if transport is not None:
            identity = identify(transport, talk, host, scope)
            if isinstance(identity, Failure):
                return identity
            plan.authenticated = identity
        return _converse(plan, talk, scope, use_cache)
    finally:
        talk.quit()


def _converse(plan: Plan, talk: Talk, scope: Scope, use_cache: bool) -> Outcome:
    """MAIL and RCPT: a random local part, the address itself, postmaster."""
    record, now = plan.record, scope.services.clock.time()
    if plan.random and record.random == UNKNOWN:
        refused = _mail(plan, talk, plan.sender, scope, use_cache)
        if refused is not None:
            return refused
        code = talk.command(f"RCPT TO:<{plan.random}@{plan.domain}>")
        record.result = ACCEPT
        if code // 100 in (2, 5):
            record.random, record.random_time = (ACCEPT if code < 300 else REJECT), now
            if use_cache:
                _write_domain(plan, scope)
        if code // 100 == 2:
            return Outcome(OK, "random")
        talk.command("RSET")
    refused = _mail(plan, talk, plan.sender, scope, use_cache)
    if refused is not None:
        return refused
    record.result = ACCEPT
    code = talk.command(f"RCPT TO:<{plan.address}>")
    if use_cache:
        if code // 100 in (2, 5):
            _write_address(plan, code < 300, scope)
        _write_domain(plan, scope)
    if code // 100 != 2:
        return Outcome(FAIL if code >= 500 else DEFER, "recipient", talk.error(), talk.sent, talk.response)
    if plan.postmaster_sender is None or record.postmaster == ACCEPT:
        return Outcome(OK)
    return _postmaster(plan, talk, scope, use_cache)


def _mail(plan: Plan, talk: Talk, sender: str, scope: Scope, use_cache: bool) -> Outcome | None:
    """Send MAIL; the outcome if it is refused."""
    parameter = "" if plan.authenticated is None else f" AUTH={xtext(plan.authenticated)}"
    code = talk.command(f"MAIL FROM:<{sender}>{parameter}")
    if code // 100 == 2:
        return None
    response = talk.response.replace("\n", "\\n")
    text = f'response to "{talk.sent}" was: {response}'
    if code < 500:
        return Outcome(DEFER, "", text)
    if not sender and use_cache:
        plan.record.result = NULL_REJECTED
        _write_domain(plan, scope)
    return Outcome(FAIL, "mail", text, talk.sent, talk.response)


def _postmaster(plan: Plan, talk: Talk, scope: Scope, use_cache: bool) -> Outcome:
    talk.command("RSET")
    refused = _mail(plan, talk, plan.postmaster_sender or "", scope, use_cache)
    if refused is not None:
        return refused
    code = talk.command(f"RCPT TO:<postmaster@{plan.domain}>")
    outcome = Outcome(FAIL if code >= 500 else DEFER, "postmaster", talk.error(), talk.sent, talk.response)
    if code // 100 != 2 and "fullpostmaster" in plan.options:
        code = talk.command("RCPT TO:<postmaster>")
        outcome.sent, outcome.response = talk.sent, talk.response
    if code // 100 in (2, 5):
        plan.record.postmaster = ACCEPT if code < 300 else REJECT
        plan.record.postmaster_time = scope.services.clock.time()
        if use_cache:
            _write_domain(plan, scope)
    return Outcome(OK) if code // 100 == 2 else outcome
