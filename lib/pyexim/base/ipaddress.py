"""IP addresses as text, the way Exim accepts and prints them, and as one integer for comparing.

An address is what inet_pton takes, and an IPv6 address may end in ``%`` and a scope.  For comparing,
it is a *key*: an IPv4 address its 32-bit value, an IPv6 address its 128-bit value plus ``V6`` (so no
IPv4 key equals an IPv6 key).  Spec: chapters 10 (host lists), 11 (mask, reverse_ip, ipv6norm...) and
13 (scopes, ports).
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton  # the module around it is slow to import
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Generic, TypeVar

T = TypeVar("T")

V6: Final = 1 << 128
"""Added to the value of an IPv6 address to make its key."""

_MAPPED: Final = 0xFFFF << 32
_LOW32: Final = 0xFFFFFFFF


def _parse(text: str) -> int | None:
    """Return the key of an address, or None where the text is none."""
    try:
        if ":" not in text:
            return int.from_bytes(inet_pton(AF_INET, text), "big")
        if "%" in text:
            text = text[:text.index("%")]
        return int.from_bytes(inet_pton(AF_INET6, text), "big") | V6
    except (OSError, ValueError):  # ValueError: a NUL or a character that is no octet
        return None


parse: Final[Callable[[str], int | None]] = lru_cache(4096)(_parse)
"""Return the key of an address, or None where the text is none; a scope is ignored."""


def is_ip(text: str) -> int:
    """Return 4 or 6 for an address of that family, 0 for anything else."""
    value = parse(text)
    return 0 if value is None else 6 if value >= V6 else 4


def is_ipv4(text: str) -> bool:
    """Tell whether the text is an IPv4 address."""
    return is_ip(text) == 4


def is_ipv6(text: str) -> bool:
    """Tell whether the text is an IPv6 address, perhaps with a scope."""
    return is_ip(text) == 6


def to_bytes(text: str) -> bytes | None:
    """Return the 4 or 16 octets of an address, or None."""
    value = parse(text)
    if value is None:
        return None
    return (value - V6).to_bytes(16, "big") if value >= V6 else value.to_bytes(4, "big")


def from_key(key: int) -> str:
    """Return the usual text of a key."""
    if key >= V6:
        return inet_ntop(AF_INET6, (key - V6).to_bytes(16, "big"))
    return f"{key >> 24}.{key >> 16 & 255}.{key >> 8 & 255}.{key & 255}"


def unmapped_key(key: int) -> int:
    """Return the IPv4 key for that of an IPv4-mapped IPv6 address, any other unchanged."""
    return key & _LOW32 if key >> 32 == (V6 | _MAPPED) >> 32 else key


def unmap(text: str) -> str:
    """Return the IPv4 address of an IPv4-mapped IPv6 address, any other text unchanged."""
    if text[:2] != "::":
        return text
    key = parse(text)
    if key is None:
        return text
    plain = unmapped_key(key)
    return text if plain == key else from_key(plain)


# -- networks


def split_mask(text: str) -> tuple[str, int | None] | None:
    """Split "ADDRESS/BITS" into its parts, the bits None without "/"; None where it is neither.

    The number of bits may be larger than the address has; an empty number counts as 0 bits given.
    """
    address, slash, bits = text.partition("/")
    if parse(address) is None:
        return None
    if not slash:
        return address, None
    if not bits.isascii() or not bits.isdigit() or len(bits) > 9:
        return None
    return address, int(bits)


def mask_of(bits: int, v6: bool) -> int:
    """Return the mask for comparing keys under a number of leading bits (more than there are: all)."""
    if v6:
        return V6 | (0 if bits <= 0 else (V6 - 1) ^ (V6 - 1) >> min(bits, 128))
    # the bits above an IPv4 value stay in the mask: they tell IPv6 keys apart
    return (V6 << 1) - 1 ^ _LOW32 >> min(max(bits, 0), 32)


def parse_network(text: str) -> tuple[int, int] | None:
    """Return (mask, masked key) of "ADDRESS/BITS" (without bits: the single address), or None.

    A key belongs to the network when ``key & mask`` is the masked key.
    """
    parts = split_mask(text)
    if parts is None:
        return None
    key = parse(parts[0])
    assert key is not None
    mask = mask_of(128 if parts[1] is None else parts[1], key >= V6)
    return mask, key & mask


class NetworkTable(Generic[T]):
    """Networks in an order, each with a value; an address is looked up once for each different mask."""

    __slots__ = ("_by_mask", "_count")

    def __init__(self) -> None:
        self._by_mask: dict[int, dict[int, tuple[int, T]]] = {}
        self._count = 0

    def add(self, network: tuple[int, int], value: T) -> None:
        """Add a network as ``parse_network`` returns it."""
        self._by_mask.setdefault(network[0], {}).setdefault(network[1], (self._count, value))
        self._count += 1

    def find(self, key: int) -> T | None:
        """Return the value of the first network that an address (its key) belongs to."""
        best: tuple[int, T] | None = None
        for mask, table in self._by_mask.items():
            found = table.get(key & mask)
            if found is not None and (best is None or found[0] < best[0]):
                best = found
        return best[1] if best is not None else None


def apply_mask(address: str, bits: int) -> int:
    """Return the key of an address with all but the leading bits set to zero."""
    key = parse(address)
    if key is None:
        raise ValueError(address)
    return key & mask_of(bits, key >= V6)


def masked(address: str, bits: int, separator: str = ".") -> str:
    """Return "NETWORK/BITS" as the mask operator and net-number lookups have it.

    IPv6 networks are written in full with the separator between the groups.
    """
    return f"{full(from_key(apply_mask(address, bits)), separator)}/{bits}"


# -- forms


def full(address: str, separator: str = ":") -> str:
    """Return an IPv6 address in full, four lower case digits a group; an IPv4 address normalised."""
    key = parse(address)
    if key is None:
        raise ValueError(address)
    if key < V6:
        return from_key(key)
    digits = f"{key - V6:032x}"
    return separator.join(digits[i:i + 4] for i in range(0, 32, 4))


def reverse(address: str) -> str | None:
    """Return the labels for a reverse lookup, without a domain; None where it is no address."""
    key = parse(address)
    if key is None:
        return None
    key = unmapped_key(key)
    if key >= V6:
        return ".".join(reversed(f"{key - V6:032x}"))
    return f"{key & 255}.{key >> 8 & 255}.{key >> 16 & 255}.{key >> 24}"


def reverse_name(address: str) -> str | None:
    """Return the domain name that a reverse lookup asks for; None where it is no address."""
    labels = reverse(address)
    if labels is None:
        return None
    return labels + (".ip6.arpa" if len(labels) > 15 else ".in-addr.arpa")


def denormalise_ipv6(address: str) -> str | None:
    """Return the operator ipv6denorm's form: all groups in full, an IPv4 address mapped; None for no address."""
    key = parse(address)
    if key is None:
        return None
    return full(from_key(key if key >= V6 else V6 | _MAPPED | key))


def normalise_ipv6(address: str) -> str | None:
    """Return the operator ipv6norm's form: lower case, no leading zeros, the first longest run of zero groups as "::".

    An IPv4 address becomes a mapped one; None where the text is no address.
    """
    key = parse(address)
    if key is None:
        return None
    value = key - V6 if key >= V6 else _MAPPED | key
    groups = [f"{value >> shift & 0xFFFF:x}" for shift in range(112, -16, -16)]
    best, length = 0, 0
    i = 0
    while i < 8:
        j = i
        while j < 8 and groups[j] == "0":
            j += 1
        if j - i > length:
            best, length = i, j - i
        i = j + 1
    if not length:
        return ":".join(groups)
    return ":".join(groups[:best]) + "::" + ":".join(groups[best + length:])


# -- addresses with a port


def split_host_port(text: str) -> tuple[str, int] | None:
    """Split an address with an optional port, as lists have it; the port is 0 where none is given.

    Forms: ``1.2.3.4``, ``1.2.3.4.25``, ``[1.2.3.4]:25``, ``[1.2.3.4]``, and the same with IPv6
    addresses (``::1.25``).  None where it is none of these.
    """
    port = ""
    if text[:1] == "[":
        address, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and rest[0] != ":"):
            return None
        port = rest[1:]
        if rest and not port:
            return None
    else:
        address = text
        if parse(text) is None or ("%" in text and "." in text[text.index("%"):]):
            # a scope may hold dots too; a number after the last one is a port
            address, dot, port = text.rpartition(".")
            if not dot:
                return None
    if parse(address) is None:
        return None
    if not port:
        return address, 0
    if not port.isascii() or not port.isdigit() or len(port) > 9 or int(port) > 65535:
        return None if parse(text) is None else (text, 0)
    return address, int(port)


def parse_literal(domain: str) -> str | None:
    """Return the address inside a domain literal ("[1.2.3.4]", "[IPv6:::1]"), or None."""
    if len(domain) < 3 or domain[0] != "[" or domain[-1] != "]":
        return None
    inner = domain[1:-1]
    if inner[:5].lower() == "ipv6:":
        inner = inner[5:]
    return inner if parse(inner) is not None else None
