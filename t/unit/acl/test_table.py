"""Every row of the tables leads to a maker, and forbidden places are refused in Exim's words."""

from __future__ import annotations

import pytest
from acl_lab import Lab

from pyexim.acl.api import compile_acls, run_acl
from pyexim.acl.compiler import _maker
from pyexim.acl.controls import AclControls, controls_of, take_headers
from pyexim.acl.table import CONTROLS, ROWS
from pyexim.acl.where import NAMES
from pyexim.base.taint import taint
from pyexim.config.configuration import Configuration
from pyexim.config.reader import read_configuration


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_makers_exist(row: object) -> None:
    assert callable(_maker(row.make))  # type: ignore[attr-defined]


def configuration(extra: str = "") -> Configuration:
    config = read_configuration(["lab.conf"], data=f"primary_hostname = h.example\n{extra}\n".encode())
    compile_acls(config)
    return config


@pytest.mark.parametrize(("where", "text", "error"), [
    ("connect", "warn domains = *", "cannot test domains condition in connection ACL"),
    ("helo", "warn encrypted = *", "cannot test encrypted condition in EHLO or HELO ACL"),
    ("data", "warn domains = *", "cannot test domains condition in DATA ACL"),
    ("data", "warn queue = x", "cannot use queue condition in DATA ACL"),
    ("not_smtp", "warn hosts = *", "cannot test hosts condition in non-SMTP ACL"),
    ("notquit", "warn delay = 1s", "cannot use delay condition in NOTQUIT ACL"),
    ("quit", "warn add_header = x: y", "cannot use add_header condition in QUIT ACL"),
    ("mail", "warn control = caseful_local_part", 'cannot use "control=caseful_local_part" in MAIL ACL'),
    ("data", "warn control = submission", 'cannot use "control=submission" in DATA ACL'),
    ("connect", "warn control = queue_only", 'cannot use "control=queue" in connection ACL'),
    ("mail", "warn verify = recipient", "cannot verify recipient in ACL for MAIL"),
    ("rcpt", "warn verify = header_syntax", "cannot verify header_syntax in ACL for RCPT"),
    ("not_smtp", "warn dnslists = a.b", "cannot test auto-keyed dnslists condition in non-SMTP ACL"),
    ("rcpt", "warn malware = *", "cannot test malware condition in RCPT ACL"),
    ("data", "warn malware = *", 'the condition "malware" needs the virus scanner interface, which is not there yet'),
    ("rcpt", "warn verify = foo", 'expected "sender[=address]", "recipient", "helo", "header_syntax", '
     '"header_sender", "header_names_ascii" or "reverse_host_lookup" at start of ACL condition "verify foo"'),
    ("rcpt", "warn verify = sender/foo", 'unknown option "foo" in ACL condition "verify sender/foo"'),
    ("rcpt", "warn verify = recipient/callout=foo", 'bad time value in ACL condition "verify recipient/callout=foo"'),
    ("rcpt", "warn verify = certificate/foo",
     "unexpected '/' found in \"certificate/foo\" (this verify item has no options)"),
    ("rcpt", "warn control = foo", 'syntax error in "control=foo"'),
])
def test_refused(where: str, text: str, error: str) -> None:
    lab = Lab(configuration())
    result = run_acl(where, text, lab.scope, recipient=taint("a@b.example") if where == "rcpt" else None)
    assert (result.status, result.log_text, result.error) == ("defer", error, True)


@pytest.mark.parametrize("where", sorted(NAMES))
def test_every_place_runs(where: str) -> None:
    assert run_acl(where, "accept", Lab(configuration()).scope).status == "ok"


def test_defaults_of_unset_options() -> None:
    scope = Lab(configuration()).scope
    assert {w for w in NAMES if run_acl(w, None, scope).status != "ok"} == {
        "rcpt", "vrfy", "expn", "etrn", "wellknown", "atrn"}


@pytest.mark.parametrize(("text", "expected"), [
    ("freeze", {"freeze": True}),
    ("freeze/no_tell", {"freeze": True, "freeze_no_tell": True}),
    ("queue", {"queue_only": True}),
    ("queue/first_pass_route", {"queue_only": True, "queue_first_pass": True}),
    ("submission", {"submission": True}),
    ("submission/sender_retain/domain=/name=x y/foo", {"submission": True, "submission_sender_retain": True,
                                                       "submission_domain": "", "submission_name": "x y/foo"}),
    ("submission/domain=a.example", {"submission": True, "submission_domain": "a.example"}),
    ("fakereject/go away", {"fake_code": 550, "fake_text": "go away"}),
    ("no_enforce_sync", {"enforce_sync": False}),
    ("enforce_sync", {"enforce_sync": True}),
    ("no_pipelining", {"pipelining": False}),
    ("no_multiline_responses", {"multiline": False}),
    ("suppress_local_fixups", {"suppress_local_fixups": True}),
    ("no_delay_flush", {"delay_flush": False}),
    ("dscp/ef", {"dscp": "ef"}),
    ("utf8_downconvert/-1", {"utf8_downconvert": -1}),
    ("caseful_local_part", {"caseful_local_part": True}),
])
def test_controls_are_recorded(text: str, expected: dict[str, object]) -> None:
    scope = Lab(configuration()).scope
    assert run_acl("rcpt", f"accept control = {text}", scope, recipient=taint("a@b")).status == "ok"
    fresh, got = AclControls(), controls_of(scope)
    changed = {n: getattr(got, n) for n in AclControls.__slots__ if getattr(got, n) != getattr(fresh, n)}
    assert changed == expected


def test_message_controls_are_forgotten() -> None:
    scope = Lab(configuration()).scope
    run_acl("rcpt", "accept control = freeze\n control = submission\n control = no_pipelining\n add_header = X: y",
            scope, recipient=taint("a@b"))
    controls_of(scope).reset_message()
    assert controls_of(scope) == AclControls(pipelining=False)


def test_headers() -> None:
    scope = Lab(configuration("""begin acl
t:
  accept add_header = :at_start:X-A: 1\\nfoo
         add_header = X-B: 2
         add_header = X-B: 2
         remove_header = x-c : X-D""")).scope
    run_acl("rcpt", "t", scope, recipient=taint("a@b"))
    assert scope.headers_added == ["X-A: 1\n", "X-ACL-Warn: foo\n", "X-B: 2\n"]
    added, removed = take_headers(scope)
    assert [(h.text, h.position) for h in added] == [
        ("X-A: 1\n", "start"), ("X-ACL-Warn: foo\n", "end"), ("X-B: 2\n", "end")]
    assert removed == ["x-c", "X-D"]
    assert take_headers(scope) == ([], [])
    assert scope.headers_added == []


def test_every_control_has_a_row_of_its_own() -> None:
    assert {"freeze", "submission", "queue", "queue_only", "wellknown"} <= {row.name for row in CONTROLS}
