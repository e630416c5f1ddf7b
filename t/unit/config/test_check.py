"""--check-config and the compile hooks, with stand-ins for the rooms above."""

from collections.abc import Callable

import pytest

from pyexim.base.errors import ConfigError
from pyexim.config import check, load
from pyexim.config.check import check_configuration
from pyexim.config.configuration import Configuration

from .read import DEBIAN

TEXT = """\
foo = 1
LIMIT = x
smtp_accept_max = LIMIT
perl_startup = do
domainlist a = +b : ${if
begin acl
one:
  bad 1
  accept
two:
  bad 2
begin routers
r1:
  driver = accept
  transport = nosuch
  domains = +zz : ! +a
r2:
  driver = redirect
r3:
  driver = none
begin retry
bad 3
* * F,1h,1m
bad 4
begin authenticators
p:
  driver = plaintext
  server_prompts = :
"""


def compile_acls(config: Configuration) -> None:
    for lines in config.acls.values():
        for line in lines:
            if "bad" in line.text:
                raise ConfigError(f"bad ACL line {line.text}", line.place)


def compile_rules(config: Configuration) -> None:
    for rule in config.retry:
        if "bad" in rule.text:
            raise ConfigError(f"bad rule {rule.text}", rule.place)


def make_routers(config: Configuration) -> None:
    for instance in config.routers:
        if instance.driver_name == "redirect":
            raise ConfigError("needs data", instance.place, about=f"{instance.name} router")


HOOKS: dict[str, Callable[[Configuration], None]] = {
    "routers": make_routers, "acl": compile_acls, "retry": compile_rules}


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name: name for name in HOOKS}
    resolve = check.resolve
    monkeypatch.setattr(load, "COMPILE_HOOKS", names)
    monkeypatch.setattr(check, "COMPILE_HOOKS", names)
    monkeypatch.setattr(load, "resolve", lambda name: HOOKS[name] if name in HOOKS else resolve(name))


ACLS = """\
acl_smtp_data = nosuch
acl_smtp_rcpt = one
acl_smtp_mail = accept hosts = :
begin acl
one:
  accept hosts = +zz : 1.2.3.4
         condition = ${if eq{a}{b}
  deny   acl = missing $domain
         message = ${bogus:x}
  accept acl = ${lookup{x}lsearch{/y}}
"""


def test_acls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [x for x in report(ACLS) if x.startswith("/c")] == [
        '/c:1: warning: main option "acl_smtp_data": "nosuch" is no ACL: unknown ACL verb "nosuch" in "nosuch"',
        '/c:6: warning: ACL one: "hosts" uses the unknown named host list "+zz"',
        '/c:7: warning: ACL one: "condition" cannot be expanded: curly-bracket problem in conditional yes/no '
        "parsing: 'yes' part did not start with '{' remaining string is ''",
        '/c:8: warning: ACL one: "acl": "missing" is no ACL: unknown ACL verb "missing" in "missing"',
        '/c:9: warning: ACL one: "message" cannot be expanded: unknown expansion operator "bogus"',
    ]


def report(text: str) -> list[str]:
    return check_configuration(["/c"], data=text.encode(), settings=DEBIAN).lines()


def test_every_fault_is_told() -> None:
    lines = report(TEXT)
    assert [x for x in lines if ": error: " in x] == [
        '/c:1: error: main option "foo" unknown',
        "/c:3: error: integer expected for smtp_accept_max (the line contains the macro LIMIT, defined in "
        "line 2 of /c)",
        "/c:8: error: bad ACL line bad 1",
        "/c:11: error: bad ACL line bad 2",
        "/c:17: error: r2 router: needs data",
        '/c:20: error: router r3: cannot find router driver "none"',
        "/c:22: error: bad rule bad 3",
        "/c:24: error: bad rule bad 4",
    ]
    assert lines[-1].startswith("8 errors, ")


def test_warnings() -> None:
    warnings = [x for x in report(TEXT) if ": warning: " in x]
    assert '/c:4: warning: main option "perl_startup" has no effect: there is no embedded Perl' in warnings
    assert any(x.startswith("/c:5: warning: domain list a cannot be expanded: ") for x in warnings)
    assert '/c:15: warning: router r1: option "transport" names the unknown transport "nosuch"' in warnings
    assert '/c:16: warning: router r1: option "domains" uses the unknown named domain list "+zz"' in warnings
    assert not any('"+a"' in x for x in warnings)


def test_a_good_configuration() -> None:
    assert report("queue_only\n") == ["0 errors, 0 warnings"]


def test_a_missing_file() -> None:
    assert check_configuration(["/no/such"]).lines() == [
        "error: non-existent configuration file(s): /no/such", "1 error, 0 warnings"]


def test_hooks_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    hooks = {name: (lambda config, name=name: calls.append(name)) for name in HOOKS}
    monkeypatch.setattr(load, "resolve", lambda name: hooks[name])
    config = load.load(["/c"], data=b"queue_only\n", settings=DEBIAN, hooks=["acl"])
    assert calls == ["acl"]
    load.compile_for(config, ["retry", "acl", "routers"])
    assert calls == ["acl", "routers", "retry"]
    assert load.load(["/c"], data=b"", settings=DEBIAN).compiled["hooks"] == set(HOOKS)
