"""Which addresses are ours."""

from __future__ import annotations

import pytest

from pyexim.base.ipaddress import parse
from pyexim.net import interfaces


@pytest.fixture(autouse=True)
def system(monkeypatch: pytest.MonkeyPatch) -> None:
    interfaces.forget()
    monkeypatch.setattr(interfaces, "system_addresses", lambda now=0.0: ["127.0.0.1", "::1", "10.1.1.1", "fe80::5"])


def keys(*addresses: str) -> set[int | None]:
    return {parse(a) for a in addresses}


def test_all_interfaces_by_default() -> None:
    assert interfaces.local_keys() == keys("127.0.0.1", "::1", "10.1.1.1", "fe80::5")


def test_listed_ones_and_extra_ones() -> None:
    assert interfaces.local_keys("127.0.0.1.25 : 192.0.2.1") == keys("127.0.0.1", "192.0.2.1")
    assert interfaces.local_keys("127.0.0.1", "0.0.0.0") == keys("127.0.0.1", "10.1.1.1")
    assert interfaces.local_keys("<; [::1]:26", "<; ::0") == keys("::1", "fe80::5")


def test_without_ipv6() -> None:
    assert interfaces.local_keys(None, None, True) == keys("127.0.0.1", "10.1.1.1")


def test_kept_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    first = interfaces.local_keys(now=10)
    monkeypatch.setattr(interfaces, "system_addresses", lambda now=0.0: ["127.0.0.1"])
    assert interfaces.local_keys(now=60) == first
    assert interfaces.local_keys(now=71) == keys("127.0.0.1")


def test_the_real_ones_include_loopback() -> None:
    monkey = pytest.MonkeyPatch()
    monkey.undo()
    assert "127.0.0.1" in interfaces._ipv4_addresses()


def test_wrong_item_is_named() -> None:
    with pytest.raises(ValueError, match=r"1\.2\.3"):
        interfaces.listed_addresses("127.0.0.1 : 1.2.3")
    assert interfaces.listed_addresses("127.0.0.1.26") == [("127.0.0.1", 26)]
