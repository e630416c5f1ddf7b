"""Records: ``dataclass`` as the standard library has it, at a fraction of the cost when a program starts.

One process runs per submitted message and per command; the standard decorator compiles several
functions for each of more than a hundred classes, and imports the inspection of source code for it.
Here the constructor is compiled when the fourth object of a class is made (most classes of a command never have
that many), the rest on first use; a process that forks many others compiles all constructors before
(``compile_records``).

Supported: fields with annotations, defaults, ``field(default_factory=...)``; ``slots``, ``frozen``,
``eq``, ``kw_only``, ``repr``; inheritance; ``__post_init__``; ``replace`` and ``fields``.  A frozen
record can be hashed; one that is not but compares cannot.  Anything else is for the standard library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, dataclass_transform, overload

T = TypeVar("T")


class FrozenInstanceError(AttributeError):
    """A field of a frozen record was to be changed."""


class _Missing:
    __slots__ = ()


MISSING: Final = _Missing()


class Field:
    """One field: its name, default, and the function that makes a default."""

    __slots__ = ("compare", "default", "default_factory", "init", "name", "repr")
    _field_type = None
    """What ``dataclasses.replace`` asks for; it works on records too."""

    def __init__(self, default: Any, default_factory: Any, init: bool, repr: bool, compare: bool) -> None:
        self.name = ""
        self.default = default
        self.default_factory = default_factory
        self.init = init
        self.repr = repr
        self.compare = compare


def field(*, default: Any = MISSING, default_factory: Any = MISSING, init: bool = True, repr: bool = True,
          compare: bool = True) -> Any:
    """Describe a field beyond its annotation."""
    return Field(default, default_factory, init, repr, compare)


@overload
def dataclass(cls: type[T]) -> type[T]: ...


@overload
def dataclass(*, frozen: bool = False, slots: bool = False, eq: bool = True, kw_only: bool = False,
              repr: bool = True) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(field_specifiers=(field,))
def dataclass(cls: Any = None, *, frozen: bool = False, slots: bool = False, eq: bool = True, kw_only: bool = False,
              repr: bool = True) -> Any:
    """Make a record of a class with annotations."""
    def decorate(cls: type) -> type:
        return _make(cls, frozen, slots, eq, kw_only, repr)
    return decorate if cls is None else decorate(cls)


def fields(record: Any) -> tuple[Field, ...]:
    """Return the fields of a record or of its class, in order."""
    found: dict[str, Field] = record.__record_fields__
    return tuple(found.values())


def replace(record: T, /, **changes: Any) -> T:
    """Return a copy of a record with some fields changed."""
    for f in fields(record):
        if f.init and f.name not in changes:
            changes[f.name] = getattr(record, f.name)
    return type(record)(**changes)


_uncompiled: list[Any] = []
"""Classes whose constructor is to be compiled when it is needed."""

_UNTIL_COMPILED: Final = 3
"""Objects of a class that are made without its own constructor: compiling one costs as much as dozens of them."""

_made: dict[type, int] = {}


def compile_records() -> None:
    """Compile the constructors of all records that there are by now."""
    for cls in _uncompiled:
        if cls.__dict__["__init__"] is _first_init:
            cls.__init__ = _compile_init(cls)
    _uncompiled.clear()


def _make(cls: type, frozen: bool, slots: bool, eq: bool, kw_only: bool, with_repr: bool) -> type:
    inherited: dict[str, Field] = {}
    for base in reversed(cls.__mro__[1:]):
        inherited.update(base.__dict__.get("__record_fields__", {}))
    own: dict[str, Field] = {}
    namespace = cls.__dict__
    for name, annotation in namespace.get("__annotations__", {}).items():
        if isinstance(annotation, str) and annotation.startswith("ClassVar"):
            continue
        value = namespace.get(name, MISSING)
        found = value if type(value) is Field else Field(value, MISSING, True, True, True)
        found.name = name
        own[name] = found
    every = inherited | own
    members = dict(namespace) if slots else {}
    for name, found in own.items():
        if slots:
            members.pop(name, None)
        elif type(namespace.get(name)) is Field:
            if found.default is MISSING:
                delattr(cls, name)
            else:
                setattr(cls, name, found.default)
    members["__record_fields__"] = every
    members["__dataclass_fields__"] = every
    members["__match_args__"] = tuple(n for n, f in every.items() if f.init)
    members["__record_keywords__"] = kw_only
    if "__init__" not in namespace:
        members["__init__"] = _first_init
    if with_repr and "__repr__" not in namespace:
        members["__repr__"] = _repr
    if eq and "__eq__" not in namespace:
        members["__eq__"] = _first_eq
        if "__hash__" not in namespace or namespace["__hash__"] is None:
            members["__hash__"] = _hash if frozen else None
    if frozen:
        members["__setattr__"] = _refuse
        members["__delattr__"] = _refuse
    if not slots:
        for name, member in members.items():
            setattr(cls, name, member)
        if members.get("__init__") is _first_init:
            _uncompiled.append(cls)
        return cls
    members.pop("__dict__", None)
    members.pop("__weakref__", None)
    members["__slots__"] = tuple(n for n in own if n not in inherited)
    made: type = type(cls)(cls.__name__, cls.__bases__, members)
    made.__qualname__ = cls.__qualname__
    if members.get("__init__") is _first_init:
        _uncompiled.append(made)
    return made


def _refuse(self: Any, name: str, value: Any = None) -> None:
    raise FrozenInstanceError(f"cannot change the field {name!r} of a {type(self).__name__}")


def _owner(cls: type, member: str, first: Any) -> type:
    """Return the class in which a function that is not compiled yet stands."""
    return next(c for c in cls.__mro__ if c.__dict__.get(member) is first)


def _first_init(self: Any, /, *args: Any, **keywords: Any) -> None:
    owner = _owner(type(self), "__init__", _first_init)
    made = _made.get(owner, 0)
    if made < _UNTIL_COMPILED and _fill(self, owner, args, keywords):
        _made[owner] = made + 1
        return
    function = _compile_init(owner)
    owner.__init__ = function  # type: ignore[misc]
    function(self, *args, **keywords)


def _fill(self: Any, owner: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> bool:
    """Do what the constructor would do; False where the arguments are not right, which it says better."""
    if args and owner.__record_keywords__:
        return False
    given = used = 0
    for name, found in owner.__record_fields__.items():
        if found.init and given < len(args):
            value = args[given]
            given += 1
            if name in keywords:
                return False
        elif found.init and name in keywords:
            value = keywords[name]
            used += 1
        elif found.default_factory is not MISSING:
            value = found.default_factory()
        elif found.default is not MISSING:
            value = found.default
        else:
            return False
        object.__setattr__(self, name, value)
    if given < len(args) or used < len(keywords):
        return False
    if hasattr(owner, "__post_init__"):
        self.__post_init__()
    return True


def _compile_init(cls: Any) -> Any:
    """Compile the constructor of a record class."""
    names: dict[str, Any] = {"MISSING": MISSING}
    positional: list[str] = []
    optional: list[str] = []
    body: list[str] = []
    frozen = "__setattr__" in cls.__dict__ or any(
        c.__dict__.get("__setattr__") is _refuse for c in cls.__mro__)
    for name, found in cls.__record_fields__.items():
        value = name
        if found.default_factory is not MISSING:
            names[f"make_{name}"] = found.default_factory
            optional.append(f"{name}=MISSING")
            value = f"make_{name}() if {name} is MISSING else {name}"
        elif found.default is not MISSING:
            names[f"default_{name}"] = found.default
            optional.append(f"{name}=default_{name}")
        else:
            (optional if optional else positional).append(name)
        if not found.init:
            optional = [o for o in optional if o.partition("=")[0] != name]
            value = f"make_{name}()" if found.default_factory is not MISSING else f"default_{name}"
        if frozen:
            # The slot's own setter: __setattr__ refuses.
            setter = getattr(cls, name, None)
            if type(setter).__name__ == "member_descriptor":
                names[f"set_{name}"] = setter.__set__  # type: ignore[union-attr]
                body.append(f"set_{name}(self, {value})")
            else:
                names["set_any"] = object.__setattr__
                body.append(f"set_any(self, {name!r}, {value})")
        else:
            body.append(f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    arguments = ["self", *(["*"] if cls.__record_keywords__ and (positional or optional) else []),
                 *positional, *optional]
    source = f"def __init__({', '.join(arguments)}):\n " + ("\n ".join(body) or "pass")
    exec(source, names)
    return names["__init__"]


def _first_eq(self: Any, other: object) -> Any:
    owner = _owner(type(self), "__eq__", _first_eq)
    compared = [f.name for f in owner.__record_fields__.values() if f.compare]  # type: ignore[attr-defined]
    mine = "".join(f"self.{n}," for n in compared)
    theirs = "".join(f"other.{n}," for n in compared)
    names: dict[str, Any] = {}
    exec("def __eq__(self, other):\n if other.__class__ is self.__class__:\n"
         f"  return ({mine}) == ({theirs})\n return NotImplemented", names)
    owner.__eq__ = names["__eq__"]  # type: ignore[method-assign]
    return names["__eq__"](self, other)


def _hash(self: Any) -> int:
    return hash(tuple(getattr(self, f.name) for f in fields(self) if f.compare))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__qualname__}({shown})"
