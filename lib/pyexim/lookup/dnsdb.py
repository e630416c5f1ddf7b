"""dnsdb: the DNS as a database.  Spec: sections "More about dnsdb" to "Multiple dnsdb lookups"."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from pyexim.base.ipaddress import is_ip, reverse_name
from pyexim.base.lists import split_list
from pyexim.base.octets import SPACE, is_digits, lower
from pyexim.base.record import dataclass, field
from pyexim.dns.hosts import resolver_of
from pyexim.dns.resolver import NO_NAME, Answer, Resolver
from pyexim.dnswire.message import Record
from pyexim.expand.scope import Scope
from pyexim.lookup.base import NOT_FOUND, Deferred, Found, Lookup, Outcome

_TYPES: Final = frozenset({"a", "aaaa", "a+", "cname", "csa", "mx", "mxh", "ns", "ptr", "soa", "spf", "srv", "tlsa",
                           "txt", "zns"})
_TIME: Final = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?\Z", re.ASCII)
_ERROR_TYPE: Final = "unsupported DNS record type"


@dataclass(slots=True)
class Request:
    """A query taken apart."""

    type: str = "txt"
    names: list[str] = field(default_factory=list)
    separator: str = "\n"
    fields: str | None = None
    """Separator of the fields of a record; "" (written as a semicolon) joins them."""
    defer: str = "lax"
    dnssec: str = "lax"
    retrans: int | None = None
    retry: int | None = None


def parse_query(text: str) -> Request | str:
    """Take a query apart; Exim's complaint where it is wrong."""
    r = Request()
    rest = text.lstrip(SPACE)
    if rest[:1] == ">":
        r.separator = rest[1:2]
        rest = rest[2:]
        if rest[:1] == ",":
            r.fields = rest[1:2]
            rest = rest[2:]
        elif rest[:1] == ";":
            r.fields = ""
            rest = rest[1:]
        rest = rest.lstrip(SPACE)
    while True:
        word, comma, after = rest.partition(",")
        if not comma:
            break
        known = _modifier(r, word.rstrip(SPACE))
        if known is None:
            break
        if known:
            return known
        rest = after.lstrip(SPACE)
    word, equals, after = rest.partition("=")
    if equals:
        r.type = lower(word.strip(SPACE))
        if r.type not in _TYPES:
            return _ERROR_TYPE
        rest = after
    rest = rest.strip(SPACE)
    # one IPv6 address is no list, unless the list says what its separator is
    r.names = [rest] if r.type == "ptr" and is_ip(rest) else [n for n in split_list(rest) if n]
    return r


def _modifier(r: Request, word: str) -> str | None:
    """Apply a modifier; "" where that is done, a complaint where it is wrong, None where it is none."""
    name, _, value = lower(word).partition("_")
    if name == "defer":
        if value not in ("strict", "lax", "never"):
            return "unsupported dnsdb defer behaviour"
        r.defer = value
    elif name == "dnssec":
        if value not in ("strict", "lax", "never"):
            return "unsupported dnsdb dnssec behaviour"
        r.dnssec = value
    elif name == "retrans":
        seconds = _seconds(value)
        if seconds is None:
            return "unsupported dnsdb timeout value"
        r.retrans = seconds
    elif name == "retry":
        if value and not is_digits(value):
            return "dnsdb modifier syntax error"
        r.retry = int(value or 0)
    else:
        return None
    return ""


def _seconds(text: str) -> int | None:
    m = _TIME.match(text)
    if m is None or not text:
        return None
    return sum(int(n) * unit for n, unit in zip(m.groups("0"), (604800, 86400, 3600, 60, 1), strict=True))


class Dnsdb(Lookup):
    """One or several questions; the answers of all are put together."""

    query_style = True

    def find(self, handle: Any, name: str, key: str, options: dict[str, str], scope: Scope) -> Outcome:
        r = parse_query(str(key))
        if isinstance(r, str):
            return Deferred(r)
        resolver = resolver_of(scope)
        out: list[str] = []
        deferred = ""
        secure = True
        for domain in r.names:
            for kind in ("aaaa", "a") if r.type == "a+" else (r.type,):
                answer = _ask(resolver, kind, domain, r, scope)
                if isinstance(answer, Answer):
                    if answer and r.dnssec == "strict" and not answer.dnssec:
                        answer = Answer("again", error="the answer is not authenticated")
                    if answer.again and r.defer != "never":
                        if r.defer == "strict":
                            return Deferred(answer.error or "DNS lookup deferred")
                        deferred = answer.error or "DNS lookup deferred"
                    if answer:
                        secure = secure and answer.dnssec
                        out += _texts(answer, kind, r)
                elif answer is not None:
                    out.append(answer)
        if any(out):
            scope.vars["lookup_dnssec_authenticated"] = "yes" if secure else "no"
            return Found(r.separator.join(out))
        return Deferred(deferred) if deferred else NOT_FOUND


def _ask(resolver: Resolver, kind: str, domain: str, r: Request, scope: Scope) -> Answer | str | None:
    """Ask one question; text for a pseudo-type that has no records of its own."""
    def lookup(name: str, rtype: str) -> Answer:
        return resolver.lookup(name, rtype, dnssec=r.dnssec != "never", retrans=r.retrans, retry=r.retry,
                               timed=False)  # slow_lookup_log is for what is asked without being told to

    if kind == "ptr" and is_ip(domain):
        domain = reverse_name(domain) or domain
    if kind == "csa":
        return csa(domain, lookup, scope)
    if kind in ("zns", "soa"):
        return _upwards(lookup, domain, "NS" if kind == "zns" else "SOA")
    return lookup(domain, {"mxh": "MX"}.get(kind, kind.upper()))


def _upwards(lookup: Callable[[str, str], Answer], domain: str, rtype: str) -> Answer:
    """Ask for a name, then for its parents, until there is an answer; never for the root."""
    answer = Answer(NO_NAME)
    while domain:
        answer = lookup(domain, rtype)
        if answer or answer.again:
            return answer
        domain = domain.partition(".")[2]
    return answer


def _texts(answer: Answer, kind: str, r: Request) -> list[str]:
    """Return the records as text."""
    return [_text(record, kind, r.fields) for record in answer.records]


def _text(record: Record, kind: str, fields: str | None) -> str:
    value = record.value
    if kind == "mxh":
        return str(value[1])
    if kind == "mx":
        return f"{value[0]}{_between(fields)}{value[1]}"
    if kind in ("srv", "tlsa"):
        return _between(fields).join(str(v) for v in value)
    if kind == "soa":
        if not fields:
            return str(value[0])
        return _between(fields).join(str(v) for v in value)
    if kind in ("txt", "spf"):
        if fields is None and kind == "txt":
            return str(value[0]) if value else ""
        return (fields or "").join(value)
    return str(value)


def _between(fields: str | None) -> str:
    return " " if fields is None else fields


# -- CSA


def csa(domain: str, lookup: Callable[[str, str], Answer], scope: Scope) -> Answer | str | None:
    """Return "Y host" and the like for a domain's client authorisation, or an Answer without records.

    The SRV record at _client._smtp says it; where the domain has none, a parent's record may say that
    subdomains need one.  Spec: section "Client SMTP authorization".
    """
    main = scope.config.main
    address = domain[1:-1] if domain[:1] == "[" else domain
    if is_ip(address):
        if not main.dns_csa_use_reverse:
            return None
        domain = reverse_name(address) or domain
    labels = domain.split(".")
    limit = main.dns_csa_search_limit
    for depth in range(min(limit, len(labels) - 1) + 1):
        name = ".".join(labels[depth:])
        if depth and name in ("in-addr.arpa", "ip6.arpa", "arpa"):
            break
        answer = lookup(f"_client._smtp.{name}", "SRV")
        if answer.again:
            return answer
        for priority, weight, port, target in answer.values:
            if priority != 1:
                continue
            if depth:  # only the assertion about subdomains counts
                return f"X {domain}" if port & 1 else None
            code = {1: "N", 2: "Y", 3: "?"}.get(weight)
            return f"{code} {target}" if code else None
        if answer:
            break
    return None
