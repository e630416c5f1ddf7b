"""DNS packets: a question to octets, octets to records.

Only what a mail system asks for is taken apart; other record data stays octets.  Written here because a
process that asks one question must not load a whole DNS library (65 ms) for it.  RFC 1035, 2782, 3596, 6698,
6891.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_ntop
from struct import Struct
from struct import error as StructError
from typing import Any, Final

from pyexim.base.record import dataclass

TYPES: Final[dict[str, int]] = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "DS": 43,
    "DNSKEY": 48, "TLSA": 52, "SPF": 99, "CAA": 257}
NAMES: Final[dict[int, str]] = {code: name for name, code in TYPES.items()}

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
FLAG_QR, FLAG_AA, FLAG_TC, FLAG_RD, FLAG_RA, FLAG_AD, FLAG_CD = 0x8000, 0x400, 0x200, 0x100, 0x80, 0x20, 0x10
_OPT: Final = 41
_IN: Final = 1

_HEADER: Final = Struct("!HHHHHH")
_QUESTION: Final = Struct("!HH")
_RECORD: Final = Struct("!HHIH")
_SRV: Final = Struct("!HHH")
_SOA: Final = Struct("!IIIII")


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record; ``value`` depends on the type.

    A, AAAA: the address; NS, CNAME, PTR: a name; MX: (preference, name); SRV: (priority, weight, port,
    name); TXT, SPF: tuple of strings; SOA: (primary, mailbox, serial, refresh, retry, expire, minimum);
    TLSA: (usage, selector, matching type, data in hex); others: the octets.
    """

    name: str
    type: str
    ttl: int
    value: Any


@dataclass(slots=True)
class Packet:
    """A response taken apart."""

    id: int
    flags: int
    question: tuple[str, int] | None
    answer: list[Record]
    authority: list[Record]

    @property
    def rcode(self) -> int:
        return self.flags & 15


def encode_name(name: str) -> bytes:
    """Return a domain name as octets; ValueError where a label or the name is too long or empty."""
    out = bytearray()
    for label in _labels(name):
        if not 0 < len(label) < 64:
            raise ValueError(f"bad label in domain name {name!r}")
        out.append(len(label))
        out += label
    out.append(0)
    if len(out) > 255:
        raise ValueError(f"domain name {name!r} is too long")
    return bytes(out)


def _labels(name: str) -> list[bytes]:
    data = name.encode("latin-1", "replace")
    if data.endswith(b".") and not data.endswith(b"\\."):
        data = data[:-1]
    if not data:
        return []
    if b"\\" not in data:
        return data.split(b".")
    labels, current, i = [], bytearray(), 0
    while i < len(data):
        c = data[i]
        if c == 0x5C and i + 1 < len(data):
            if data[i + 1:i + 4].isdigit() and len(data[i + 1:i + 4]) == 3 and int(data[i + 1:i + 4]) < 256:
                current.append(int(data[i + 1:i + 4]))
                i += 4
            else:
                current.append(data[i + 1])
                i += 2
            continue
        if c == 0x2E:
            labels.append(bytes(current))
            current.clear()
        else:
            current.append(c)
        i += 1
    return [*labels, bytes(current)]


def encode_query(ident: int, name: str, rtype: int, *, recursion: bool = True, dnssec: bool = False,
                 edns_size: int = 1232) -> bytes:
    """Return a query; ``dnssec`` sets the DO bit, ``edns_size`` 0 leaves EDNS out.

    The AD bit is always set: it asks the resolver to tell whether it has validated the answer.
    """
    flags = FLAG_AD | (FLAG_RD if recursion else 0)
    data = _HEADER.pack(ident, flags, 1, 0, 0, 1 if edns_size else 0) + encode_name(name) + _QUESTION.pack(rtype, _IN)
    if edns_size:
        data += b"\0" + _RECORD.pack(_OPT, edns_size, 0x8000 if dnssec else 0, 0)
    return data


def decode(data: bytes) -> Packet:
    """Take a packet apart; ValueError where it is malformed."""
    try:
        ident, flags, questions, answers, authorities, _ = _HEADER.unpack_from(data)
        at = _HEADER.size
        question = None
        for _ in range(questions):
            name, at = _name(data, at)
            rtype, _class = _QUESTION.unpack_from(data, at)
            at += 4
            question = question or (name, rtype)
        answer, at = _records(data, at, answers)
        authority, at = _records(data, at, authorities)
        return Packet(ident, flags, question, answer, authority)
    except (IndexError, ValueError, StructError) as e:
        raise ValueError(f"malformed DNS packet: {e}") from None


def _records(data: bytes, at: int, count: int) -> tuple[list[Record], int]:
    out = []
    for _ in range(count):
        name, at = _name(data, at)
        code, rclass, ttl, length = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        if at + length > len(data):
            raise ValueError("record data runs past the end")
        if rclass == _IN and code != _OPT:
            out.append(Record(name, NAMES.get(code, f"TYPE{code}"), ttl if ttl < 1 << 31 else 0,
                              _value(data, at, length, code)))
        at += length
    return out, at


def _value(data: bytes, at: int, length: int, code: int) -> Any:
    end = at + length
    if code == 1 and length == 4:
        return inet_ntop(AF_INET, data[at:end])
    if code == 28 and length == 16:
        return inet_ntop(AF_INET6, data[at:end])
    if code in (2, 5, 12):
        return _name(data, at)[0]
    if code == 15:
        return data[at] << 8 | data[at + 1], _name(data, at + 2)[0]
    if code in (16, 99):
        strings = []
        while at < end:
            size = data[at]
            if at + 1 + size > end:
                raise ValueError("string runs past its record")
            strings.append(data[at + 1:at + 1 + size].decode("latin-1"))
            at += 1 + size
        return tuple(strings)
    if code == 33:
        return (*_SRV.unpack_from(data, at), _name(data, at + 6)[0])
    if code == 6:
        primary, at = _name(data, at)
        mailbox, at = _name(data, at)
        return (primary, mailbox, *_SOA.unpack_from(data, at))
    if code == 52 and length >= 3:
        return data[at], data[at + 1], data[at + 2], data[at + 3:end].hex()
    return data[at:end]


_SPECIAL: Final = frozenset(b'."\\();@$')


def _name(data: bytes, at: int) -> tuple[str, int]:
    """Return (name without the final dot, index after it); pointers must lead backwards."""
    labels: list[str] = []
    after = -1
    limit = at
    total = 0
    while True:
        size = data[at]
        if size >= 0xC0:
            target = (size & 0x3F) << 8 | data[at + 1]
            if after < 0:
                after = at + 2
            if target >= limit:
                raise ValueError("compression pointer leads forward")
            limit = at = target
            continue
        if size >= 0x40:
            raise ValueError("unknown label type")
        at += 1
        if size == 0:
            return ".".join(labels), at if after < 0 else after
        total += size + 1
        if total > 254:
            raise ValueError("name too long")
        label = data[at:at + size]
        if len(label) != size:
            raise ValueError("label runs past the end")
        labels.append(_label_text(label))
        at += size


def _label_text(label: bytes) -> str:
    text = label.decode("latin-1")
    if text.isascii() and text.isalnum():
        return text
    if not any(c in _SPECIAL or not 32 < c < 127 for c in label):
        return text
    return "".join(f"\\{chr(c)}" if c in _SPECIAL else chr(c) if 32 < c < 127 else f"\\{c:03d}" for c in label)
