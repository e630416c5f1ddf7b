"""Long values: every item, operator and condition ends with a result or an error, in time that grows with the length.

The limits are generous and in processor time: what takes time by the square of the length is far beyond them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from expand_scopes import make_scope
from limits import cpu_limit

from pyexim.base.errors import ExpansionError
from pyexim.expand.engine import expand
from pyexim.expand.table import CONDITIONS, ITEMS, OPERATORS
from pyexim.model.message import Message

LENGTH = 30_000
UNITS = ("a", "a.", "1:", "::", " ", "a b\n", "(", "\\", '"', "<a@b>, ", "=?utf-8?q?=C3=A4?= ", "{", "[1,", '{"a":1},',
         "(1+", "$", "\xc3\xa4", "=41", "a=b ", "../")
VALUES = {unit: (unit * (LENGTH // len(unit) + 1))[:LENGTH] for unit in UNITS}

SHAPES: dict[str, tuple[str, ...]] = {
    "acl": ("{$v}{$v}",), "authresults": ("{$v}",), "certextract": ("{subject}{$v}",), "dlfunc": ("{$v}{$v}",),
    "env": ("{$v}",),
    "extract": ("{1}{:}{$v}", "{-1}{:}{$v}", "{2}{: ,}{$v}", "{1}{$v}{a:b}", "{a}{$v}", "{$v}{$v}"),
    "extract ": ("json{a}{$v}", "jsons{1}{$v}", "json{$v}{[1]}"),
    "filter": ("{$v}{!eq{$item}{}}",), "hash": ("{3}{62}{$v}",), "hmac": ("{md5}{$v}{a}", "{sha1}{k}{$v}"),
    "if": ("{eq{$v}{$v}{a}{b}}",), "imapfolder": ("{$v}", "{$v}{/}"), "length": ("{3}{$v}",),
    "listextract": ("{1}{$v}", "{-1}{$v}", "{$v}{a:b}"), "listquote": ("{:}{$v}", "{$v}{a}"),
    "lookup": ("{$v}lsearch{@FILE@}", "{$v}partial-lsearch*@{@FILE@}", "{a}lsearch{$v}", "{$v}nwildlsearch{@FILE@}"),
    "map": ("{$v}{x$item}",), "nhash": ("{8}{64}{$v}",), "perl": ("{$v}",), "prvs": ("{$v}{k}{1}", "{a@b}{$v}{1}"),
    "prvscheck": ("{$v}{k}{y}",), "readfile": ("{$v}",),
    "readsocket": ("{$v}{}{1s}", "{@FILE@}{$v}{$v}", "{inet:$v}{}{1s}{}{F}"),
    "reduce": ("{$v}{0}{$value}",), "run": ("{/nowhere $v}{y}{n}", ",preexpand{/nowhere $v}{y}{n}"),
    "sg": (r"{$v}{a}{b}", r"{$v}{$v}{b}", r"{$v}{.}{\$0\$0}", r"{$v}{(a|b)*c}{}", r"{$v}{[^:]*:}{\${lc:\$0}}",
           r"{$v}{\\s+\$}{}"),
    "sort": ("{$v}{<}{$item}", "{$v}{ltI}{$item}", "{$v}{gei}{x$item}"), "srs_encode": ("{k}{$v}{d}", "{$v}{a@b}{d}"),
    "substr": ("{1}{3}{$v}", "{$v}{3}{a}"), "tr": ("{$v}{ab}{cd}", "{abc}{$v}{x}", "{abc}{abc}{$v}"),
}
"""What follows the name of each item."""

OWN: dict[str, tuple[str, ...]] = {
    "acl": ("{{$v}{a}}",), "and": ("{{eq{$v}{a}}{eq{a}{$v}}}",), "or": ("{{eq{$v}{a}}{eq{a}{$v}}}",), "def": (":v",),
    "eq": ("{$v}{$v}",), "first_delivery": ("",), "queue_running": ("",),
    "match": ("{$v}{(a*)*c}", "{$v}{$v}", r"{$v}{^(.+)+x}", "{$v}{(?:a|b|ab)*c}"),
}
"""What follows the name of a condition with a syntax of its own."""


def _cases() -> Iterator[str]:
    for name in OPERATORS:
        yield f"${{{name}:$v}}"
    for name in ("hash", "headerwrap", "length", "listnamed", "nhash", "sha2", "sha3", "substr"):
        yield from (f"${{{name}_3:$v}}", f"${{{name}_-2_1:$v}}")
    for name in ITEMS:
        for shape in (*SHAPES[name], *SHAPES.get(name + " ", ())):
            yield f"${{{name} {shape}}}" if shape[0] not in "{," else f"${{{name}{shape}}}"
    for name, row in CONDITIONS.items():
        if name.startswith("for"):
            shapes: tuple[str, ...] = ("{$v}{eq{$item}{x}}",)
        elif row.parse:
            shapes = OWN.get(name, ("{$v}{}",))
        else:
            shapes = ("{$v}",) if row.strings == 1 else ("{$v}{$v}", "{$v}{a}", "{a}{$v}")
        for shape in shapes:
            yield f"${{if {name}{shape}}}"


@pytest.mark.parametrize("source", list(_cases()))
def test_long_values(source: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a: b\n")
    source = re.sub(r"\$v(?![a-z])", "$acl_m0", source.replace("@FILE@", f"{tmp_path}/file")).replace(":v}", ":acl_m0}")
    scope = make_scope()
    scope.message = message = Message(sender_address="a@b")
    for unit, value in VALUES.items():
        message.acl_m["m0"] = value
        with cpu_limit():
            try:
                result = expand(source, scope)
            except ExpansionError as e:
                result = e.text
        assert isinstance(result, str), (source, unit)
