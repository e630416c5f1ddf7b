"""The expansion item ``${acl {name}{args}...}`` and the condition ``acl{{name}{args}...}``.

Spec: chapter "String expansions".
"""

from __future__ import annotations

from pyexim.acl.nested import acl_text
from pyexim.acl.run import DEFER, DISCARD, FAIL, FAIL_DROP, OK, AclRun
from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.expand.scope import Scope


def _call(arguments: list[str], scope: Scope) -> tuple[int, str]:
    """Run the ACL that the first argument names, inside the ACL at work or in one of its own."""
    name, *values = arguments
    run = scope.acl
    if run is None:
        from pyexim.acl.api import acl_set  # the entrance imports the engine, which imports the language
        run = AclRun("unknown", scope, acl_set(scope.config), None)
        scope.acl = run
        try:
            code, text = acl_text(name, values, run)
        finally:
            scope.acl = None
    else:
        code, text = acl_text(name, values, run)
    if code in (OK, FAIL, FAIL_DROP):
        return code, text
    if code == DEFER:
        raise ForcedFail(f'DEFER from acl "{name}"')
    raise ExpansionError(f'{"DISCARD" if code == DISCARD else "ERROR"} from acl "{name}"')


def acl_item(arguments: list[str], scope: Scope) -> str:
    """Return the text that the ACL's ``message`` gives when it accepts or denies; ForcedFail when it defers."""
    return _call(arguments, scope)[1]


def acl_condition(arguments: list[str], scope: Scope) -> bool:
    """Tell whether the ACL accepts; ``$value`` is the text of its message."""
    code, text = _call(arguments, scope)
    scope.vars["value"] = text
    return code == OK
