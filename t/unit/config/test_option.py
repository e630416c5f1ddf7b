"""Declarations: the options class, and what is declared everywhere."""

import pytest

from pyexim.config.document import option_groups, options_without_effect
from pyexim.config.main_options import MainOptions
from pyexim.config.option import BOOL, INT, STRING, Kind, declared, option, options


@options
class Base:
    SPEC = "1.2"
    a: int = option(INT, 1, doc="A.")


@options
class Derived(Base):
    NO_EFFECT = "not yet"
    b: str | None = option(STRING, None, name="b-b", spec="3")
    c: bool = option(BOOL, False, no_effect="never")


def test_constructor_defaults_and_comparison() -> None:
    assert (Base().a, Base(a=5).a) == (1, 5)
    assert Derived(b="x") == Derived(b="x") != Derived()
    assert repr(Derived(a=2)) == "Derived(a=2)"
    with pytest.raises(TypeError, match="no option z"):
        Derived(z=1)


def test_declarations() -> None:
    infos = declared(Derived)
    assert list(infos) == ["a", "b-b", "c"]
    assert infos["b-b"][0] == "b"
    assert [infos[n][1].spec for n in infos] == ["1.2", "3", ""]
    assert [infos[n][1].no_effect for n in infos] == [None, "not yet", "never"]


def test_every_main_option_is_described() -> None:
    for name, (field, info) in declared(MainOptions).items():
        assert info.doc.endswith("."), name
        assert info.spec
        assert field == name


def test_defaults_are_of_their_kind() -> None:
    kinds = {Kind.BOOL: bool, Kind.INT: int, Kind.OCTAL: int, Kind.FIXED: int, Kind.TIME: int}
    for where, infos in option_groups():
        for name, info in infos.items():
            assert info.default is None or isinstance(info.default, (kinds.get(info.kind, str), str)), (where, name)


def test_groups() -> None:
    titles = [title for title, _ in option_groups()]
    assert titles[0] == "Main section"
    assert {"The smtp transport", "All routers", "The redirect router", "The plaintext authenticator"} <= set(titles)
    assert options_without_effect().startswith("# Options without effect")
