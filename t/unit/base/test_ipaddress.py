"""IP addresses: what counts as one, keys, networks, forms; the standard library is the judge."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim.base import ipaddress as ip

V4 = st.ip_addresses(v=4)
V6 = st.ip_addresses(v=6)


@pytest.mark.parametrize(("text", "family"), [
    ("1.2.3.4", 4), ("01.2.3.4", 0), ("1.2.3", 0), ("1.2.3.256", 0), ("1.2.3.4/24", 0), ("1.2.3.4%eth0", 0),
    ("::1%eth0", 6), ("fe80::1%", 6), ("fe80::1/64", 0), ("1:2:3:4:5:6:7:8", 6), ("1:2:3:4:5:6:7", 0),
    ("1:2:3:4:5:6:7::", 6), ("::1:2:3:4:5:6:7:8", 0), ("::1.2.3.4", 6), ("12345::", 0), (":1::", 0), ("1:::2", 0),
    ("1::2::3", 0), ("::", 6), (":", 0), ("", 0), (" 1.2.3.4", 0), ("1.2.3.4 ", 0), ("1.2.3.4\0", 0)])
def test_what_exim_takes_for_an_address(text: str, family: int) -> None:
    assert ip.is_ip(text) == family


@pytest.mark.parametrize(("text", "normal", "full"), [
    ("::1", "::1", "0000:0000:0000:0000:0000:0000:0000:0001"),
    ("1.2.3.4", "::ffff:102:304", "0000:0000:0000:0000:0000:ffff:0102:0304"),
    ("FE80::00:1", "fe80::1", "fe80:0000:0000:0000:0000:0000:0000:0001"),
    ("1:0:0:2:0:0:0:3", "1:0:0:2::3", "0001:0000:0000:0002:0000:0000:0000:0003"),
    ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4", "0001:0000:0000:0002:0003:0000:0000:0004"),
    ("1:0:2:3:4:5:6:7", "1::2:3:4:5:6:7", "0001:0000:0002:0003:0004:0005:0006:0007"),
    ("::", "::", "0000:0000:0000:0000:0000:0000:0000:0000")])
def test_forms_of_ipv6(text: str, normal: str, full: str) -> None:
    assert ip.normalise_ipv6(text) == normal
    assert ip.denormalise_ipv6(text) == full


@given(st.one_of(V4, V6))
def test_key_and_back(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    key = ip.parse(str(address))
    assert key is not None
    assert (key & (ip.V6 - 1)) == int(address)
    assert (key >= ip.V6) is (address.version == 6)
    assert ipaddress.ip_address(ip.from_key(key)) == address


@given(st.one_of(V4, V6), st.one_of(V4, V6), st.integers(0, 128))
def test_networks(address: ipaddress.IPv4Address, base: ipaddress.IPv4Address, bits: int) -> None:
    bits = min(bits, base.max_prefixlen)
    network = ip.parse_network(f"{base}/{bits}")
    key = ip.parse(str(address))
    assert network is not None and key is not None
    expected = address.version == base.version and address in ipaddress.ip_network(f"{base}/{bits}", strict=False)
    assert (key & network[0] == network[1]) is expected


@given(st.one_of(V4, V6))
def test_reverse_names(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    assert ip.reverse_name(str(address)) == (mapped or address).reverse_pointer


@given(st.one_of(V4, V6), st.integers(1, 65535))
def test_ports(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    assert ip.split_host_port(f"[{address}]:{port}") == (str(address), port)
    assert ip.split_host_port(str(address)) == (str(address), 0)
    if address.version == 4 or "." not in str(address):
        assert ip.split_host_port(f"{address}.{port}") == (str(address), port)


@pytest.mark.parametrize("text", ["", "x", "[1.2.3.4", "[1.2.3.4]:", "[1.2.3.4]25", "[x]:25", "1.2.3.4.99999", "1.2.3"])
def test_no_host_and_port(text: str) -> None:
    assert ip.split_host_port(text) is None


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_any_text_is_taken(text: str) -> None:
    for function in (ip.is_ip, ip.split_host_port, ip.parse_network, ip.reverse_name, ip.normalise_ipv6,
                     ip.parse_literal, ip.unmap):
        function(text)


@pytest.mark.parametrize(("address", "bits", "text"), [
    ("1.2.3.4", 24, "1.2.3.0/24"), ("1.2.3.4", 0, "0.0.0.0/0"),
    ("3ffe:ffff:836f:0a00:000a:0800:200a:c031", 99, "3ffe.ffff.836f.0a00.000a.0800.2000.0000/99")])
def test_masked(address: str, bits: int, text: str) -> None:
    assert ip.masked(address, bits) == text
