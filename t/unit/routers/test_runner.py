"""What addresses become on their way through the routers: data, children, copies, loops, hosts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from router_lab import lab, route

from pyexim.base.errors import ConfigError
from pyexim.base.taint import is_tainted
from pyexim.routers.base import Deferred, Discarded, Failed, Rerouted, Routed
from pyexim.routers.runner import route_address


def test_what_a_router_leaves_in_an_address() -> None:
    scope = lab("""
r:
  driver = accept
  domains = a.example
  address_data = data of $local_part
  set = r_one = 1 ; r_two = $r_one$r_one
  errors_to = bounce-$local_part@a.example
  headers_add = X-A: $local_part
  headers_add = X-B: b
  headers_remove = x-c : x-d*
  user = root
  group = 7
  initgroups
  transport_home_directory = /h/$local_part
  transport_current_directory = /c
  fallback_hosts = 10.0.0.1:10.0.0.2::26
  transport = t
""")
    outcome, a, _ = route(scope, "Joe@a.example")
    assert outcome == Routed() and a.transport.name == "t" and a.router.name == "r"
    assert a.address == "Joe@a.example" and a.local_part == "joe" and is_tainted(a.local_part)
    assert a.address_data == "data of joe" and a.vars == {"r_one": "1", "r_two": "11"}
    assert a.errors_address == "bounce-joe@a.example"
    assert a.headers_add == ["X-A: joe", "X-B: b"] and a.headers_remove == "x-c:x-d*"
    assert (a.uid, a.gid, a.user_name, a.initgroups) == (0, 7, "root", True)
    assert (a.home_dir, a.home_expanded, a.current_dir) == ("/h/$local_part", False, "/c")
    assert [(h.address, h.port) for h in a.fallback_hosts] == [("10.0.0.1", None), ("10.0.0.2", 26)]
    assert scope.address is None and scope.router_name == ""
    assert scope.vars == {"0": "a.example"}  # of the last list that was compared with


def test_errors_to_must_verify() -> None:
    scope = lab("""
bad:
  driver = redirect
  local_parts = bad
  allow_fail
  data = :fail: no
r:
  driver = accept
  errors_to = $address_data
  address_data = ${if eq{$local_part}{one}{bad@x}{good@x}}
  transport = t
""")
    assert route(scope, "one@x")[1].errors_address is None
    assert route(scope, "two@x")[1].errors_address == "good@x"
    assert scope.message is not None and scope.message.sender_address == "sender@x.example"
    nowhere = lab("r:\n  driver = accept\n  errors_to =\n  transport = t")
    assert route(nowhere, "one@x")[1].errors_address == ""


def test_local_users_and_homes() -> None:
    scope = lab("""
r:
  driver = accept
  check_local_user
  router_home_directory = /router/home
  condition = ${if and{{eq{$home}{/router/home}}{eq{$local_user_uid}{0}}}}
  local_part_suffix = +*
  local_part_suffix_optional
  transport = t
u:
  driver = accept
  transport = s
""")
    _, a, _ = route(scope, "root+x@a")
    assert (a.transport.name, a.local_part_data, a.uid, a.home_dir) == ("t", "root", 0, "/root")
    _, b, _ = route(scope, "nosuchuserhere@a")
    assert (b.transport.name, b.uid, b.home_dir, b.suffix) == ("s", None, None, "")
    assert "local_user_uid" not in scope.vars
    _, c, _ = route(scope, "nosuch+x@a")
    assert (c.transport.name, c.suffix, c.local_part) == ("s", "", "nosuch+x")


def test_redirection_and_inheritance() -> None:
    scope = lab("""
r:
  driver = redirect
  domains = a.example
  address_data = d
  headers_add = X: y
  errors_to = e@b.example
  redirect_router = last
  data = One@B.example, two
never:
  driver = accept
  domains = b.example
  condition = ${if eq{$local_part}{one}}
  transport = s
last:
  driver = accept
  transport = t
""")
    outcome, a, run = route(scope, "joe@a.example")
    assert isinstance(outcome, Rerouted) and run.new_children == outcome.children
    one, two = outcome.children
    assert (one.address, one.domain, one.unique) == ("One@B.example", "b.example", "One@b.example")
    assert two.address == "two@q.example" and one.parent is a and a.router.name == "r"
    assert (one.address_data, one.headers_add, one.errors_address) == ("d", ["X: y"], "e@b.example")
    assert isinstance(route_address(one, run), Routed) and one.transport.name == "t"


def test_an_address_that_redirects_to_itself_goes_on() -> None:
    scope = lab("""
r:
  driver = redirect
  data = Joe@A.example
l:
  driver = accept
  transport = t
""")
    outcome, _, run = route(scope, "joe@a.example")
    assert isinstance(outcome, Rerouted)
    child = outcome.children[0]
    assert isinstance(route_address(child, run), Routed)
    assert "homonym" in child.flags and child.unique == "Joe@a.example/t"


def test_repeat_use_and_check_ancestor() -> None:
    scope = lab("""
r:
  driver = redirect
  no_repeat_use
  domains = a.example
  data = other@a.example
l:
  driver = accept
  transport = t
""")
    outcome, _, run = route(scope, "joe@a.example")
    assert isinstance(outcome, Rerouted) and isinstance(route_address(outcome.children[0], run), Routed)
    scope = lab("""
alias:
  driver = redirect
  local_parts = joe.bloggs
  data = jb@a.example
fwd:
  driver = redirect
  local_parts = jb
  check_ancestor
  data = Joe.Bloggs@a.example, x@y
""")
    outcome, _, run = route(scope, "joe.bloggs@a.example")
    assert isinstance(outcome, Rerouted)
    inner = route_address(outcome.children[0], run)
    assert isinstance(inner, Rerouted) and [c.address for c in inner.children] == ["jb@a.example", "x@y"]


def test_unseen_copies() -> None:
    scope = lab("""
copy:
  driver = accept
  unseen
  headers_add = X: copy
  address_data = kept
  transport = s
l:
  driver = accept
  transport = t
""")
    outcome, a, run = route(scope, "joe@a.example")
    assert isinstance(outcome, Rerouted)
    seen, clone = outcome.children
    assert isinstance(route_address(seen, run), Routed) and seen.transport.name == "s"
    assert seen.unique == "joe@a.example/copy" and seen.headers_add == ["X: copy"] and seen.parent is a
    assert isinstance(route_address(clone, run), Routed) and clone.transport.name == "t"
    assert clone.headers_add == [] and clone.address_data == "kept" and clone.unique == "joe@a.example/t"
    outcome, a, _ = route(scope, "joe@a.example", verify="R")
    assert isinstance(outcome, Routed)


def test_pipes_and_files_are_settled() -> None:
    scope = lab("""
r:
  driver = redirect
  data = |/bin/x y, /box, /dir/, /dev/null
  pipe_transport = t
  file_transport = t
  user = root
""")
    outcome, _, run = route(scope, "joe@a.example")
    assert isinstance(outcome, Rerouted)
    pipe, file, directory, _ = outcome.children
    assert (pipe.kind, pipe.address, pipe.local_part, pipe.unique) == (
        "pipe", "|/bin/x y", "/bin/x y", "|/bin/x y:joe@a.example")
    assert pipe.uid == 0 and pipe.transport.name == "t" and isinstance(route_address(pipe, run), Routed)
    assert (file.kind, directory.kind) == ("file", "directory")
    assert route_address(directory, run) == Deferred("directory_transport unset in r router", errno=-30)


def test_verification_flags() -> None:
    scope = lab("""
only:
  driver = accept
  verify_only
  no_verify_sender
  transport = s
fails:
  driver = accept
  fail_verify_sender
  transport = t
""")
    assert route(scope, "j@x")[1].transport.name == "t"
    assert route(scope, "j@x", verify="R")[1].transport.name == "s"
    assert route(scope, "j@x", verify="S")[0] == Failed("fails router forced verify failure")
    assert route(scope, "j@x", verify="E")[1].transport.name == "t"


def test_codes_of_fail_and_defer() -> None:
    scope = lab("r:\n  driver = redirect\n  allow_fail\n  allow_defer\n  data = :$local_part: 4${if "
                "eq{$local_part}{fail}{5}{5}}1 4.1.1 text\n")
    outcome, *_ = route(scope, "defer@x")
    assert isinstance(outcome, Deferred) and (outcome.smtp_code, outcome.user_text) == (451, "4.1.1 text")
    outcome, *_ = route(scope, "fail@x")
    assert isinstance(outcome, Failed) and outcome.smtp_code is None
    assert any("must begin with 5" in line for line in scope.services.log.lines)  # type: ignore[attr-defined]


def test_blackhole_and_one_time() -> None:
    scope = lab("r:\n  driver = redirect\n  one_time\n  data = ${if eq{$local_part}{x}{:blackhole:}{a@b, |y}}\n")
    assert route(scope, "x@a")[0] == Discarded(":blackhole:")
    outcome, _, run = route(scope, "y@a")
    assert isinstance(outcome, Rerouted) and outcome.children[0].one_time
    assert route_address(outcome.children[1], run) == Failed("delivery to pipe forbidden")


def test_privileged_opening() -> None:
    asked: list[Any] = []

    def open_file(path: str, uid: int, gid: int, user_name: str | None) -> tuple[int, int]:
        asked.append((path, uid, gid, user_name))
        return -1, 13
    scope = lab("r:\n  driver = redirect\n  check_local_user\n  file = $home/.forward\n",
                privileged=SimpleNamespace(open_file=open_file))
    outcome, *_ = route(scope, "root@x")
    assert asked == [("/root/.forward", 0, 0, None)]
    assert outcome == Deferred("failed to open /root/.forward: Permission denied (euid=0 egid=0)")


def test_self() -> None:
    routers = "r:\n  driver = manualroute\n  transport = s\n  route_list = * 127.0.0.1:10.0.0.1\n  self = "
    frozen, *_ = route(lab(routers + "freeze"), "x@a")
    assert isinstance(frozen, Deferred) and frozen.freeze
    assert [h.address for h in route(lab(routers + "send"), "x@a")[1].host_list] == ["127.0.0.1", "10.0.0.1"]
    outcome, a, _ = route(lab(routers + "pass\nn:\n  driver = accept\n  transport = t"), "x@a")
    assert isinstance(outcome, Routed) and a.transport.name == "t" and a.self_hostname == "127.0.0.1"
    outcome, *_ = route(lab(routers + "reroute: b.example"), "x@a")
    assert isinstance(outcome, Rerouted) and outcome.children[0].address == "x@b.example"


def test_translated_addresses() -> None:
    scope = lab("""
r:
  driver = manualroute
  transport = s
  route_list = * 10.1.1.1:10.1.1.2
  translate_ip_address = ${if eq{$host_address}{10.1.1.1}{10.9.9.9}fail}
""")
    assert [h.address for h in route(scope, "x@a")[1].host_list] == ["10.9.9.9", "10.1.1.2"]


@pytest.mark.parametrize("routers,text", [
    ("r:\n  driver = accept", "a transport is required"),
    ("r:\n  driver = redirect\n  data = x\n  transport = t", "must not be defined"),
    ("r:\n  driver = redirect", 'one of "file" or "data"'),
    ("r:\n  driver = redirect\n  data = x\n  file = /y", "only one of"),
    ("r:\n  driver = redirect\n  data = x\n  one_time\n  unseen", '"unseen" may not be used'),
    ("r:\n  driver = accept\n  transport = t\n  pass_router = r", "does not follow"),
    ("r:\n  driver = accept\n  transport = t\n  redirect_router = x", "not found"),
    ("r:\n  driver = accept\n  transport = t\n  self = bogus", "not valid for the self option"),
    ("r:\n  driver = accept\n  transport = t\n  set = x = y", "not valid for the set option"),
    ("r:\n  driver = manualroute\n  transport = s", "route_list or route_data"),
    ("r:\n  driver = manualroute\n  transport = s\n  route_list = a\n  host_find_failed = x", "host_find_failed"),
    ("r:\n  driver = queryprogram\n  transport = s", "command specification"),
    ("r:\n  driver = iplookup", "port must be specified"),
])
def test_configurations_that_are_refused(routers: str, text: str) -> None:
    with pytest.raises(ConfigError) as problem:
        lab(routers)
    assert text in problem.value.text and problem.value.place is not None


QUERY = ("r:\n  driver = queryprogram\n  transport = s\n  command_user = daemon\n  command_group = 7\n"
         "  command = /bin/echo ")


@pytest.mark.parametrize("line,check", [
    ("ACCEPT transport=t data=\\\"a b\\\"", lambda o, a: isinstance(o, Routed) and a.address_data == "a b"),
    ("accept hosts=10.1.1.1:10.1.1.2::26", lambda o, a: [h.port for h in a.host_list] == [None, 26]),
    ("decline", lambda o, a: o.text == o.user_text == "Unrouteable address"),
    ("fail no such user", lambda o, a: o == Failed("no such user", "no such user")),
    ("defer later", lambda o, a: o == Deferred("later")),
    ("freeze x", lambda o, a: o == Deferred("x", freeze=True)),
    ("redirect p@q, r", lambda o, a: [c.address for c in o.children] == ["p@q", "r@q.example"]),
    ("accept transport=nosuch", lambda o, a: "unknown transport" in o.text),
    ("what", lambda o, a: "bad command yield" in o.text),
])
def test_queryprogram(line: str, check: Any) -> None:
    command = f'"{line}"' if " " in line else line
    scope = lab(QUERY + command)
    outcome, a, _ = route(scope, "joe@a")
    assert check(outcome, a), outcome
