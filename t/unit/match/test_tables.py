"""Names and networks in tables: the answers are those of looking at one item after the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from list_lab import make_scope

from pyexim.base.ipaddress import NetworkTable, parse, parse_network
from pyexim.match import lists
from pyexim.match.items import name_table, plain_name

SCOPE = make_scope()
NAMES = st.from_regex(r"\*?[abAB.]{0,4}", fullmatch=True)
ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.1.1", "10.1.0.1", "::1", "1::1", "1:2::1", "::ffff:10.0.0.1"])
NETWORKS = st.builds("{}/{}".format, ADDRESSES, st.integers(0, 32)) | ADDRESSES


@given(st.lists(NAMES, min_size=1, max_size=8), st.from_regex(r"[abAB.]{0,5}", fullmatch=True), st.booleans())
def test_names(patterns: list[str], subject: str, caseful: bool) -> None:
    SCOPE.vars.clear()
    wanted = next((found for pattern in patterns
                   if (found := plain_name(pattern, caseful=caseful)(subject, SCOPE)) is not None), None)
    numeric = dict(SCOPE.vars)
    SCOPE.vars.clear()
    assert name_table(patterns, caseful=caseful)(subject, SCOPE) == wanted
    assert SCOPE.vars == numeric


@given(st.lists(NETWORKS, max_size=8), ADDRESSES)
def test_networks(texts: list[str], address: str) -> None:
    key = parse(address)
    table: NetworkTable[int] = NetworkTable()
    wanted = None
    for number, text in enumerate(texts):
        network = parse_network(text)
        assert network is not None and key is not None
        table.add(network, number)
        if wanted is None and key & network[0] == network[1]:
            wanted = number
    assert key is not None and table.find(key) == wanted


@given(st.lists(st.sampled_from(["a", "*a", "!a", "!*a", "^a", "b", "!b", "*b", "!^b", "ab", "!ab"]), max_size=6),
       st.sampled_from(["a", "b", "ab", "ba", "c"]))
def test_signs(items: list[str], subject: str) -> None:
    found = False
    for item in items:
        negated, pattern = item[:1] == "!", item.removeprefix("!")
        matched = (subject.startswith(pattern[1:]) if pattern[0] == "^" else
                   subject.endswith(pattern[1:]) if pattern[0] == "*" else subject == pattern)
        if matched:
            found = not negated
            break
    else:
        found = bool(items) and items[-1][0] == "!"
    assert bool(lists.match_domain(subject, ":".join(items), SCOPE, expanded=True)) == found
