"""ACL scenarios compared with what Exim 4.96 was seen to answer (t/cases/acl)."""

from __future__ import annotations

from pathlib import Path

import pytest
from acl_lab import Case, Lab, read_cases, show

from pyexim.acl.api import compile_acls
from pyexim.config.reader import read_configuration
from pyexim.routers.runner import instantiate
from pyexim.transports.table import instantiate as instantiate_transports

CASES = Path(__file__).resolve().parents[2] / "cases" / "acl"
ALL = [(path.stem, case) for path in sorted(CASES.glob("*.txt")) for case in read_cases(path)]


def make_lab(case: Case) -> Lab:
    text = f"""
primary_hostname = h.example
qualify_domain = local.example
spool_directory = /nonexistent
host_lookup =
keep_environment =
{case.sections.get("main", "")}
acl_smtp_rcpt = t
begin acl
{case.sections["acl"]}
begin routers
{(CASES / "routers.conf").read_text()}
begin transports
t:
  driver = appendfile
  file = /dev/null
"""
    config = read_configuration(["lab.conf"], data=text.encode("latin-1"))
    instantiate_transports(config)
    instantiate(config)
    compile_acls(config)
    return Lab(config)


@pytest.mark.parametrize(("stem", "case"), ALL, ids=[f"{stem}: {case.name}" for stem, case in ALL])
def test_case(stem: str, case: Case) -> None:
    lab = make_lab(case)
    for line in case.sections["session"].strip().split("\n"):
        lab.command(line)
    assert show(lab).strip() == case.sections["want"].strip()
