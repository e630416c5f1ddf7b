"""Lists that a caller keeps: the same answers as those that are looked for each time."""

from list_lab import make_scope

from pyexim.log.debug import Debug
from pyexim.match import lists
from pyexim.model.connection import Connection


def test_answers_are_those_of_the_list() -> None:
    scope = make_scope("domainlist ours = a.example : *.b.example")
    domains, local_parts = lists.domain_list("+ours : c.example"), lists.local_part_list("^x : y")
    for _ in range(2):
        for domain in ("a.example", "A.example", "x.b.example", "c.example", "d.example"):
            assert domains(domain, scope) == lists.match_domain(domain, "+ours : c.example", scope)
        for local_part in ("xa", "y", "Y", "z"):
            assert local_parts(local_part, scope) == lists.match_local_part(local_part, "^x : y", scope)
    caseful = lists.local_part_list("y", caseful=True)
    assert [caseful(x, scope).found for x in ("y", "Y")] == [True, False]
    hosts = lists.host_list("127.0.0.1 : 10.0.0.0/8")
    for address in ("127.0.0.1", "10.1.2.3", "11.1.2.3", None):
        conn = Connection(sender_host_address=address)
        assert hosts(conn, scope) == lists.match_host(conn, "127.0.0.1 : 10.0.0.0/8", scope)


def test_what_is_to_be_expanded_is_expanded_each_time() -> None:
    scope = make_scope()
    in_list = lists.domain_list("$r_domain : b.example")
    for wanted in ("a.example", "c.example"):
        scope.vars["r_domain"] = wanted
        assert in_list(wanted, scope).found
        assert not in_list("x.example", scope).found


def test_debugging_shows_the_list_each_time() -> None:
    scope = make_scope()
    in_list = lists.domain_list("a.example")
    assert in_list("a.example", scope).found
    shown: list[str] = []

    class Shown(Debug):
        def write(self, text: str) -> None:
            shown.append(text)

    scope.services.debug = Shown({"lists"})
    assert in_list("a.example", scope).found
    assert any("a.example" in text for text in shown)
