"""Records behave as the standard library's dataclasses do."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from pyexim.base import record


def classes(dataclass: Callable[..., Any], field: Callable[..., Any]) -> dict[str, type]:
    """Return the same classes made by one or the other decorator."""

    @dataclass(frozen=True, slots=True)
    class Frozen:
        a: int
        b: str = "x"

    @dataclass(slots=True)
    class Plain:
        a: int
        c: list[int] = field(default_factory=list)
        d: int | None = None
        """A docstring of a field."""

    @dataclass(slots=True)
    class Derived(Plain):
        e: str = "e"

        def method(self) -> int:
            return self.a

    @dataclass
    class Open:
        a: int = 5
        b: int = field(default=6, compare=False, repr=False)

    @dataclass(slots=True, eq=False)
    class Identity:
        a: int = 0

    @dataclass(kw_only=True, slots=True)
    class Keywords:
        a: int
        b: int = 2

        def __post_init__(self) -> None:
            self.b += self.a

    return {c.__name__: c for c in (Frozen, Plain, Derived, Open, Identity, Keywords)}


OURS, THEIRS = classes(record.dataclass, record.field), classes(dataclasses.dataclass, dataclasses.field)
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Frozen", (1,), {}), ("Frozen", (1, "y"), {}), ("Frozen", (), {"a": 1, "b": "z"}), ("Frozen", (), {}),
    ("Frozen", (1, 2, 3), {}), ("Plain", (1,), {}), ("Plain", (1, [2], 3), {}), ("Plain", (1,), {"d": 4}),
    ("Derived", (1,), {"e": "f"}), ("Derived", (1, [], 2, "g"), {}), ("Open", (), {}), ("Open", (7, 8), {}),
    ("Identity", (3,), {}), ("Keywords", (), {"a": 1}), ("Keywords", (1,), {}), ("Plain", (1,), {"q": 1})]


@pytest.mark.parametrize("name,args,keywords", CALLS)
def test_constructor_and_repr(name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    try:
        theirs = repr(THEIRS[name](*args, **keywords)).rpartition("<locals>.")[2]
    except TypeError:
        with pytest.raises(TypeError):
            OURS[name](*args, **keywords)
        return
    for _ in range(5):  # the first few are made otherwise than those after them
        assert repr(OURS[name](*args, **keywords)).rpartition("<locals>.")[2] == theirs


def test_constructors_compiled_ahead() -> None:
    ahead = classes(record.dataclass, record.field)
    record.compile_records()
    before = {name: c.__dict__["__init__"] for name, c in ahead.items()}
    for name, args, keywords in CALLS:
        try:
            theirs = repr(THEIRS[name](*args, **keywords))
        except TypeError:
            continue
        assert repr(ahead[name](*args, **keywords)) == theirs
    assert {name: c.__dict__["__init__"] for name, c in ahead.items()} == before


def test_comparison_and_hash() -> None:
    for made in (OURS, THEIRS):
        assert made["Frozen"](1) == made["Frozen"](1) != made["Frozen"](2)
        assert len({made["Frozen"](1), made["Frozen"](1)}) == 1
        assert made["Plain"](1) == made["Plain"](1) != made["Derived"](1)
        assert made["Open"](5, 1) == made["Open"](5, 2)
        assert made["Identity"](0) != made["Identity"](0)
        with pytest.raises(TypeError, match="unhashable"):
            hash(made["Plain"](1))
        assert hash(made["Identity"](0))


def test_frozen_and_slots() -> None:
    frozen = OURS["Frozen"](1)
    with pytest.raises(AttributeError):
        frozen.a = 2
    with pytest.raises(AttributeError):
        del frozen.a
    with pytest.raises(AttributeError):
        OURS["Plain"](1).other = 2
    with pytest.raises(AttributeError):
        OURS["Derived"](1).other = 2
    assert not hasattr(OURS["Derived"](1), "__dict__")


def test_defaults_are_not_shared() -> None:
    one, other = OURS["Plain"](1), OURS["Plain"](1)
    one.c.append(1)
    assert other.c == []
    assert OURS["Derived"](4).method() == 4
    assert OURS["Keywords"](a=3).b == 5


def test_replace_and_fields() -> None:
    assert record.replace(OURS["Frozen"](1), b="q") == OURS["Frozen"](1, "q")
    assert dataclasses.replace(OURS["Frozen"](1), b="q") == OURS["Frozen"](1, "q")
    assert [f.name for f in record.fields(OURS["Derived"])] == ["a", "c", "d", "e"]


def test_matching() -> None:
    match OURS["Frozen"](1, "z"):
        case record_ if record_.__match_args__ == ("a", "b"):
            pass
        case _:
            raise AssertionError
