"""Records of the DNS as text, for DNS lists and client SMTP authorization."""

from __future__ import annotations

from pyexim.base.record import dataclass, field
from pyexim.expand.scope import Scope


@dataclass(slots=True)
class Answer:
    """The records of one name and type; ``ttl`` in seconds, also for an answer without records."""

    records: list[str] = field(default_factory=list)
    ttl: int = 0
    deferred: bool = False


def records(name: str, kind: str, scope: Scope) -> Answer:
    """Ask for A, TXT or SRV records; a TXT record's strings are joined, an SRV record's fields separated by spaces."""
    from pyexim.dns.hosts import resolver_of  # only where the DNS is asked

    answer = resolver_of(scope).lookup(name, kind)
    if answer.again:
        return Answer(deferred=True)
    out: list[str] = []
    for value in answer.values if answer else []:
        if isinstance(value, tuple):
            out.append(("" if kind == "TXT" else " ").join(str(part) for part in value))
        else:
            out.append(str(value))
    return Answer(out, answer.ttl)
