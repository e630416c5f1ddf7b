"""A DNS server for tests: answers from a zone text, over UDP and TCP, on a port that the system chooses.

Zone lines are "name [ttl] TYPE data", names without final dot; everything else is NXDOMAIN.  Special data
in place of a type and data: AGAIN (SERVFAIL), NODATA, DROP (no answer); "SLOW" in a line of its own delays the
answers for a name by 0.2 seconds; and "AD" before the type marks the
answer as authenticated.  dnspython writes the packets, so that the project's reader has an independent
counterpart.

    with FakeDns("a.example MX 10 mx.a.example") as server:
        make_resolver(config, servers=[server.address])
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from types import TracebackType

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class FakeDns:
    """The server; use as a context manager."""

    def __init__(self, zone: str, port: int = 0) -> None:
        self.queries: list[tuple[str, str]] = []
        """(name, type) of every question, in order."""
        self._records: dict[tuple[str, str], list[str]] = {}
        self._names: set[str] = set()
        self._trouble: dict[str, str] = {}
        self._slow: set[str] = set()
        self._secure: set[tuple[str, str]] = set()
        for line in zone.splitlines():
            self._add(line)
        self._udp, self._tcp = _bound(port)
        self.address: tuple[str, int] = self._udp.getsockname()
        self._tcp.listen(8)
        self._stop_r, self._stop_w = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _add(self, line: str) -> None:
        fields = line.split(None, 1)
        if not fields or fields[0].startswith(("#", ";")):
            return
        name, rest = fields[0].lower().rstrip("."), fields[1]
        self._names.add(name)
        word = rest.split(None, 1)[0]
        if word == "SLOW":
            self._slow.add(name)
            return
        if word in ("AGAIN", "DROP", "NODATA"):
            self._trouble[name] = word
            return
        if word == "AD":
            rest = rest.split(None, 1)[1]
        ttl = 300
        if rest.split(None, 1)[0].isdigit():
            text, rest = rest.split(None, 1)
            ttl = int(text)
        rtype, data = rest.split(None, 1)
        self._records.setdefault((name, rtype), []).append(f"{ttl} {data}")
        if word == "AD":
            self._secure.add((name, rtype))

    def __enter__(self) -> FakeDns:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self._stop_w.send(b"x")
        self._thread.join(5)
        for s in (self._udp, self._tcp, self._stop_r, self._stop_w):
            s.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for s in (self._udp, self._tcp, self._stop_r):
                selector.register(s, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._stop_r:
                        return
                    if key.fileobj is self._udp:
                        data, peer = self._udp.recvfrom(65535)
                        answer = self._answer(data, 512)
                        if answer is not None:
                            self._udp.sendto(answer, peer)
                    else:
                        self._one_tcp()

    def _one_tcp(self) -> None:
        s, _ = self._tcp.accept()
        with s:
            s.settimeout(5)
            data = s.recv(65535)
            answer = self._answer(data[2:], 65535)
            if answer is not None:
                s.sendall(len(answer).to_bytes(2, "big") + answer)

    def _answer(self, data: bytes, limit: int) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        rtype = dns.rdatatype.to_text(question.rdtype)
        self.queries.append((name, rtype))
        response = dns.message.make_response(query, recursion_available=True)
        if name in self._slow:
            time.sleep(0.2)
        trouble = self._trouble.get(name)
        if trouble == "DROP":
            return None
        if trouble == "AGAIN":
            response.set_rcode(dns.rcode.SERVFAIL)
            return response.to_wire()
        secure = True
        owner = name
        for _ in range(8):
            records = self._records.get((owner, rtype))
            alias = self._records.get((owner, "CNAME"))
            kind = rtype if records is not None else "CNAME"
            found = records if records is not None else alias
            if found is None:
                break
            secure = secure and (owner, kind) in self._secure
            ttl = int(found[0].split(None, 1)[0])
            # one set for each record: the order is kept
            response.answer += [dns.rrset.from_text(owner + ".", ttl, "IN", kind, _absolute(kind, r.split(None, 1)[1]))
                                for r in found]
            if records is not None or rtype == "CNAME":
                break
            owner = found[0].split(None, 1)[1].rstrip(".").lower()
        if secure and response.answer:
            response.flags |= dns.flags.AD
        if not response.answer and not self._exists(name):
            response.set_rcode(dns.rcode.NXDOMAIN)
        wire = response.to_wire(max_size=65535)
        if len(wire) > limit:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC
            return short.to_wire()
        return wire

    def _exists(self, name: str) -> bool:
        return name in self._names or any(n.endswith("." + name) for n in self._names)


def _bound(port: int) -> tuple[socket.socket, socket.socket]:
    """Return sockets for UDP and TCP with the same port; 0 is one that is free for both."""
    for _ in range(50):
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            udp.bind(("127.0.0.1", port))
            tcp.bind(udp.getsockname())
        except OSError:  # what is free for the one may be taken for the other
            udp.close()
            tcp.close()
        else:
            return udp, tcp
    raise OSError(f"no port for a name server (wanted {port})")


def _absolute(rtype: str, data: str) -> str:
    """Names at the end of the data are absolute, with or without a final dot."""
    if rtype in ("MX", "CNAME", "NS", "PTR", "SRV") and not data.endswith("."):
        return data + "."
    return data
