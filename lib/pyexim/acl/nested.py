"""The condition ``acl``: another ACL as a condition, with arguments.

Spec: section "ACL conditions" (``acl``).
"""

from __future__ import annotations

from pyexim.acl.compiler import AclError, Build, TaintedAcl
from pyexim.acl.parser import Item
from pyexim.acl.run import DISCARD, ERROR, FAIL, FAIL_DROP, IGNORED, MAX_DEPTH, OK, AclRun, Step, run_compiled
from pyexim.base.octets import SPACE
from pyexim.base.pattern import lazy_pattern
from pyexim.config.values import unquote
from pyexim.expand.engine import is_literal

MAX_ARGUMENTS = 9
_SPACES = lazy_pattern(r"(\s+)")


def acl(item: Item, build: Build) -> Step:
    """Make the step of ``acl = name [arguments]``; the name may be that of a file, or one word of inline text."""
    name, *arguments = source_words(item.argument) or [""]
    arguments = arguments[:MAX_ARGUMENTS]
    if all(map(is_literal, (name, *arguments))):
        def literal(run: AclRun) -> int:
            return _condition(run, name, arguments)
        return literal

    def expanding(run: AclRun) -> int:
        values: list[str] = []
        for word in (name, *arguments):
            value = run.expand(word)
            if isinstance(value, int):
                return value
            values.append(value)
        return _condition(run, values[0], values[1:])
    return expanding


def source_words(text: str) -> list[str]:
    """Split at white space outside the braces of expansion items: name and arguments are expanded separately.

    A word may be a quoted string, as elsewhere in the configuration.
    """
    out: list[str] = []
    rest = text.strip(SPACE)
    while rest:
        value = unquote(rest) if rest[0] == '"' else None
        word, end = value if value is not None else _word(rest)
        out.append(word)
        rest = rest[end:].lstrip(SPACE)
    return out


def _word(text: str) -> tuple[str, int]:
    """Return the word that a text begins with, and where it ends."""
    word = ""
    for piece in _SPACES.split(text):
        if piece and piece[0] in SPACE and not ("${" in word and word.count("{") > word.count("}")):
            break
        word += piece
    return word, len(word)


def _condition(run: AclRun, name: str, arguments: list[str]) -> int:
    """Run the ACL of a condition; what an accepting ACL had to say is not the statement's text."""
    code = call(run, name, arguments)
    if code == OK:
        run.user_msg = run.log_msg = ""
    return code


def call(run: AclRun, name: str, arguments: list[str]) -> int:
    """Run another ACL inside the one at work; its code, with its texts left in ``run``."""
    if run.depth >= MAX_DEPTH:
        return run.error("ACL nested too deep: possible loop")
    try:
        compiled = run.acls.find(name, run.where)
    except TaintedAcl as e:
        run.scope.services.log.panic(str(e))
        return run.error("internal configuration error")
    except AclError as e:
        return run.error(str(e))
    variables = run.scope.vars
    names = [f"acl_arg{n}" for n in range(1, MAX_ARGUMENTS + 1)]
    saved = {n: variables[n] for n in [*names, "acl_narg"] if n in variables}
    for n in names:
        variables.pop(n, None)
    for n, value in zip(names, arguments):
        variables[n] = value
    variables["acl_narg"] = str(len(arguments))
    state = run.verb, run.endpass, run.dropped, run.message, run.log_message, run.reject_targets
    run.depth += 1
    try:
        code = run_compiled(run, compiled)
    finally:
        run.depth -= 1
        run.verb, run.endpass, run.dropped, run.message, run.log_message, run.reject_targets = state
        for n in [*names, "acl_narg"]:
            variables.pop(n, None)
        variables.update(saved)
    if code == FAIL_DROP:
        run.dropped = True
    if code in (FAIL, FAIL_DROP) and run.user_msg:
        variables["acl_verify_message"] = run.user_msg
    return code


def acl_text(name: str, arguments: list[str], run: AclRun) -> tuple[int, str]:
    """Run an ACL for the expansion language; its code, and the text of its message."""
    state = run.user_msg, run.log_msg
    run.user_msg = run.log_msg = ""
    code = call(run, name, arguments)
    text = run.user_msg
    if code not in (ERROR, DISCARD, IGNORED):
        run.user_msg, run.log_msg = state
    return code, text

