"""What tests of lists and lookups work with: a configuration with named lists, a scope, logs that are kept."""

from __future__ import annotations

from pyexim.base.errors import Place
from pyexim.config.configuration import Configuration, NamedList
from pyexim.config.main_options import MainOptions
from pyexim.expand.scope import Scope, Services

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
