"""What tests of lists and lookups work with: a configuration with named lists, a scope, logs that are kept."""

from __future__ import annotations

from pathlib import Path

from pyexim.base.errors import Place
from pyexim.config.configuration import Configuration, NamedList
from pyexim.config.main_options import MainOptions
from pyexim.expand.scope import Scope, Services

CASES = Path(__file__).resolve().parent.parent / "cases" / "lists"
KINDS = {"domainlist": "domain", "addresslist": "address", "localpartlist": "localpart", "hostlist": "host"}


class KeptLog:
    """Keeps what would be logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def main(self, text: str, *, message_id: str | None = None, selector: str = "") -> None:
        self.lines.append(text)

    def reject(self, text: str, *, message_id: str | None = None, headers: str = "", also_main: bool = True) -> None:
        self.lines.append(text)

    def panic(self, text: str, *, message_id: str | None = None, also_main: bool = True) -> None:
        self.lines.append(text)

    def crash(self, text: str, *, message_id: str | None = None) -> None:
        raise AssertionError(text)

    def selected(self, selector: str) -> bool:
        return True

    def wants(self, selector: str) -> bool:
        return self.selected(selector)


def make_scope(named: str = "", **options: object) -> Scope:
    """Return a scope; ``named`` holds lines such as "domainlist a = b : c", ``options`` main options."""
    main = MainOptions()
    main.primary_hostname = "myhost.example.com"
    for name, value in options.items():
        setattr(main, name, value)
    config = Configuration(main, "test")
    for line in named.splitlines():
        head, _, text = line.partition("=")
        if not head.strip():
            continue
        word, name = head.split()
        kind = KINDS[word.removesuffix("_cache")]
        config.named_lists.setdefault(kind, {})[name] = NamedList(
            name, kind, text.strip(), Place("test", 1), cached=word.endswith("_cache"))
    return Scope(config, Services(KeptLog(), primary_hostname="myhost.example.com"))


def named_cases() -> str:
    """Return the named lists of the recorded cases."""
    return (CASES / "named.txt").read_text().replace("$FILES", str(CASES / "files"))


def recorded(kind: str) -> list[tuple[str, str, str]]:
    """Return (subject, list, expected answer) of the recorded cases of a kind; ours where we differ on purpose."""
    out = []
    for line in (CASES / f"{kind}.txt").read_text(encoding="latin-1").split("\n"):
        if line and not line.startswith("#"):
            fields = line.split("\t")
            answer = fields[3].removeprefix("ours: ") if len(fields) > 3 else fields[2]
            out.append((fields[0], fields[1].replace("$FILES", str(CASES / "files")), answer))
    return out
