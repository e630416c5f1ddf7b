"""The families of t/cases/lookup/servers, asked with real servers: by pyexim, and by a real Exim that has the type.

    python t/interop/test_lookup_servers.py [mysql pgsql ldap sqlite ...]     writes the answers anew

A family NAME.txt begins with "#: " lines, the configuration; NAME.sql and the like are the server's data.  @PORT@,
@SOCKET@ and @TOP@ are the server's, @CLOSED@ is a port where nobody listens.  A real Exim's answers go into the "="
lines, or the "!" lines where we differ on purpose; those of redis, which Debian's Exim has not, are ours.
dns.zone is all of the DNS for the family dns.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "t" / "lib"))

import pytest  # noqa: E402
import servers  # noqa: E402
from dns_world import in_world, usable  # noqa: E402
from families import ask, escape, read_family, write_family  # noqa: E402
from list_lab import make_scope  # noqa: E402

from compare import find_exim  # noqa: E402
from pyexim.base.taint import Quoted, Tainted  # noqa: E402
from pyexim.lookup.api import find, tidy  # noqa: E402

CASES = ROOT / "t" / "cases" / "lookup" / "servers"
PYEXIM = str(ROOT / "bin" / "pyexim")
KINDS: dict[str, type[servers.Server] | None] = {
    "redis": servers.Redis, "mysql": servers.Mysql, "pgsql": servers.Postgres, "ldap": servers.Ldap, "sqlite": None,
    "dns": None}
PACKAGES = {"redis": "redis", "mysql": "pymysql", "pgsql": "psycopg", "ldap": "ldap3"}
BASE = """\
spool_directory = @TOP@/spool
log_file_path = @TOP@/%slog
primary_hostname = mx.example.com
exim_user = nobody
keep_environment = PATH
"""


@contextmanager
def running(name: str, top: Path) -> Iterator[tuple[dict[str, str], servers.Server | None]]:
    """Run the server of a family; gives what the placeholders stand for, and it."""
    kind = KINDS[name]
    with kind(top / "server") if kind is not None else nullcontext() as server:
        values = {"@CLOSED@": str(servers.free_port())}
        if server is not None:
            values |= {"@PORT@": str(server.port), "@SOCKET@": server.socket}
        yield values, server


def answers(program: str, name: str, top: Path, values: dict[str, str]) -> list[str]:
    """Return a program's answers to a family, with placeholders again."""
    own = top / Path(program).name
    own.mkdir()
    values = {**values, "@TOP@": str(own)}

    def fill(text: str) -> str:
        for mark, value in values.items():
            text = text.replace(mark, value)
        return text

    head, cases = read_family(CASES / f"{name}.txt")
    conf = own / "configure"
    conf.write_text(fill(BASE + "".join(line[3:] + "\n" for line in head if line.startswith("#: "))), "latin-1")
    prefix = in_world(CASES / "dns.zone") if name == "dns" else ()
    got = ask(program, conf, [fill(c.source) for c in cases], prefix=prefix)
    for mark, value in sorted(values.items(), key=lambda item: -len(item[1])):
        got = [text.replace(value, mark) for text in got]
    return [escape(text) for text in got]


def exim_with(name: str) -> str | None:
    """Return a real Exim that has a lookup type, if there is one."""
    exim = find_exim()
    if exim is None:
        return None
    name = {"dns": "dnsdb"}.get(name, name)
    told = subprocess.run([exim, "-bV"], capture_output=True, text=True, check=False).stdout
    return exim if any(name in line.split() for line in told.splitlines() if line.startswith("Lookups")) else None


def wrong(name: str, got: list[str], *, real: bool) -> list[str]:
    """Return the cases whose answer is not the wanted one, as text."""
    cases = read_family(CASES / f"{name}.txt")[1]
    pairs = [(c, c.of_exim if real else c.wanted, g) for c, g in zip(cases, got, strict=True)]
    return [f"{c.source}\n  wanted {w}\n  got    {g}" for c, w, g in pairs if w != g]


@pytest.mark.parametrize("name", KINDS)
def test_family(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    if kind is not None and kind.missing():
        pytest.skip(kind.missing())
    if name == "dns" and not usable():
        pytest.skip("needs root and a network of its own")
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    with running(name, tmp_path) as (values, server):
        exim = exim_with(name)
        if exim is not None:
            told = wrong(name, answers(exim, name, tmp_path, values), real=True)
            assert not told, "Exim answers in another way:\n" + "\n".join(told)
        told = wrong(name, answers(PYEXIM, name, tmp_path, values), real=False)
        assert not told, "\n".join(told)
        if server is not None:
            goes_and_comes(name, server)
        if isinstance(server, servers.Ldap) and server.certificate is not None:
            speaks_tls(server)


QUERIES = {"redis": "ping", "mysql": "select 1", "pgsql": "select 1", "ldap": "ldap:///o=base?o?base?"}
SERVERS = {"redis": ("redis_servers", "<; 127.0.0.1:@PORT@//sesame"), "ldap": ("ldap_default_servers", "<; @SOCKET@"),
           "mysql": ("mysql_servers", "<; (@SOCKET@)/mail/ex/sesame"),
           "pgsql": ("pgsql_servers", "<; (@SOCKET@)/mail/ex/sesame")}


def goes_and_comes(name: str, server: servers.Server) -> None:
    """A server that is away defers; when it is back, the kept connection does no harm.  Tainted queries are refused."""
    option, listed = SERVERS[name]
    scope = make_scope(**{option: listed.replace("@PORT@", str(server.port)).replace("@SOCKET@", server.socket)})
    query = QUERIES[name]
    try:
        first = find(name, query, None, scope)
        assert first.found, first.error
        refused = find(name, Tainted(query), None, scope)
        assert refused.deferred and "not properly quoted" in refused.error
        assert find(name, Quoted(query, name), None, scope).found
        server.stop()
        assert find(f"{name},cache=no_rd", query, None, scope).deferred
        server.start()
        again = find(f"{name},cache=no_rd", query, None, scope)
        assert again.found, again.error
        server.stop()
        server.start()
        assert find(f"{name},cache=no_rd", query, None, scope).value == first.value
    finally:
        tidy(scope)


def speaks_tls(server: servers.Ldap) -> None:
    """With ldap_start_tls the certificate must be one that ldap_ca_cert_file vouches for, unless none is wanted."""
    query = f"ldap://127.0.0.1:{server.port}/o=base?sn?sub?(uid=fred)"
    for options, error in (
            ({"ldap_ca_cert_file": str(server.certificate)}, ""), ({"ldap_require_cert": "never"}, ""),
            ({"ldap_require_cert": "hard"}, "failed to initiate TLS processing on an LDAP session to server")):
        scope = make_scope(ldap_start_tls=True, **options)
        result = find("ldap", query, None, scope)
        tidy(scope)
        assert (result.value == "Flint") if not error else (result.deferred and error in result.error), result


def record(name: str) -> None:
    """Write a family with the answers of a real Exim (or ours); where a case says why, both."""
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary)
        top.chmod(0o755)
        with running(name, top) as (values, _):
            exim = exim_with(name)
            theirs = answers(exim, name, top, values) if exim is not None else None
            ours = answers(PYEXIM, name, top, values)
    head, cases = read_family(CASES / f"{name}.txt")
    for i, (case, mine) in enumerate(zip(cases, ours, strict=True)):
        if theirs is None or (case.why and theirs[i] != mine):
            case.wanted, case.exim = mine, None if theirs is None else theirs[i]
        else:
            case.wanted, case.exim, case.why = theirs[i], None, ""
        if case.wanted != mine:
            print(f"{name}: {case.source}\n  Exim   {case.wanted}\n  pyexim {mine}")
    write_family(CASES / f"{name}.txt", head, cases)


if __name__ == "__main__":
    for which in sys.argv[1:] or KINDS:
        record(which)
