"""Lines as the real Exim 4.96 writes them for the same deliveries."""

from __future__ import annotations

import pytest
from delivery_lab import make_address, make_router, make_transport

from pyexim.deliver import loglines
from pyexim.transports.base import Result

LOCAL, ALIAS, REMOTE = make_router("local"), make_router("alias", log_as_local=False), make_router(
    "remote", log_as_local=False)
TLOCAL, TPIPE, SMTP = make_transport("tlocal"), make_transport("tpipe"), make_transport("smtp", is_local=False)
DEFAULT = frozenset({"smtp_confirmation", "tls_cipher", "tls_certificate_verified"})
EVERYTHING = DEFAULT | {"all_parents", "sender_on_delivery", "return_path_on_delivery", "delivery_size",
                        "outgoing_port", "incoming_interface", "outgoing_interface", "pipelining", "queue_time",
                        "deliver_time"}


def chain() -> tuple:
    top = make_address("chain@lab.example", ALIAS)
    between = make_address("list2@lab.example", ALIAS, parent=top)
    return top, between


def remote_result(address, **values) -> Result:
    return Result(address, "ok", host_name="127.0.0.1", host_address="127.0.0.1", host_port=18025,
                  confirmation="250 2.0.0 Ok: queued as A1", flags=("pipelining", "interface=127.0.0.1:51486"),
                  **values)


def line(result: Result, selectors: frozenset[str], mark: str = "=>", **values) -> str:
    return loglines.delivered(result, mark, selectors.__contains__, sender="s@r.example", return_path="s@r.example",
                              queue_seconds=0.4, **values)


def test_local_delivery() -> None:
    result = Result(make_address("a@lab.example", LOCAL, TLOCAL), "ok")
    assert line(result, DEFAULT) == "=> a <a@lab.example> R=local T=tlocal"


def test_local_delivery_of_an_alias_shows_what_is_between_only_on_request() -> None:
    _top, between = chain()
    result = Result(make_address("c@lab.example", LOCAL, TLOCAL, parent=between), "ok", size=304)
    assert line(result, DEFAULT) == "=> c <chain@lab.example> R=local T=tlocal"
    assert line(result, EVERYTHING, size=304) == (
        "=> c (list2@lab.example) <chain@lab.example> F=<s@r.example> P=<s@r.example> R=local T=tlocal S=304 "
        "QT=0s DT=0s")


def test_router_that_does_not_log_as_local() -> None:
    result = Result(make_address("foo@ml.example", REMOTE, TLOCAL), "ok")
    assert line(result, DEFAULT) == "=> foo@ml.example R=remote T=tlocal"


def test_remote_delivery() -> None:
    _top, between = chain()
    result = remote_result(make_address("x@r.example", REMOTE, SMTP, parent=between))
    assert line(result, DEFAULT) == ('=> x@r.example <chain@lab.example> R=remote T=smtp H=127.0.0.1 [127.0.0.1] '
                                     'C="250 2.0.0 Ok: queued as A1"')
    assert line(result, EVERYTHING | {"millisec"}, size=274) == (
        '=> x@r.example (list2@lab.example) <chain@lab.example> F=<s@r.example> P=<s@r.example> R=remote T=smtp S=274 '
        'H=127.0.0.1 [127.0.0.1]:18025 I=[127.0.0.1]:51486 L C="250 2.0.0 Ok: queued as A1" QT=0.400s DT=0.000s')


def test_later_message_down_a_connection_has_an_asterisk() -> None:
    result = remote_result(make_address("x@r.example", REMOTE, SMTP))
    result.flags = ("continued", "chunking")
    assert line(result, DEFAULT) == ('=> x@r.example R=remote T=smtp H=127.0.0.1 [127.0.0.1]* K '
                                     'C="250 2.0.0 Ok: queued as A1"')


def test_encrypted_and_authenticated() -> None:
    result = remote_result(make_address("x@r.example", REMOTE, SMTP), auth=("plain", "me"),
                           tls={"cipher": "TLS1.3:AES:256", "verified": "yes", "peerdn": "CN=x"})
    assert line(result, DEFAULT | {"tls_peerdn"}) == (
        '=> x@r.example R=remote T=smtp H=127.0.0.1 [127.0.0.1] X=TLS1.3:AES:256 CV=yes DN="CN=x" A=plain:me '
        'C="250 2.0.0 Ok: queued as A1"')


def test_pipe_and_file() -> None:
    top = make_address("topipe@lab.example", ALIAS)
    pipe = make_address("|/bin/cat", ALIAS, TPIPE, parent=top, kind="pipe")
    assert line(Result(pipe, "ok"), DEFAULT) == "=> |/bin/cat <topipe@lab.example> R=alias T=tpipe"
    file = make_address("/var/mail/x", ALIAS, TLOCAL, parent=top, kind="file")
    assert line(Result(file, "ok"), DEFAULT) == "=> /var/mail/x <topipe@lab.example> R=alias T=tlocal"


def test_shadow_and_queue_name() -> None:
    result = Result(make_address("q@sh.example", LOCAL, TLOCAL), "ok")
    assert line(result, DEFAULT, shadow=" ST=copy (failed)", queue_name="slow") == (
        "=> q <q@sh.example> Q=slow R=local T=tlocal ST=copy (failed)")


def test_discarded() -> None:
    address = make_address("hole@lab.example", ALIAS)
    address.message = ":blackhole:"
    assert loglines.discarded(address, DEFAULT.__contains__, sender="") == (
        "=> :blackhole: <hole@lab.example> R=alias")
    address.message = None
    assert loglines.discarded(address, DEFAULT.__contains__, sender="") == (
        "=> :blackhole: <hole@lab.example> R=alias")


def failed(address, result, selectors=DEFAULT, path: str | None = None) -> str:
    return loglines.failed(address, result, selectors.__contains__, sender="s@r.example", return_path=path)


def test_failures() -> None:
    address = make_address("foo@unseen.example", message="Unrouteable address")
    assert failed(address, None) == "** foo@unseen.example: Unrouteable address"
    assert failed(address, None, EVERYTHING) == (
        "** foo@unseen.example F=<s@r.example>: Unrouteable address DT=0s")
    routed = make_address("fail@lab.example", ALIAS, message="go away")
    assert failed(routed, None, EVERYTHING) == "** fail@lab.example F=<s@r.example> R=alias: go away DT=0s"
    text = ("SMTP error from remote mail server after RCPT TO:<reject@r.example>: 550 5.1.1 no such user")
    remote = make_address("reject@r.example", REMOTE, SMTP, message=text)
    assert failed(remote, remote_result(remote), EVERYTHING, "s@r.example") == (
        "** reject@r.example F=<s@r.example> P=<s@r.example> R=remote T=smtp H=127.0.0.1 [127.0.0.1]:18025 "
        f"I=[127.0.0.1]:51486: {text} DT=0s")


DEFERRALS = [
    (make_address("x@qd.example", message="retry time not reached", errno=-52), None, DEFAULT,
     "== x@qd.example routing defer (-52): retry time not reached"),
    (make_address("x@hold.example", message="domain is held", errno=-23), None, DEFAULT,
     "== x@hold.example defer (-23): domain is held"),
    (make_address("defer@lab.example", ALIAS, message="come back", errno=-1), None, DEFAULT,
     "== defer@lab.example R=alias defer (-1): come back"),
    (make_address("foo@b.example", REMOTE, SMTP, errno=111), None, DEFAULT,
     "== foo@b.example R=remote T=smtp defer (111): Connection refused"),
    (make_address("td@lab.example", LOCAL, TLOCAL, message="failed to open /x", errno=2,
                  parent=make_address("foo@one.example", ALIAS)), None, EVERYTHING,
     "== td@lab.example <foo@one.example> R=local T=tlocal defer (2): No such file or directory DT=0s: "
     "failed to open /x"),
]


@pytest.mark.parametrize(("address", "result", "selectors", "want"), DEFERRALS, ids=lambda v: None)
def test_deferrals(address, result, selectors, want: str) -> None:
    assert loglines.deferred(address, result, selectors.__contains__) == want


def test_deferral_with_host() -> None:
    address = make_address("t@r2.example", REMOTE, SMTP, message="SMTP error: 451 later", errno=-44)
    assert loglines.deferred(address, remote_result(address), EVERYTHING.__contains__) == (
        "== t@r2.example R=remote T=smtp defer (-44) H=127.0.0.1 [127.0.0.1]:18025 I=[127.0.0.1]:51486 DT=0s: "
        "SMTP error: 451 later")


@pytest.mark.parametrize(("seconds", "millisec", "want"), [
    (0, False, "0s"), (0.9, False, "0s"), (59, False, "59s"), (60, False, "1m"), (225, False, "3m45s"),
    (3600, False, "1h"), (90061, False, "1d1h1m1s"), (604800, False, "1w"), (1.578, True, "1.578s"),
    (0.304, True, "0.304s"), (61.5, True, "1m1s")])
def test_duration(seconds: float, millisec: bool, want: str) -> None:
    assert loglines.duration(seconds, millisec=millisec) == want
