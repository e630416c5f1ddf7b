"""The resolver: questions to the DNS under Exim's options, answers as values, kept for a while.

One object per process and configuration, made by :func:`make_resolver`.  Names and addresses of hosts are
the business of dns.hosts.  Options: dns_again_means_nonexist, dns_check_names_pattern, dns_cname_loops,
dns_dnssec_ok, dns_retrans, dns_retry, dns_trust_aa, dns_use_edns0, dns_ipv4_lookup.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pyexim.base.clock import Clock, SystemClock
from pyexim.base.octets import lower
from pyexim.base.record import dataclass, field
from pyexim.dns import query, table
from pyexim.dns.query import NoAnswer, SystemSettings, read_resolv_conf
from pyexim.dnswire.message import FLAG_AA, FLAG_AD, NXDOMAIN, TYPES, Packet, Record

if TYPE_CHECKING:
    from pyexim.config.configuration import Configuration

FOUND, NODATA, NO_NAME, AGAIN = "found", "nodata", "nxdomain", "again"

CACHE_LIMIT: Final = 2000
MAX_TTL: Final = 3600
_UNCHECKED_TYPES: Final = frozenset({"PTR", "TXT", "SPF"})
_SERVICE_LABELS: Final = re.compile(r"(?:_[^.]*\.)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the DNS said.

    ``status`` is "found" (then there are ``records`` of the type asked for), "nodata" (the name exists),
    "nxdomain" or "again" (a temporary failure; ``error`` says which).  ``name`` is the name that was
    found, after qualification but before CNAMEs; ``canonical`` after them.  It is true when found.
    """

    status: str
    records: tuple[Record, ...] = ()
    name: str = ""
    canonical: str = ""
    dnssec: bool = False
    ttl: int = 0
    error: str = ""

    def __bool__(self) -> bool:
        return self.status == FOUND

    @property
    def again(self) -> bool:
        return self.status == AGAIN

    @property
    def values(self) -> list[Any]:
        """The data of the records."""
        return [r.value for r in self.records]


_OUTCOMES: Final = {FOUND: "success", NODATA: "NO_DATA", NO_NAME: "HOST_NOT_FOUND", AGAIN: "TRY_AGAIN"}


def _outcome(answer: Answer) -> str:
    """Return how -d+dns calls what came of a question."""
    return _OUTCOMES[answer.status]


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that concern the DNS."""

    retrans: int = 0
    retry: int = 0
    check_names_pattern: str = ""
    again_means_nonexist: str = ""
    cname_loops: int = 1
    dnssec_ok: int = -1
    use_edns0: int = -1
    trust_aa: str = ""
    ipv4_lookup: str = ""
    slow_ms: int = 0
    """Questions that take longer than so many milliseconds are told of; 0 for none."""
    system: SystemSettings = field(default_factory=SystemSettings)


class Resolver:
    """Asks the DNS; see the module.

    ``in_list(domain, list)`` judges the options that are domain lists.  ``servers`` overrides those of the
    system: for tests only, no configuration can say it.
    """

    def __init__(self, settings: Settings, *, in_list: Callable[[str, str], bool] | None = None,
                 clock: Clock | None = None, servers: list[tuple[str, int]] | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.fixed_servers = servers is not None
        """Made for a test: the system's own ways of finding hosts are not to be used."""
        self.tell: Callable[[str], None] | None = None
        """Gets a line for each slow question."""
        self.trace: Callable[[str], None] | None = None
        """Gets a line for each question (-d+dns)."""
        self.trace_lists: Callable[[str], None] | None = None
        """Gets a line where a list that is not set is asked for (-d+lists, -bh)."""
        self._told_unset: set[str] = set()
        self._servers = tuple(servers) if servers else settings.system.servers
        self._in_list = in_list
        self._name_pattern: Callable[[str], Any] | None = None
        self._cache: dict[tuple[Any, ...], tuple[float, Answer]] = {}

    def lookup(self, name: str, rtype: str, *, qualify_single: bool = False, search_parents: bool = False,
               dnssec: bool = False, retrans: int | None = None, retry: int | None = None,
               timed: bool = True) -> Answer:
        """Return the records of a type at a name (text, with or without a final dot).

        With ``qualify_single`` a name of one component, with ``search_parents`` any name is also tried
        with the domains of the system's search list.  ``dnssec`` asks for authenticated data.
        ``timed``: it is told where this takes long.
        """
        name = str(name)
        if name.endswith("."):
            name, qualify_single, search_parents = name[:-1], False, False
        key = (lower(name), rtype, qualify_single, search_parents, dnssec, retrans, retry)
        now = self.clock.monotonic()
        have = self._cache.get(key)
        if have is not None:
            if have[0] > now:
                if self.trace is not None:
                    self.trace(f"DNS lookup of {name} ({rtype}): using cached value {_outcome(have[1])}")
                return have[1]
            del self._cache[key]
        answer = self._searched(name, rtype, qualify_single, search_parents, dnssec, retrans, retry)
        if self.trace is not None:
            self.trace(f"DNS lookup of {name} ({rtype}) {'succeeded' if answer else 'gave ' + _outcome(answer)}")
        if timed and self.tell is not None and self.settings.slow_ms:
            taken = int((self.clock.monotonic() - now) * 1000)
            if taken > self.settings.slow_ms:
                self.tell(f"Long {rtype} lookup for '{name}': {taken} msec")
        if answer.status != AGAIN:
            if len(self._cache) >= CACHE_LIMIT:
                for old in list(self._cache)[:CACHE_LIMIT // 2]:
                    del self._cache[old]
            self._cache[key] = now + min(answer.ttl, MAX_TTL), answer
        return answer

    def ipv4_only(self, name: str) -> bool:
        """Tell whether dns_ipv4_lookup says that a host has no IPv6 addresses worth asking for."""
        return bool(self.settings.ipv4_lookup) and self._listed(name, self.settings.ipv4_lookup)

    def nonexist_when_again(self, name: str) -> bool:
        """Tell whether dns_again_means_nonexist turns a temporary failure for a name into a permanent one."""
        return bool(self.settings.again_means_nonexist) and self._listed(name, self.settings.again_means_nonexist)

    def forget(self) -> None:
        """Empty the cache."""
        self._cache.clear()

    # -- one question

    def _searched(self, name: str, rtype: str, qualify_single: bool, search_parents: bool, dnssec: bool,
                  retrans: int | None, retry: int | None) -> Answer:
        if not self.is_legal(name, rtype):
            return Answer(NO_NAME, name=name, ttl=60, error="the name is not legal in the DNS")
        domains = self.settings.system.search
        dots = name.count(".")
        if not domains or not ((qualify_single and dots == 0) or (search_parents and dots > 0)):
            return self._followed(name, rtype, dnssec, retrans, retry)
        candidates = [f"{name}.{d}" for d in domains if d]
        # A name with enough dots is tried as it is first, another one last.
        candidates.insert(0 if dots >= self.settings.system.ndots else len(candidates), name)
        worst: Answer | None = None
        for candidate in candidates:
            answer = self._followed(candidate, rtype, dnssec, retrans, retry)
            if answer or answer.again:
                return answer
            if worst is None or answer.status == NODATA:
                worst = answer
        assert worst is not None
        return worst

    def _followed(self, name: str, rtype: str, dnssec: bool, retrans: int | None, retry: int | None) -> Answer:
        """Ask, and follow CNAME records that the server has not followed itself."""
        target = name
        secure = True
        for _ in range(self.settings.cname_loops + 1):
            packet = self._ask(target, rtype, dnssec, retrans, retry)
            if isinstance(packet, NoAnswer):
                return self._failed(name, packet.text)
            secure = secure and self._authenticated(packet, target)
            canonical = self._canonical(packet, target, rtype)
            records = tuple(r for r in packet.answer if r.type == rtype and lower(r.name) == lower(canonical))
            if records:
                ttl = min(r.ttl for r in packet.answer)
                return Answer(FOUND, records, name, canonical, secure, ttl)
            if lower(canonical) == lower(target):
                if any(r.type == "CNAME" and lower(r.name) == lower(target) for r in packet.answer):
                    break
                status = NO_NAME if packet.rcode == NXDOMAIN else NODATA
                return Answer(status, (), name, canonical, secure, _negative_ttl(packet))
            if packet.rcode == NXDOMAIN:
                return Answer(NO_NAME, (), name, canonical, secure, _negative_ttl(packet))
            target = canonical
        return self._failed(name, f"CNAME loop for {name} encountered")

    @staticmethod
    def _canonical(packet: Packet, name: str, rtype: str) -> str:
        if rtype == "CNAME":
            return name
        aliases = {lower(r.name): str(r.value) for r in packet.answer if r.type == "CNAME"}
        for _ in range(len(aliases)):
            following = aliases.get(lower(name))
            if following is None:
                break
            name = following
        return name

    def _ask(self, name: str, rtype: str, dnssec: bool, retrans: int | None, retry: int | None) -> Packet | NoAnswer:
        settings = self.settings
        want_dnssec = (dnssec and settings.dnssec_ok != 0) or settings.dnssec_ok == 1
        try:
            return query.ask(name, TYPES[rtype], self._servers, clock=self.clock.monotonic,
                             timeout=retrans or settings.retrans or settings.system.timeout,
                             attempts=retry or settings.retry or settings.system.attempts,
                             edns=settings.use_edns0 == 1, dnssec=want_dnssec)
        except ValueError:
            return Packet(0, NXDOMAIN, None, [], [])  # no such name can be in the DNS

    def _authenticated(self, packet: Packet, name: str) -> bool:
        if packet.flags & FLAG_AD:
            return True
        return bool(packet.flags & FLAG_AA and self.settings.trust_aa and self._listed(name, self.settings.trust_aa))

    def _failed(self, name: str, text: str) -> Answer:
        """Return the outcome of a failure that may pass."""
        if self.nonexist_when_again(name):
            return Answer(NO_NAME, name=name, error=text)
        if self.trace_lists is not None and not self.settings.again_means_nonexist and name not in self._told_unset:
            self._told_unset.add(name)
            self.trace_lists(f"{name} in dns_again_means_nonexist? no (option unset)")
        return Answer(AGAIN, name=name, error=text)

    def _listed(self, name: str, domains: str) -> bool:
        return self._in_list is not None and self._in_list(name, domains)

    def is_legal(self, name: str, rtype: str) -> bool:
        """Tell whether dns_check_names_pattern lets a name be asked for."""
        pattern = self.settings.check_names_pattern
        if not pattern or rtype in _UNCHECKED_TYPES:
            return True
        if rtype in ("SRV", "TLSA"):
            name = _SERVICE_LABELS.sub("", name, count=1)
        if self._name_pattern is None:
            try:
                self._name_pattern = re.compile(pattern, re.ASCII).search
            except re.error:  # PCRE knows more than Python does
                self._name_pattern = table.load(table.COMPILE_REGEX)(pattern).search
        return self._name_pattern(name) is not None


def _negative_ttl(packet: Packet) -> int:
    """Return how long "it is not there" holds (RFC 2308); a minute where the answer does not say."""
    for record in packet.authority:
        if record.type == "SOA":
            return min(record.ttl, int(record.value[6]))
    return 60


def make_resolver(config: Configuration, *, clock: Clock | None = None,
                  servers: list[tuple[str, int]] | None = None) -> Resolver:
    """Return the resolver for a configuration; ``servers`` is for tests."""
    main = config.main
    settings = Settings(
        retrans=main.dns_retrans, retry=main.dns_retry, check_names_pattern=main.dns_check_names_pattern or "",
        again_means_nonexist=main.dns_again_means_nonexist or "", cname_loops=main.dns_cname_loops,
        dnssec_ok=main.dns_dnssec_ok, use_edns0=main.dns_use_edns0, trust_aa=main.dns_trust_aa or "",
        ipv4_lookup=main.dns_ipv4_lookup or "", slow_ms=main.slow_lookup_log,
        system=SystemSettings(servers=tuple(servers)) if servers else read_resolv_conf())

    def in_list(domain: str, domains: str) -> bool:
        return bool(table.load(table.IN_DOMAIN_LIST)(domain, domains, config))

    return Resolver(settings, in_list=in_list, clock=clock, servers=servers)
