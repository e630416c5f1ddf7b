"""-brw compared with what Exim 4.96 was seen to print (t/cases/rewrite)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from acl_lab import Case, RecordingLog, read_cases

from pyexim.base.errors import ConfigError
from pyexim.config.reader import read_configuration
from pyexim.expand.scope import Scope, Services
from pyexim.rewrite.api import compile_rewrites
from pyexim.rewrite.api import test_rewrite as brw

FILE = Path(__file__).resolve().parents[2] / "cases" / "rewrite" / "brw.txt"


@pytest.mark.parametrize("case", read_cases(FILE), ids=lambda case: case.name)
def test_case(case: Case) -> None:
    text = f"""
primary_hostname = h.example
qualify_domain = local.example
spool_directory = /nonexistent
keep_environment =
{case.sections.get("main", "")}
begin rewrite
{case.sections["rules"]}
"""
    config = read_configuration(["lab.conf"], data=text.encode("latin-1"))
    selectors = frozenset({"address_rewrite"} if "address_rewrite" in case.sections.get("main", "") else ())
    log = RecordingLog(selectors)
    try:
        compile_rewrites(config)
        got = brw(case.sections["address"].rstrip("\n"),
                           Scope(config, Services(log, primary_hostname="h.example")))
    except ConfigError as e:
        got = "LOG: " + re.sub(r"line \d+ of \S+:", "line N of FILE:", str(e))
    # Where a list was being checked is not told by us.
    want = case.sections["want"].replace(" while checking a list", "").strip()
    assert (got + "\n".join(log.lines)).replace(" while checking a list", "").strip() == want
