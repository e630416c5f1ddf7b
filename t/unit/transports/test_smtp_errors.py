"""What becomes of addresses at every kind of failure: texts, numbers and retry keys as Exim has them."""

from __future__ import annotations

import pytest
from delivery import Delivery
from scripted import ScriptedServer

from pyexim.base.octets import shown
from pyexim.model.host import Host
from pyexim.smtp.client import Answer, Awaited, Awaiting
from pyexim.transports.smtp_errors import malformed, refused

GREET = "S: 220 hi\nC: EHLO test.example\n"
PIPE = GREET + "S: 250-me\nS: 250-PIPELINING\nS: 250-SIZE 1000000\nS: 250 8BITMIME\n"
PLAIN = GREET + "S: 250 me\n"
LMTP = "S: 220 hi\nC: LHLO test.example\nS: 250-me\nS: 250 PIPELINING\n"
RICH = GREET + "S: 250-me\nS: 250-PIPELINING\nS: 250-PRDR\nS: 250-CHUNKING\nS: 250 SIZE\n"
GROUP = "C: MAIL.*\nC: RCPT.*\nC: DATA\n"
GROUP2 = "C: MAIL.*\nC: RCPT.*\nC: RCPT.*\nC: DATA\n"
A, B = "a@r.example", "a@r.example b@r.example"
ERROR = "SMTP error from remote mail server after "
CLOSED = "Remote host closed connection in response to "
TIMEOUT = "SMTP timeout after "
MAIL = "MAIL FROM:<s@test.example>"
SIZED = f"pipelined {MAIL} SIZE=1041"
H, M, R = "host", "message", "routing"

CASES = [
    # name, script, recipients, [(status, errno, more, text, retry kind)], host line logged
    ("delivered", PIPE + GROUP + "S: 250 ok\nS: 250 ok\nS: 354 go\nD:\nS: 250 queued\nC: QUIT", A,
     [("ok", 0, 0, "", None)], False),
    ("one refused", PIPE + GROUP2 + "S: 250 ok\nS: 550-no\nS: 550 such\nS: 250 y\nS: 354 go\nD:\nS: 250 queued\nC: .*",
     B, [("fail", 0, 0, ERROR + "RCPT TO:<a@r.example>: 550-no\n550 such", None), ("ok", 0, 0, "", None)], False),
    ("rcpt 450", PIPE + GROUP + "S: 250 ok\nS: 450 later\nS: 503 no\nC: .*", A,
     [("pending", -44, 12865, ERROR + "RCPT TO:<a@r.example>: 450 later", R)], False),
    ("mail 450", PIPE + GROUP + "S: 450 ok\nS: 503 later\nS: 503 no\nC: .*", A,
     [("pending", -45, 12865, ERROR + SIZED + ": 450 ok", M)], True),
    ("mail 550", PIPE + GROUP + "S: 550 bad sender\nS: 503 later\nS: 503 no\nC: .*", A,
     [("fail", 0, 65, ERROR + SIZED + ": 550 bad sender", None)], False),
    ("mail 550 alone", PLAIN + "C: MAIL.*\nS: 550 bad sender\nC: .*", A,
     [("fail", 0, 65, ERROR + MAIL + ": 550 bad sender", None)], False),
    ("data 450", PIPE + GROUP + "S: 250 ok\nS: 250 later\nS: 450 no\nC: .*", A,
     [("pending", -46, 12865, ERROR + "pipelined DATA: 450 no", M)], True),
    ("data 550 alone", PLAIN + "C: .*\nS: 250 ok\nC: .*\nS: 250 ok\nC: DATA\nS: 550 no\nC: .*", A,
     [("fail", 0, 65, ERROR + "DATA: 550 no", None)], False),
    ("dot 450", PIPE + GROUP + "S: 250 ok\nS: 250 ok\nS: 354 go\nD:\nS: 450 hm\nC: .*", A,
     [("pending", -46, 12865, ERROR + "end of data: 450 hm", M)], True),
    ("dot 550", PIPE + GROUP + "S: 250 ok\nS: 250 ok\nS: 354 go\nD:\nS: 550 hm\nC: .*", A,
     [("fail", 0, 65, ERROR + "end of data: 550 hm", None)], False),
    ("greeting 450", "S: 450 go away\nC: .*", A,
     [("pending", 0, 65, ERROR + "initial connection: 450 go away", H)], True),
    ("greeting 554", "S: 554 go away\nC: .*", A,
     [("fail", 0, 65, ERROR + "initial connection: 554 go away", H)], True),
    ("greeting junk", "S: hello\nC: .*", A,
     [("pending", -19, 65, "Malformed SMTP reply in response to initial connection: hello", H)], True),
    ("greeting closed", "X:", A, [("pending", -18, 65, CLOSED + "initial connection", H)], True),
    ("greeting reset", "W: 0.1\nR:", A, [("pending", -18, 65, CLOSED + "initial connection", H)], True),
    ("greeting silence", "W: 1.5", A, [("pending", 110, 65, TIMEOUT + "initial connection", H)], True),
    ("ehlo refused, then closed", GREET + "S: 450 nix\nC: HELO.*\nX:", A,
     [("pending", -18, 65, CLOSED + "HELO test.example (EHLO response was: 450 nix)", H)], True),
    ("ehlo and helo refused", GREET + "S: 550 nix\nC: HELO.*\nS: 550 nono\nC: .*", A,
     [("fail", 0, 65, ERROR + "HELO test.example: 550 nono", H)], True),
    ("ehlo closed", GREET + "X:", A, [("pending", -18, 65, CLOSED + "EHLO test.example", H)], True),
    ("mail silence", PLAIN + "C: .*\nW: 1.5", A, [("pending", 110, 65, TIMEOUT + MAIL, M)], True),
    ("mail closed", PLAIN + "C: .*\nX:", A, [("pending", -18, 65, CLOSED + MAIL, H)], True),
    ("rcpt silence", PLAIN + "C: .*\nS: 250 ok\nC: .*\nW: 1.5", B,
     [("pending", 110, 65, TIMEOUT + "RCPT TO:<a@r.example>", R),
      ("pending", 110, 65, TIMEOUT + "RCPT TO:<a@r.example>", None)], False),
    ("rcpt closed in a group", PIPE + GROUP2 + "S: 250 ok\nS: 250 ok\nX:", B,
     [("pending", -18, 65, CLOSED + "pipelined RCPT TO:<b@r.example>", H)] * 2, True),
    ("data silence", PLAIN + "C: .*\nS: 250 ok\nC: .*\nS: 250 ok\nC: .*\nW: 1.5", A,
     [("pending", 110, 65, TIMEOUT + "DATA", H)], True),
    ("dot silence", PLAIN + "C: .*\nS: 250 ok\nC: .*\nS: 250 ok\nC: .*\nS: 354 go\nD:\nW: 1.5", A,
     [("pending", 110, 65, TIMEOUT + "end of data (23 bytes written)", M)], True),
    ("dot closed", PLAIN + "C: .*\nS: 250 ok\nC: .*\nS: 250 ok\nC: .*\nS: 354 go\nD:\nX:", A,
     [("pending", -18, 65, CLOSED + "end of data", M)], True),
    ("rcpt junk", PLAIN + "C: .*\nS: 250 ok\nC: .*\nS: hey\nC: .*", A,
     [("pending", -19, 65, "Malformed SMTP reply in response to RCPT TO:<a@r.example>: hey", H)], True),
    ("mail 350", PLAIN + "C: .*\nS: 350 ok\nC: .*", A, [("pending", 0, 65, ERROR + MAIL + ": 350 ok", M)], True),
    ("data 250", PLAIN + "C: .*\nS: 250 ok\nC: .*\nS: 250 ok\nC: .*\nS: 250 go\nC: .*", A,
     [("pending", 0, 65, ERROR + "DATA: 250 go", M)], True),
    ("chunk refused", RICH + "C: MAIL.*\nC: RCPT.*\nC: BDAT 20 LAST\nB: 20\nS: 250 ok\nS: 250 ok\nS: 550 q\nC: .*", A,
     [("fail", 0, 65, ERROR + "pipelined end of data: 550 q", None)], False),
    ("nobody for the chunk", RICH + "C: MAIL.*\nC: .*\nC: BDAT.*\nB: 20\nS: 250 ok\nS: 550 n\nS: 503 q\nC: .*", A,
     [("fail", 0, 0, ERROR + "RCPT TO:<a@r.example>: 550 n", None)], False),
]


@pytest.mark.parametrize(("script", "to", "wanted", "logged"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_case(script: str, to: str, wanted: list[tuple[str, int, int, str, str | None]], logged: bool) -> None:
    with ScriptedServer(script) as server:
        d = Delivery("smtp", port=str(server.port), command_timeout=1, final_timeout=1, data_timeout=1)
        results = d.run(to=to, hosts=[Host("127.0.0.1", "127.0.0.1")])
        key = f"T:127.0.0.1:127.0.0.1:{server.port}"
    assert not [e for e in server.errors if "expected" in e]
    got = [(r.status, r.errno, r.more_errno, r.text) for r in results]
    assert got == [w[:4] for w in wanted]
    keys = {"host": key, "message": f"{key}:1xVPjV-00046i-1z"}
    for result, want in zip(results, wanted, strict=True):
        kind = want[4]
        assert [i.kind for i in result.retries if not i.delete] == ([kind] if kind else [])
        if kind in keys:
            assert result.retries[0].key == keys[kind]
        elif kind:
            plain = f"R:{result.address.address}"
            assert result.retries[0].key in (plain, f"{plain}:<s@test.example>")
    assert bool(d.log.lines) == logged
    if logged:
        assert d.log.lines[0].startswith("H=127.0.0.1 [127.0.0.1]")
        assert wanted[0][3] in d.log.lines[0]
    assert d.delivered == [r.address.address for r in results if r.status == "ok"]


def test_refused_connection() -> None:
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    d = Delivery("smtp", port=str(port))
    result, = d.run(hosts=[Host("127.0.0.1", "127.0.0.1")])
    assert (result.status, result.errno, result.more_errno, result.text) == ("pending", 111, 65, "")
    assert result.host_name is None and d.log.lines == ["H=127.0.0.1 [127.0.0.1] Connection refused"]
    assert result.retries[0].text == "Connection refused"


def test_the_next_host_is_tried() -> None:
    with ScriptedServer(PIPE + GROUP + "S: 250 ok\nS: 250 ok\nS: 354 go\nD:\nS: 250 queued\nC: QUIT") as server:
        d = Delivery("smtp", port=str(server.port))
        result, = d.run(hosts=[Host("one", "127.0.0.9", mx=1), Host("two", "127.0.0.1", mx=2)])
    assert result.status == "ok" and result.host_name == "two" and result.confirmation == "250 queued"
    assert [i.key for i in result.retries] == [f"T:one:127.0.0.9:{server.port}"]  # the next message goes past it
    assert d.log.lines == ["H=one [127.0.0.9] Connection refused"]


def test_retry_time_not_reached() -> None:
    d = Delivery("smtp", port="9")
    now = d.services.clock.time()
    d.services.hints.put("retry", "T:h:127.0.0.1:9", f"{now - 9:.0f} {now - 9:.0f} {now + 900:.0f} 0 111 65 x", now)
    result, = d.run(hosts=[Host("h", "127.0.0.1")])
    assert (result.status, result.errno) == ("pending", -54)
    assert result.text == "retry time not reached for any host for 'r.example'"


def test_lmtp_over_tcp() -> None:
    script = LMTP + "C: MAIL.*\nC: RCPT.*\nC: RCPT.*\nC: RCPT.*\nC: DATA\nS: 250 ok\nS: 250 1\nS: 250 2\nS: 250 3\n" \
        "S: 354 go\nD:\nS: 250 one\nS: 550 two\nS: 450 three\nC: QUIT"
    with ScriptedServer(script) as server:
        d = Delivery("smtp", protocol="lmtp", port=str(server.port))
        results = d.run(to="a@r.example b@r.example c@r.example", hosts=[Host("127.0.0.1", "127.0.0.1")])
    assert [(r.status, r.text, r.errno, r.more_errno, r.confirmation) for r in results] == [
        ("ok", "", 0, 0, "250 one"), ("fail", "LMTP error after DATA: 550 two", 0, 0, None),
        ("pending", "LMTP error after DATA: 450 three", 0, 12865, None)]
    assert results[2].retries[0].key == "R:c@r.example:<s@test.example>"


def test_prdr() -> None:
    script = RICH.replace("S: 250-CHUNKING\n", "") + "C: MAIL FROM:<s@test.example> SIZE=1041 PRDR\nC: .*\nC: .*\n" \
        "C: DATA\nS: 250 ok\nS: 250 1\nS: 250 2\nS: 354 go\nD:\nS: 353 prdr\nS: 250 a\nS: 550 b\nS: 250 all\nC: QUIT"
    with ScriptedServer(script) as server:
        d = Delivery("smtp", port=str(server.port))
        results = d.run(to=B, hosts=[Host("127.0.0.1", "127.0.0.1")])
    assert not server.errors
    assert [(r.status, r.text, r.confirmation) for r in results] == [
        ("ok", "", "250 a\n250 all"), ("fail", "PRDR error after DATA: 550 b", None)]
    assert "prdr" in results[0].flags


def test_lines_too_long() -> None:
    d = Delivery("smtp", port="9")
    result, = d.run(d.message(max_received_linelength=1000), hosts=[Host("h", "127.0.0.1")])
    assert (result.status, result.text) == ("fail", "message has lines too long for transport")


@pytest.mark.parametrize(("option", "number", "text"), [
    ("hosts_require_tls", -38, "a TLS session is required, but the server did not offer TLS support"),
    ("hosts_require_auth", -42, "authentication required but server did not advertise AUTH support")])
def test_what_is_required_and_not_there(option: str, number: int, text: str) -> None:
    with ScriptedServer(PIPE + "C: QUIT") as server:
        d = Delivery("smtp", port=str(server.port), **{option: "*"})
        result, = d.run(hosts=[Host("127.0.0.1", "127.0.0.1")])
    assert (result.status, result.errno, result.text) == ("pending", number, text)


def test_what_a_server_says_cannot_write_into_the_log() -> None:
    assert shown("550-no \\b\tq\n550 d") == "550-no \\b\tq\n550 d"
    assert shown("550 \x07\x1b[31m\x00\xb2\r\x7f") == r"550 \007\033[31m\000\262\r\177"
    said = Answer(550, "550 \x1b[2J")
    host = Host("h", "192.0.2.1")
    for kind in (Awaiting.GREETING, Awaiting.MAIL, Awaiting.DATA):
        assert "\x1b" not in refused(Awaited(kind, "x"), said, host).text
    assert "\x00" not in malformed(Awaited(Awaiting.MAIL, "x"), "2\x005", host).text
