"""The floors of the code: a room imports lower floors, and on its own floor only rooms to its left."""

from __future__ import annotations

import ast
from pathlib import Path

LIB = Path(__file__).resolve().parents[2] / "lib" / "pyexim"

FLOORS = [
    ["base"],
    ["model", "mailfmt", "smtp", "dnswire"],
    ["settings", "privs", "processinfo", "log", "child", "fdpass", "net", "dns"],
    ["config", "expand", "lookup", "match"],
    ["spool", "hints", "retry", "rewrite", "filters", "tls", "auth", "mailauth", "scan"],
    ["routers", "transports"],
    ["verify", "acl"],
    ["receive", "deliver", "queue"],
    ["startup", "daemon", "master", "cli", "tools"],
]
PLACE = {room: (floor, position) for floor, rooms in enumerate(FLOORS) for position, room in enumerate(rooms)}


def room_of(path: Path) -> str:
    """Return the room that a file belongs to."""
    return path.relative_to(LIB).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> list[tuple[int, str]]:
    """Return (line, room) for every import of the project, those for type checking left out."""
    found = []
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped.update(id(n) for stmt in node.body for n in ast.walk(stmt))
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module] if node.module != "pyexim" else [f"pyexim.{a.name}" for a in node.names]
        else:
            continue
        found += [(node.lineno, n.split(".")[1]) for n in names if n.startswith("pyexim.")]
    return found


def test_no_room_imports_upward() -> None:
    wrong = []
    for path in sorted(LIB.rglob("*.py")):
        room = room_of(path)
        if room in ("__init__", "__main__"):  # entrances, no rooms
            continue
        assert room in PLACE, f"{path}: the room {room} stands on no floor"
        for line, other in imports(ast.parse(path.read_text())):
            if other in PLACE and other != room and PLACE[other] > PLACE[room]:
                wrong.append(f"{path.relative_to(LIB)}:{line}: {room} imports {other}")
    assert not wrong, "\n".join(wrong)
