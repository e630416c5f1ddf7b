"""The expansion item ``${acl {name}{args}...}`` and the condition ``acl{{name}{args}...}``.

Spec: chapter "String expansions".
"""

from __future__ import annotations

from pyexim.acl.nested import acl_text
from pyexim.acl.run import DEFER, DISCARD, FAIL, FAIL_DROP, OK, AclRun
from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.expand.scope import Scope

_WORDS = {OK: "ok", FAIL: "fail", FAIL_DROP: "drop", DEFER: "defer", DISCARD: "discard"}


def call_acl(scope: Scope, arguments: list[str]) -> tuple[str, str]:
    """Run the ACL that the first argument names, with the others as its arguments; (status, text of its message).

    The status is ok, fail, drop, defer, discard or error.  It runs inside the ACL at work, if there is one.
    """
    name, *values = arguments
    run = scope.acl
    if run is not None:
        code, text = acl_text(name, values, run)
    else:
        from pyexim.acl.api import acl_set  # the entrance imports the engine, which imports the language
        run = scope.acl = AclRun("unknown", scope, acl_set(scope.config), None)
        try:
            code, text = acl_text(name, values, run)
        finally:
            scope.acl = None
    return _WORDS.get(code, "error"), text


def _call(arguments: list[str], scope: Scope) -> tuple[bool, str]:
    status, text = call_acl(scope, arguments)
    if status in ("ok", "fail", "drop"):
        return status == "ok", text
    if status == "defer":
        raise ForcedFail(f'DEFER from acl "{arguments[0]}"')
    raise ExpansionError(f'{"DISCARD" if status == "discard" else "ERROR"} from acl "{arguments[0]}"')


def acl_item(arguments: list[str], scope: Scope) -> str:
    """Return the text that the ACL's ``message`` gives when it accepts or denies; ForcedFail when it defers."""
    return _call(arguments, scope)[1]


def acl_condition(arguments: list[str], scope: Scope) -> bool:
    """Tell whether the ACL accepts; ``$value`` is the text of its message."""
    accepted, text = _call(arguments, scope)
    scope.vars["value"] = text
    return accepted
