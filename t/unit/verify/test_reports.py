"""-bt, -bv and -bvs compared with what Exim 4.96 was seen to print (t/cases/verify)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from acl_lab import Case, RecordingLog, read_cases

from pyexim.config.configuration import Configuration
from pyexim.config.reader import read_configuration
from pyexim.expand.scope import Scope, Services
from pyexim.model.host import Host
from pyexim.routers.runner import instantiate
from pyexim.transports.table import instantiate as instantiate_transports
from pyexim.verify.address_test import host_lines
from pyexim.verify.report import run

CASES = Path(__file__).resolve().parents[2] / "cases" / "verify"


@cache
def configuration() -> Configuration:
    config = read_configuration(["lab.conf"], data=(CASES / "routing.conf").read_bytes())
    instantiate_transports(config)
    instantiate(config)
    return config


def scope() -> Scope:
    return Scope(configuration(), Services(RecordingLog(), primary_hostname="h.example", admin=True))


@pytest.mark.parametrize("case", read_cases(CASES / "reports.txt"), ids=lambda case: case.name)
def test_case(case: Case) -> None:
    out: list[str] = []
    mode = case.sections["mode"].strip()
    code = run(mode.split()[-1][1:], [case.sections["argument"].strip("\n")], scope(),
               full="-v" in mode.split(), write=out.append)
    assert "".join(out) + f"exit {code}" == case.sections["want"].rstrip("\n")


def test_addresses_from_lines() -> None:
    out: list[str] = []
    code = run("bt", [], scope(), lines=["alice@local.example\n", "nouser@local.example\n"], write=out.append)
    assert code == 2
    assert "".join(out) == ("> alice@local.example\n  router = local, transport = t\n"
                            "> nouser@local.example is undeliverable: Unrouteable address\n> \n")


def test_columns_of_hosts() -> None:
    hosts = [Host("localhost", "127.0.0.1"), Host("127.0.0.8", "127.0.0.8", port=26),
             Host("127.0.100.200", "127.0.100.200", mx=5), Host("late")]
    assert host_lines(hosts) == [
        "  host localhost     [127.0.0.1]    ",
        "  host 127.0.0.8     [127.0.0.8]     port=26",
        "  host 127.0.100.200 [127.0.100.200] MX=5",
        "  host late                         ",
    ]
