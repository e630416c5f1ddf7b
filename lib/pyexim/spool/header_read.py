"""Read the content of a -H file.

Spec: chapter "Format of spool files".  Lines that this version does not know are kept and written back;
a file that is malformed is a SpoolError which says where, whatever octets it consists of.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pyexim.base.errors import SpoolError
from pyexim.base.messageid import is_message_id
from pyexim.base.octets import to_text
from pyexim.base.pattern import lazy_pattern
from pyexim.base.taint import Tainted
from pyexim.model.message import Header, Message, Recipient
from pyexim.spool.tree import parse_tree

_EINVAL: Final = 22
_header = lazy_pattern(r"([0-9]{1,10})([^0-9]) ", re.DOTALL)
_integer = lazy_pattern(r"-?[0-9]{1,15}\Z")
_endpoint = lazy_pattern(r"\[([^\]]*)\]:([0-9]{1,5})\Z")
_old_endpoint = lazy_pattern(r"(.*)\.([0-9]{1,5})\Z", re.DOTALL)


def malformed(what: str) -> SpoolError:
    """Return the error for a part of the file that is not as it must be."""
    return SpoolError(f"malformed spool header file: {what}", _EINVAL)


def number(text: str, what: str) -> int:
    """Return a decimal number of the file; SpoolError for anything else."""
    if _integer.match(text) is None:
        raise malformed(what)
    return int(text)


def parse_header_file(data: bytes, *, headers: bool = True) -> Message:
    """Read the content of a -H file; SpoolError says which part is malformed.  Never anything else.

    Without ``headers`` the header lines are left out.
    """
    message, position = _envelope(to_text(data))
    if headers:
        message.headers = _headers(to_text(data), position, message)
    return message


def _envelope(text: str) -> tuple[Message, int]:
    message = Message()
    head = text.split("\n", 4)
    if len(head) < 5:
        raise malformed("too short")
    if not head[0].endswith("-H") or not is_message_id(head[0][:-2]):
        raise malformed("the first line is not its name")
    message.message_id = head[0][:-2]
    login = head[1].rsplit(" ", 2)
    if len(login) != 3:
        raise malformed("second line")
    message.originator_login = login[0]
    message.originator_uid = number(login[1], "uid")
    message.originator_gid = number(login[2], "gid")
    sender = head[2]
    if len(sender) < 2 or sender[0] != "<" or sender[-1] != ">":
        raise malformed("sender")
    message.sender_address = Tainted(sender[1:-1])
    times = head[3].split(" ")
    if len(times) < 2:
        raise malformed("time of reception")
    message.received_time = float(number(times[0], "time of reception"))
    message.warning_count = number(times[1], "count of warnings")
    position = len(text) - len(head[4])
    position = _variables(text, position, message)
    message.nonrecipients, position = parse_tree(text, position)
    position = _recipients(text, position, message)
    if not message.received_time_complete:
        message.received_time_complete = message.received_time
    if message.conn.sender_host_address is not None:
        message.conn.kind = "tcp"
    return message, position


def _variables(text: str, position: int, message: Message) -> int:
    """Read the lines that begin with a hyphen; the index of the first other line."""
    while text.startswith("-", position):
        end = text.find("\n", position)
        if end < 0:
            raise malformed("it ends among the variables")
        line = text[position:end]
        start = position
        position = end + 1
        name, _, value = line[1:].partition(" ")
        tainted = name.startswith("-")
        if tainted:
            name = name[1:]
        if name.startswith("("):
            # quoted for the lookup that is named: of the value we only keep that it came from outside
            name = name[name.find(")") + 1:]
            tainted = True
        if name == "aclc" or name == "aclm" or name == "acl":
            position = _acl_variable(text, position, name, value, tainted, message)
            continue
        store = _VARIABLES.get(name)
        if store is None:
            message.extra_spool_lines.append(text[start:end])
        else:
            store(message, Tainted(value) if tainted else value)
    return position


def _acl_variable(text: str, position: int, kind: str, value: str, tainted: bool, message: Message) -> int:
    name, separator, length_text = value.rpartition(" ")
    length = number(length_text, "length of an ACL variable")
    if not separator or not name or length < 0 or text[position + length:position + length + 1] != "\n":
        raise malformed("ACL variable")
    data = text[position:position + length]
    if tainted:
        data = Tainted(data)
    if kind == "aclc":
        message.conn.acl_c["c" + name] = data
    elif kind == "aclm":
        message.acl_m["m" + name] = data
    else:
        old = number(name, "ACL variable")
        if not 0 <= old <= 19:
            raise malformed("ACL variable")
        if old < 10:
            message.conn.acl_c[f"c{old}"] = data
        else:
            message.acl_m[f"m{old - 10}"] = data
    return position + length + 1


def _recipients(text: str, position: int, message: Message) -> int:
    end = text.find("\n", position)
    count = number(text[position:end], "count of recipients") if end >= 0 else -1
    if count < 0 or count > len(text):
        raise malformed("count of recipients")
    lines = text[end + 1:].split("\n", count + 1) if count > 1000 else _lines(text, end + 1, count)
    if len(lines) < count + 1 or lines[count] != "":
        raise malformed("recipients")
    position = end + 1
    for line in lines[:count]:
        position += len(line) + 1
        if not line:
            raise malformed("recipients")
        message.recipients.append(_recipient(line) if line[-1] in "0123456789" and "#" in line
                                  else Recipient(Tainted(line)))
    if position >= len(text):
        raise malformed("no blank line after the recipients")
    return position + 1


def _lines(text: str, position: int, count: int) -> list[str]:
    """Return the ``count`` lines at an index and the one after them."""
    lines = []
    for _ in range(count + 1):
        end = text.find("\n", position)
        if end < 0:
            break
        lines.append(text[position:end])
        position = end + 1
    return lines


def _recipient(line: str) -> Recipient:
    """Read a recipient with the further fields that "#" and flag bits announce; a plain address otherwise."""
    body, _, flags_text = line.rpartition("#")
    if flags_text not in ("1", "2", "3"):
        return Recipient(Tainted(line))
    flags = int(flags_text)
    errors_to, parent, orcpt, dsn_flags = "", -1, "", 0
    try:
        if flags & 1:
            body, errors_to, parent = _counted(body)
        if flags & 2:
            body, orcpt, dsn_flags = _counted(body)
    except ValueError:
        return Recipient(Tainted(line))
    return Recipient(Tainted(body), errors_to=Tainted(errors_to) if errors_to else None, parent=parent,
                     dsn_orcpt=Tainted(orcpt) if orcpt else None, dsn_flags=dsn_flags)


def _counted(body: str) -> tuple[str, str, int]:
    """Take "TEXT LENGTH,NUMBER" off the end of a line: (what is before it, TEXT, NUMBER)."""
    rest, comma, last = body.rpartition(",")
    rest, space, length_text = rest.rpartition(" ")
    if not comma or not space or _integer.match(last) is None or _integer.match(length_text) is None:
        raise ValueError
    start = len(rest) - int(length_text)
    if start < 1 or start > len(rest) or rest[start - 1] != " ":
        raise ValueError
    return rest[:start - 1], rest[start:], int(last)


def _headers(text: str, position: int, message: Message) -> list[Header]:
    """Read the header lines; their size, number of lines and count of Received lines go into the message."""
    found = []
    size = lines = received = 0
    total = len(text)
    while position < total:
        match = _header.match(text, position)
        if match is None:
            raise malformed("header line")
        start = match.end()
        length = int(match[1])
        position = start + length
        if length == 0 or position > total or text[position - 1] != "\n":
            raise malformed("length of a header line")
        kind = match[2]
        field = text[start:position]
        found.append(Header(field, kind))
        if kind != "*":
            size += length
            lines += field.count("\n")
            if kind == "P":
                received += 1
    message.message_size = size
    message.message_linecount = lines
    message.received_count = received
    return found


# -- the variables: name -> what its line does

_Store = Callable[[Message, str], None]


def _host_address(message: Message, value: str) -> None:
    message.conn.sender_host_address, message.conn.sender_host_port = _split_endpoint(value, "host_address")


def _interface_address(message: Message, value: str) -> None:
    message.conn.interface_address, message.conn.interface_port = _split_endpoint(value, "interface_address")


def _split_endpoint(value: str, what: str) -> tuple[str, int]:
    match = _endpoint.match(value) or _old_endpoint.match(value)
    if match is None:
        return value, 0
    return type(value)(match[1]), int(match[2])


def _text(attribute: str) -> _Store:
    def store(message: Message, value: str) -> None:
        setattr(message, attribute, value)
    return store


def _conn_text(attribute: str) -> _Store:
    def store(message: Message, value: str) -> None:
        setattr(message.conn, attribute, value)
    return store


def _tls_text(attribute: str) -> _Store:
    def store(message: Message, value: str) -> None:
        message.conn.tls_in.active = True
        setattr(message.conn.tls_in, attribute, value)
    return store


def _certificate(attribute: str) -> _Store:
    def store(message: Message, value: str) -> None:
        message.conn.tls_in.active = True
        setattr(message.conn.tls_in, attribute, type(value)(value.replace("\\n", "\n")))
    return store


def _yes(attribute: str) -> _Store:
    def store(message: Message, value: str) -> None:
        setattr(message, attribute, True)
    return store


def _conn_yes(attribute: str) -> _Store:
    def store(message: Message, value: str) -> None:
        setattr(message.conn, attribute, True)
    return store


def _flag(name: str) -> _Store:
    def store(message: Message, value: str) -> None:
        message.flags.add(name)
    return store


def _int(attribute: str) -> _Store:
    def store(message: Message, value: str) -> None:
        setattr(message, attribute, number(value, attribute))
    return store


def _spam(name: str) -> _Store:
    def store(message: Message, value: str) -> None:
        message.spam[name] = value
    return store


def _frozen(message: Message, value: str) -> None:
    message.frozen_since = float(number(value, "frozen"))


def _received_usec(message: Message, value: str) -> None:
    if value.startswith("."):
        message.received_time += number(value[1:], "received_time_usec") / 1e6


def _received_complete(message: Message, value: str) -> None:
    seconds, _, micros = value.partition(".")
    message.received_time_complete = number(seconds, "received_time_complete") + number(
        micros or "0", "received_time_complete") / 1e6


def _authenticated_sender(message: Message, value: str) -> None:
    message.authenticated_sender = message.conn.authenticated_sender = value


def _downconvert(count: int) -> _Store:
    def store(message: Message, value: str) -> None:
        message.utf8_downconvert = count
    return store


def _tls_verified(message: Message, value: str) -> None:
    message.conn.tls_in.certificate_verified = True


def _tls_ocsp(message: Message, value: str) -> None:
    message.conn.tls_in.ocsp = number(value, "tls_ocsp")


def _tls_resumption(message: Message, value: str) -> None:
    if len(value) == 1 and "A" <= value <= "Z":
        message.conn.tls_in.resumption = ord(value) - 65


_VARIABLES: Final[dict[str, _Store]] = {
    "active_hostname": _conn_text("smtp_active_hostname"),
    "allow_unqualified_recipient": _flag("allow_unqualified_recipient"),
    "allow_unqualified_sender": _flag("allow_unqualified_sender"),
    "auth_id": _conn_text("authenticated_id"),
    "auth_sender": _authenticated_sender,
    "body_linecount": _int("body_linecount"),
    "body_zerocount": _int("body_zerocount"),
    "deliver_firsttime": _yes("deliver_firsttime"),
    "dsn_envid": _text("dsn_envid"),
    "dsn_ret": _int("dsn_ret"),
    "frozen": _frozen,
    "helo_name": _conn_text("sender_helo_name"),
    "host_address": _host_address,
    "host_auth": _conn_text("sender_host_authenticated"),
    "host_auth_pubname": _conn_text("sender_host_auth_pubname"),
    "host_lookup_deferred": _conn_yes("host_lookup_deferred"),
    "host_lookup_failed": _conn_yes("host_lookup_failed"),
    "host_name": _conn_text("sender_host_name"),
    "ident": _conn_text("sender_ident"),
    "interface_address": _interface_address,
    "local": _yes("sender_local"),
    "local_scan": _text("local_scan_data"),
    "localerror": _yes("local_error_message"),
    "manual_thaw": _yes("manual_thaw"),
    "max_received_linelength": _int("max_received_linelength"),
    "N": _yes("dont_deliver"),
    "received_protocol": _conn_text("received_protocol"),
    "received_time_complete": _received_complete,
    "received_time_usec": _received_usec,
    "sender_set_untrusted": _yes("sender_set_untrusted"),
    "smtputf8": _yes("smtputf8"),
    "spam_bar": _spam("spam_bar"),
    "spam_score": _spam("spam_score"),
    "spam_score_int": _spam("spam_score_int"),
    "spool_file_wireformat": _yes("spool_wireformat"),
    "tls_certificate_verified": _tls_verified,
    "tls_cipher": _tls_text("cipher"),
    "tls_ocsp": _tls_ocsp,
    "tls_ourcert": _certificate("ourcert"),
    "tls_peercert": _certificate("peercert"),
    "tls_peerdn": _tls_text("peerdn"),
    "tls_resumption": _tls_resumption,
    "tls_sni": _tls_text("sni"),
    "tls_ver": _tls_text("ver"),
    "utf8_downcvt": _downconvert(1),
    "utf8_optdowncvt": _downconvert(-1),
}
