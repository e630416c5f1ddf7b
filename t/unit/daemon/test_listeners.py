"""Which addresses and ports the daemon listens on."""

from __future__ import annotations

import pytest

from pyexim.base.errors import ConfigError
from pyexim.config.main_options import MainOptions
from pyexim.daemon.listeners import Endpoint, describe, endpoints


def options(**values: object) -> MainOptions:
    main = MainOptions()
    for name, value in values.items():
        setattr(main, name, value)
    return main


@pytest.mark.parametrize(("values", "override", "line"), [
    ({}, ["34001"], "port 34001 (IPv6 and IPv4)"),
    ({"disable_ipv6": True}, ["34001"], "port 34001 (IPv4)"),
    ({}, ["127.0.0.1.34002:34003"], "[127.0.0.1]:34002"),
    ({}, ["34001:34004"], "port 34001 (IPv6 and IPv4) port 34004 (IPv6 and IPv4)"),
    ({}, ["0.0.0.0.34007"], "port 34007 (IPv4)"),
    ({"local_interfaces": "127.0.0.1:127.0.0.2", "daemon_smtp_ports": "2525"}, [],
     "[127.0.0.1]:2525 [127.0.0.2]:2525"),
    ({"local_interfaces": "<; ::1; 127.0.0.1", "daemon_smtp_ports": "25:587"}, [],
     "[::1]:25 [::1]:587 [127.0.0.1]:25 [127.0.0.1]:587"),
    ({"local_interfaces": "127.0.0.1", "daemon_smtp_ports": "smtp"}, [], "[127.0.0.1]:25"),
    ({"daemon_smtp_ports": "2525"}, ["127.0.0.3"], "[127.0.0.3]:2525"),
])
def test_start_up_line(values: dict[str, object], override: list[str], line: str) -> None:
    assert describe(endpoints(options(**values), override)) == line


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="invalid IP address"):
        endpoints(options(local_interfaces="mail.example"), [])


def test_what_is_no_port_is_refused() -> None:
    with pytest.raises(ConfigError, match='TCP port "nosuch" not found'):
        endpoints(options(daemon_smtp_ports="nosuch"), [])


def test_an_endpoint_is_listed_once() -> None:
    assert endpoints(options(local_interfaces="127.0.0.1:127.0.0.1", daemon_smtp_ports="25:25"), []) == [
        Endpoint("127.0.0.1", 25)]
