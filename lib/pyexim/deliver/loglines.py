"""The lines of the main log about deliveries, field by field, under all log selectors that apply.

Pure formatting; ``record`` decides what is logged and where.  Spec: chapter "Log files", sections 5 to 13.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from pyexim.base.octets import lower, printable
from pyexim.model.address import Address
from pyexim.transports.base import Result


class Selectors(Protocol):
    """Whether a log selector is on."""

    def __call__(self, name: str) -> bool: ...


def address_text(address: Address, *, all_parents: bool, success: bool, relative: str = "",
                 as_given: bool = False) -> str:
    """Return an address with its ancestors: "final (between) <original>".

    The final one is as its router saw it (without affixes, in lower case), unless ``as_given``.
    ``success`` is for => lines, where a router with log_as_local has the domain left out and the
    original always shown.  ``relative`` stands before the name of a file that has no absolute path.
    """
    local = success and address.kind == "address" and _as_local(address)
    if address.kind == "address":
        text = address.address if as_given else str(address.local_part)
        if not local and not as_given and address.domain:
            text += f"@{address.domain}"
    else:
        text = final_name(address)
        if address.kind in ("file", "directory") and not text.startswith("/"):
            text = relative + text
    top = address.top()
    if all_parents:
        between = []
        parent = address.parent
        while parent is not None and parent is not top:
            if parent.address != address.address:
                between.append(parent.address)
            parent = parent.parent
        text += "".join(f" ({p})" for p in between)
    elif address.kind != "address" and address.parent is not None and address.parent is not top:
        text += f" ({address.parent.address})"
    local_part, at, domain = top.address.rpartition("@")
    if text != local_part + at + (domain if as_given else lower(domain)):
        text += f" <{top.address}>"
    return text


def final_name(address: Address) -> str:
    """Return what a pipe, file or reply is called in the log."""
    text = str(address.address)
    if address.kind in ("file", "directory") and address.local_part.startswith("/"):
        return str(address.local_part)
    return text


def _as_local(address: Address) -> bool:
    router = address.router
    if router is None:
        return False
    value = getattr(router.options, "log_as_local", None)
    if value is None:
        return bool(router.driver.log_as_local)
    return bool(value)


def duration(seconds: float, *, millisec: bool) -> str:
    """Return a time as QT= and DT= have it: "1d2h3m4s", or "1.234s" with the selector millisec."""
    whole = int(seconds)
    if millisec and whole < 60:
        return f"{seconds:.3f}s"
    out = ""
    for unit, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
        count, whole = divmod(whole, size)
        if count:
            out += f"{count}{unit}"
    if whole or not out:
        out += f"{whole}s"
    return out


def host_field(result: Result, selected: Callable[[str], bool], *, success: bool) -> str:
    """Return H= and what belongs to the connection (DS, I=), or ""."""
    if result.host_name is None:
        return ""
    out = " H="
    out += f"{result.host_name} [{result.host_address}]" if result.host_address else result.host_name
    if result.host_address and result.host_port and selected("outgoing_port"):
        out += f":{result.host_port}"
    flags = result.flags
    if "continued" in flags:
        out += "*"
    if "tcp-fastopen" in flags:
        out += " TFO*" if "tcp-fastopen-data" in flags else " TFO"
    if "dnssec" in flags and selected("dnssec"):
        out += " DS"
    interface = _fact(flags, "interface=")
    if interface and selected("incoming_interface") and selected("outgoing_interface"):
        address, _, port = interface.rpartition(":")
        out += f" I=[{address}]" + (f":{port}" if selected("outgoing_port") else "")
    proxy = _fact(flags, "proxy=")
    if proxy and selected("proxy"):
        out += f" PRX={proxy}"
    return out


def _fact(flags: tuple[str, ...], name: str) -> str:
    for flag in flags:
        if flag.startswith(name):
            return flag[len(name):]
    return ""


def tls_fields(result: Result, selected: Callable[[str], bool]) -> str:
    """Return X=, CV=, DN= and A= of a delivery."""
    out = ""
    tls = result.tls
    if tls:
        if selected("tls_cipher") and tls.get("cipher"):
            out += f" X={tls['cipher']}"
            if tls.get("resumption") and selected("tls_resumption"):
                out += "*"
        if selected("tls_certificate_verified") and tls.get("cipher"):
            out += f" CV={tls.get('verified', 'no')}"
        if selected("tls_peerdn") and tls.get("peerdn"):
            out += f' DN="{printable(tls["peerdn"])}"'
    if result.auth:
        name, set_id, *sender = result.auth
        out += f" A={name}"
        if set_id:
            out += f":{printable(set_id)}"
            if sender and selected("smtp_mailauth"):
                out += f":{printable(sender[0])}"
    return out


def delivered(result: Result, mark: str, selected: Callable[[str], bool], *, sender: str, return_path: str | None,
              queue_seconds: float, queue_name: str = "", size: int = 0, shadow: str = "") -> str:
    """Return the line of a delivery; ``mark`` is =>, ->, *> or >>."""
    address = result.address
    out = f"{mark} {address_text(address, all_parents=selected('all_parents'), success=True)}"
    if selected("sender_on_delivery"):
        out += f" F=<{sender}>"
    if queue_name:
        out += f" Q={queue_name}"
    if selected("return_path_on_delivery") and return_path is not None:
        out += f" P=<{return_path}>"
    if address.router is not None:
        out += f" R={address.router.name}"
    if address.transport is not None:
        out += f" T={address.transport.name}"
    if selected("delivery_size"):
        out += f" S={size}"
    out += shadow
    host = host_field(result, selected, success=True)
    if host:
        out += host + tls_fields(result, selected)
        flags = result.flags
        if "pipelining" in flags and selected("pipelining"):
            out += " L*" if "early-pipelining" in flags else " L"
        if "prdr" in flags:
            out += " PRDR"
        if "chunking" in flags:
            out += " K"
    if result.confirmation is not None and selected("smtp_confirmation"):
        text = printable(result.confirmation)
        out += ' C="' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if result.log_extra:
        out += " " + result.log_extra
    millisec = selected("millisec")
    if selected("queue_time"):
        out += f" QT={duration(queue_seconds, millisec=millisec)}"
    if selected("deliver_time"):
        out += f" DT={duration(result.seconds, millisec=millisec)}"
    return out


def discarded(address: Address, selected: Callable[[str], bool], *, sender: str) -> str:
    """Return the line of an address that was delivered to nowhere."""
    what = address.message or ":blackhole:"
    out = f"=> {what} <{address.top().address}>" if what.startswith(":") else f"=> discarded <{address.top().address}>"
    if address.router is not None:
        out += f" R={address.router.name}"
    return out


def failed(address: Address, result: Result | None, selected: Callable[[str], bool], *, sender: str,
           return_path: str | None, mark: str = "** ") -> str:
    """Return the line of an address that is bounced."""
    out = mark + address_text(address, all_parents=selected("all_parents"), success=False, relative="save ")
    if selected("sender_on_delivery"):
        out += f" F=<{sender}>"
    if selected("return_path_on_delivery") and return_path is not None and address.transport is not None:
        out += f" P=<{return_path}>"
    out += _names(address)
    number, text = address.errno, address.message
    if result is not None:
        out += host_field(result, selected, success=False)
        out += tls_fields(result, selected)
    if number > 0:
        out += f": {os.strerror(number)}"
    if text is not None:
        out += ": " + text.replace("\n", "\\n")
    if selected("deliver_time"):
        seconds = result.seconds if result is not None else 0.0
        out += f" DT={duration(seconds, millisec=selected('millisec'))}"
    return out


def _names(address: Address) -> str:
    out = ""
    if address.router is not None:
        out += f" R={address.router.name}"
    if address.transport is not None:
        out += f" T={address.transport.name}"
    return out


def deferred(address: Address, result: Result | None, selected: Callable[[str], bool], *, mark: str = "== ",
             ) -> str:
    """Return the line of an address that is to be tried again later."""
    out = mark + address_text(address, all_parents=selected("all_parents"), success=False, relative="save ")
    names = _names(address)
    number, text = address.errno, address.message
    if not names and (number <= -52 or "panic" in address.flags):
        names = " routing"
    out += f"{names} defer ({number})"
    if number > 0:
        out += f": {os.strerror(number)}"
    if result is not None:
        out += host_field(result, selected, success=False)
    if selected("deliver_time"):
        seconds = result.seconds if result is not None else 0.0
        out += f" DT={duration(seconds, millisec=selected('millisec'))}"
    if text is not None:
        out += ": " + text.replace("\n", "\\n")
    return out


def msglog_delivered(address: Address, transport: str) -> str:
    """Return the line of the message log about a delivery."""
    parent = address.parent
    name = address.address if address.kind == "address" else final_name(address)
    between = f" <{parent.address}>" if parent is not None else ""
    return f"{name}{between}: {transport} transport succeeded"
