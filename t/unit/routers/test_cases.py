"""-bt through the routers, compared with what a real Exim was seen to print (t/cases/routers)."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyexim.base.taint import taint
from pyexim.config.configuration import Configuration
from pyexim.config.reader import read_configuration
from pyexim.expand.scope import Scope, Services
from pyexim.filters.process import run_here
from pyexim.model.message import Message
from pyexim.routers import redirect_filter
from pyexim.routers.runner import instantiate
from pyexim.verify.report import run

sys.path.insert(0, str(Path(__file__).parents[2] / "compare"))
from router_cases import CASES, lay_out, read_cases


class QuietLog:
    def main(self, text: str, *, message_id: str | None = None, selector: str = "") -> None:
        pass

    reject = main

    def panic(self, text: str, *, message_id: str | None = None, also_main: bool = True) -> None:
        self.main(text, message_id=message_id)

    def selected(self, selector: str) -> bool:
        return False

    def wants(self, selector: str) -> bool:
        return self.selected(selector)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("routers") / "data"
    lay_out(directory)
    return directory


@cache
def configuration(family: str, directory: Path) -> Configuration:
    text = (CASES / f"{family}.conf").read_text().replace("@DATA@", str(directory))
    config = read_configuration(["test.conf"], data=text.encode("latin-1"))
    for transport in config.transports.values():
        transport.driver = SimpleNamespace(is_local=transport.driver_name not in ("smtp", "lmtp"))
    instantiate(config)
    return config


def cases() -> list[Any]:
    return [pytest.param(path.stem, case.source, case.wanted, id=f"{path.stem}-{case.source}")
            for path in sorted(CASES.glob("*.txt"))
            for case in read_cases(path)[1]]


@pytest.mark.parametrize("family,address,wanted", cases())
def test_case(family: str, address: str, wanted: list[str], data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redirect_filter, "run_as_user", run_here)
    config = configuration(family, data)
    scope = Scope(config, Services(QuietLog(), primary_hostname="obs.example", admin=True))
    scope.message = Message(sender_address="root@obs.example")
    out: list[str] = []
    run("bt", [taint(address)], scope, write=out.append)
    printed = "".join(out).replace(str(data), "@DATA@")
    assert [x for x in printed.split("\n") if x] == wanted
