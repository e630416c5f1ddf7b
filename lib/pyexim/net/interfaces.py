"""The addresses of this host's interfaces, and what counts as local.

Spec: chapter 13, "Recognizing the local host".  The operating system is asked at most once a minute;
callers give the time.
"""

from __future__ import annotations

import errno
from typing import Final

from pyexim.base.ipaddress import V6, from_key, parse, split_host_port
from pyexim.base.lists import split_list

DEFAULT_LOCAL_INTERFACES: Final = "<; ::0 ; 0.0.0.0"
"""local_interfaces where the configuration does not set it."""

_SIOCGIFCONF: Final = 0x8912
_IFREQ: Final = 40
"""Size of struct ifreq with 64-bit pointers; 32 with shorter ones."""
_MAX_AGE: Final = 60.0

_system: list[tuple[float, list[str]]] = []
_local: dict[tuple[str | None, str | None, bool], tuple[float, frozenset[int]]] = {}


def _ipv4_addresses() -> list[str]:
    """Return the IPv4 addresses of all interfaces that are up, from the Linux kernel."""
    import array
    import fcntl
    import socket
    import struct  # these only where the interfaces are looked at

    size = _IFREQ if struct.calcsize("P") == 8 else 32
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        room = 64 * size
        while True:
            buffer = array.array("B", bytes(room))
            address, _ = buffer.buffer_info()
            answer = fcntl.ioctl(s.fileno(), _SIOCGIFCONF, struct.pack("iP", room, address))
            used: int = struct.unpack("iP", answer)[0]
            if used + size <= room:
                break
            room *= 2
    data = bytes(buffer[:used])
    return [socket.inet_ntoa(data[i + 20:i + 24]) for i in range(0, used, size)
            if struct.unpack_from("H", data, i + 16)[0] == socket.AF_INET]


def _ipv6_addresses() -> list[str]:
    """Return the IPv6 addresses of all interfaces, from the Linux kernel."""
    try:
        with open("/proc/net/if_inet6", encoding="ascii") as f:
            return [from_key(V6 | int(line[:32], 16)) for line in f]
    except FileNotFoundError:
        return []


def _from_psutil() -> list[str]:
    """Return the addresses of all interfaces on a system that is no Linux."""
    import socket

    import psutil  # type: ignore[import-untyped, unused-ignore]  # heavy, and only here

    return [a.address.partition("%")[0] for addresses in psutil.net_if_addrs().values() for a in addresses
            if a.family in (socket.AF_INET, socket.AF_INET6)]


def system_addresses(now: float = 0.0) -> list[str]:
    """Return the addresses of this host's interfaces, loopback included; ``now`` is monotonic time."""
    if _system and 0 <= now - _system[0][0] < _MAX_AGE:
        return _system[0][1]
    try:
        addresses = _ipv6_addresses() + _ipv4_addresses()
    except OSError as e:
        if e.errno not in (errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        addresses = _from_psutil()
    _system[:] = [(now, addresses)]
    return addresses


def listed_addresses(text: str) -> list[tuple[str, int]]:
    """Return (address, port or 0) for each item of local_interfaces; ValueError names one that is wrong."""
    out = []
    for item in split_list(text):
        pair = split_host_port(item)
        if pair is None:
            raise ValueError(item)
        out.append(pair)
    return out


def local_keys(local_interfaces: str | None = None, extra_local_interfaces: str | None = None,
               disable_ipv6: bool = False, now: float = 0.0) -> frozenset[int]:
    """Return the keys (see base.ipaddress) of the addresses that are this host's for mail.

    The arguments are the options of these names; ports in them are ignored, 0.0.0.0 and ::0 stand
    for all interfaces, and a malformed item (the daemon refuses to start with one) for nothing.
    """
    index = local_interfaces, extra_local_interfaces, disable_ipv6
    have = _local.get(index)
    if have is not None and 0 <= now - have[0] < _MAX_AGE:
        return have[1]
    keys: set[int] = set()
    items = split_list(local_interfaces or DEFAULT_LOCAL_INTERFACES) + split_list(extra_local_interfaces or "")
    for item in items:
        pair = split_host_port(item)
        key = parse(pair[0]) if pair else None
        if pair is None or key is None:
            continue
        if pair[0] == "0.0.0.0" or key == parse("::"):
            v6 = ":" in pair[0]
            keys.update(k for a in system_addresses(now) if (":" in a) is v6 and (k := parse(a)) is not None)
        else:
            keys.add(key)
    if disable_ipv6:
        keys = {k for k in keys if k < 1 << 32}
    result = frozenset(keys)
    _local[index] = now, result
    return result


def forget() -> None:
    """Ask the operating system again at the next call (after a reload, in tests)."""
    _system.clear()
    _local.clear()
