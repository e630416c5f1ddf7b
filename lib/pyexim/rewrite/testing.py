"""What -brw prints: an address as it would be rewritten in each place.

Spec: section "Testing the rewriting rules that apply on input".
"""

from __future__ import annotations

from typing import Final

from pyexim.base.taint import taint
from pyexim.expand.scope import Scope
from pyexim.rewrite import apply
from pyexim.rewrite.api import ruleset

_PLACES: Final = (("sender", "s"), ("from", "f"), ("to", "t"), ("cc", "c"), ("bcc", "b"), ("reply-to", "r"),
                  ("env-from", "F"), ("env-to", "T"))


def report(address: str, scope: Scope) -> str:
    """Return the lines for one address; a syntax error is told instead."""
    rules = ruleset(scope.config)
    if not rules.rules:
        return "No rewrite rules are defined\n"
    text: str = taint(address)
    out = ""
    if "S" in rules.places:
        new = apply.rewrite_smtp(text, rules, scope)
        if new != text:
            out = f"    SMTP: {new}\n"
    if "@" not in text:
        text = apply.qualify(text, scope, recipient=True)
    parsed = apply.parse(text, scope)
    if parsed.error is not None:
        return f"{out}Syntax error in {text}\n{parsed.error[:1].upper()}{parsed.error[1:]}\n"
    for name, where in _PLACES:
        if where in "FT":
            new = apply.rewrite_address(parsed.address, where, rules, scope)
        else:
            new = apply.rewrite_item(text, where, rules, scope, qualify_it=False)
        out += f"{name:>8}: {new}\n"
    return out
