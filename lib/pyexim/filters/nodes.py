"""An Exim filter in parsed form: commands and conditions, as the parser makes them and the evaluator obeys them."""

from __future__ import annotations

from pyexim.base.record import dataclass, field


@dataclass(slots=True)
class Condition:
    """A test, or a combination of tests.

    ``kind`` is the name of a test, or and, or, not (of a combination); ``wanted`` False negates a test.
    """

    kind: str
    wanted: bool = True
    left: str = ""
    right: str = ""
    caseful: bool = False
    parts: list[Condition] = field(default_factory=list)
    """The operands of and and or; the one condition of foranyaddress."""
    aliases: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return the condition as -d+filter shows it."""
        if self.kind == "not":
            return f"not ({self.parts[0]})"
        if self.kind in ("and", "or"):
            return f" {self.kind} ".join(f"({p})" if p.kind in ("and", "or") else str(p) for p in self.parts)
        if self.kind == "foranyaddress":
            return f"{'' if self.wanted else 'not '}foranyaddress {self.left} ({self.parts[0]})"
        if not self.right and not self.left:
            return ("" if self.wanted else "not ") + self.kind + "".join(f" alias {a}" for a in self.aliases)
        verb = self.kind.upper() if self.caseful else self.kind
        if not self.wanted:
            verb = f"is not {verb}" if self.kind in ("above", "below") else (
                f"{verb} not" if self.kind == "is" else f"does not {verb}")
        elif self.kind in ("above", "below"):
            verb = f"is {verb}"
        elif self.kind != "is":
            verb += "s" if verb.islower() else "S"
        return f"{self.left} {verb} {self.right}"


@dataclass(slots=True)
class Command:
    """A command with its data as written."""

    name: str
    line: int
    text: str = ""
    """The first (often the only) data item; "" where it has none."""
    second: str | None = None
    """errors_to, the variable of add, the value of headers."""
    mode: int = -1
    seen: bool | None = None
    no_error: bool = False
    parts: dict[str, str] = field(default_factory=dict)
    """The arguments of mail and vacation, by keyword."""
    flags: set[str] = field(default_factory=set)
    """return, expand"""
    branches: list[tuple[Condition | None, list[Command]]] = field(default_factory=list)
    """Of if: the conditions and what is obeyed under them; None for else."""
