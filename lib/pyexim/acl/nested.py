"""The condition ``acl``: another ACL as a condition, with arguments.

Spec: section "ACL conditions" (``acl``).
"""

from __future__ import annotations

from pyexim.acl.compiler import AclError, Build
from pyexim.acl.parser import Item
from pyexim.acl.run import DISCARD, ERROR, FAIL, FAIL_DROP, IGNORED, MAX_DEPTH, OK, AclRun, Step, run_compiled
from pyexim.base.octets import words
from pyexim.base.taint import like
from pyexim.expand.engine import is_literal

MAX_ARGUMENTS = 9


def acl(item: Item, build: Build) -> Step:
    """Make the step of ``acl = name [arguments]``, or of an inline text or file name."""
    source = item.argument
    if is_literal(source):
        name, arguments = split_arguments(source, build)

        def literal(run: AclRun) -> int:
            return _condition(run, name, arguments)
        return literal

    def expanding(run: AclRun) -> int:
        name, arguments = _expand_call(source, run, build)
        if isinstance(name, int):
            return name
        return _condition(run, name, arguments)
    return expanding


def _condition(run: AclRun, name: str, arguments: list[str]) -> int:
    """Run the ACL of a condition; what an accepting ACL had to say is not the statement's text."""
    code = call(run, name, arguments)
    if code == OK:
        run.user_msg = run.log_msg = ""
    return code


def split_arguments(text: str, build: Build) -> tuple[str, list[str]]:
    """Tell a named ACL with its arguments from an inline ACL."""
    first, *rest = words(text) or [""]
    if first in build.acls.names() and len(rest) <= MAX_ARGUMENTS:
        return first, rest
    return text, []


def _expand_call(source: str, run: AclRun, build: Build) -> tuple[str | int, list[str]]:
    """Expand name and arguments separately; spaces in an argument's source separate arguments."""
    first, *rest = words(source) or [""]
    if is_literal(first) and first in build.acls.names() and len(rest) <= MAX_ARGUMENTS:
        values: list[str] = []
        for word in rest:
            value = run.expand(word)
            if isinstance(value, int):
                return value, []
            values.append(value)
        return first, values
    text = run.expand(source)
    if isinstance(text, int):
        return text, []
    name, arguments = split_arguments(text, build)
    return like(name, text), arguments


def call(run: AclRun, name: str, arguments: list[str]) -> int:
    """Run another ACL inside the one at work; its code, with its texts left in ``run``."""
    if run.depth >= MAX_DEPTH:
        return run.error("ACL nested too deep: possible loop")
    try:
        compiled = run.acls.find(name, run.where)
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

