"""Lists of hosts as manualroute, queryprogram and fallback_hosts write them.

An item is a name or an address, with "::port" behind it (the colon is doubled because it separates
items), an address in brackets where a port follows, "name/mx" for a sublist from the DNS, or "+"
between groups that are randomized separately.  Spec: chapter "The manualroute router".
"""

from __future__ import annotations

from pyexim.base.octets import is_digits, lower
from pyexim.base.taint import like
from pyexim.match.lists import split_list
from pyexim.model.host import MX_NONE, Host


def is_ip(text: str) -> int:
    """Return 4 or 6 for the text form of an IP address, 0 for anything else."""
    if ":" in text:
        from socket import AF_INET6, inet_pton
        try:
            inet_pton(AF_INET6, text.partition("%")[0])
        except (OSError, ValueError):
            return 0
        return 6
    parts = text.split(".")
    if len(parts) == 4 and all(len(p) <= 3 and is_digits(p) and int(p) < 256 for p in parts):
        return 4
    return 0


def split_port(item: str) -> tuple[str, int | None]:
    """Split "name:port", "[address]:port" or an address without port."""
    if item.startswith("["):
        end = item.find("]")
        if end > 0:
            inner, rest = item[1:end], item[end + 1:]
            port = rest[1:] if rest.startswith((":", ".")) else ""
            if is_digits(port) and len(port) < 6:
                return like(inner, item), int(port)
            return item, None  # without a port it is a name, which nobody has
    if is_ip(item):
        return item, None
    name, colon, port = item.rpartition(":")
    if colon and is_digits(port) and len(port) < 6:
        return like(name, item), int(port)
    return item, None


def parse_host_list(text: str) -> list[Host]:
    """Return the hosts of an expanded list; ``address`` is set for IP addresses, ``mx`` tells groups of "+".

    "/mx" stays on the name of a host (in lower case) for whoever looks the hosts up.
    """
    hosts: list[Host] = []
    group = MX_NONE
    for item in split_list(text):
        if not item:
            continue
        if item == "+":
            group -= 1
            continue
        name, port = split_port(item)
        if lower(name[-3:]) == "/mx":
            name = like(name[:-3] + "/mx", item)
            hosts.append(Host(name, None, port, group))
        else:
            hosts.append(Host(name, str(name) if is_ip(name) else None, port, group))
    return hosts
