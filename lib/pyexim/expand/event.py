"""Events: the expansion of event_action at certain points of the work.

Whoever has an event to tell of asks first whether the option is set, so that nothing is spent where it is not.
Spec: chapter "Events".
"""

from __future__ import annotations

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.expand.engine import expand
from pyexim.expand.scope import Scope


def fire(action: str, scope: Scope, name: str, data: str = "", errno: int = 0, *, where: str = "main") -> str:
    """Expand an event_action for one event; the text that came of it, which some events obey.

    ``where`` names the transport, for the panic log, where the expansion fails; that counts as an empty text.
    """
    values = {"event_name": name, "event_data": data, "event_defer_errno": str(errno)}
    scope.vars.update(values)
    try:
        return expand(action, scope)
    except ForcedFail:
        return ""
    except ExpansionError as e:
        message_id = scope.message.message_id if scope.message is not None else None
        scope.services.log.panic(f"failed to expand event_action {name} in {where}: {e.text}", message_id=message_id)
        return ""
    finally:
        for variable in values:
            scope.vars.pop(variable, None)
