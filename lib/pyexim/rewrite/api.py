"""The entrance to address rewriting.  Spec: chapter "Address rewriting".

Places are written as the flags of rules: "s" Sender:, "f" From:, "t" To:, "c" Cc:, "b" Bcc:, "r"
Reply-To:, "F" envelope sender, "T" envelope recipient, "S" the raw argument of MAIL or RCPT.
"""

from __future__ import annotations

from pyexim.config.configuration import Configuration
from pyexim.expand.scope import Scope
from pyexim.model.message import Header
from pyexim.rewrite import apply, rules


def compile_rewrites(config: Configuration) -> None:
    """Parse the rewrite section; raise ConfigError.  The result is kept in ``config.compiled["rewrite"]``."""
    config.compiled["rewrite"] = rules.parse_rules(config.rewrite)


def ruleset(config: Configuration) -> rules.RuleSet:
    """Return the parsed rewrite section, parsing it if that has not been done."""
    found = config.compiled.get("rewrite")
    if found is None:
        compile_rewrites(config)
        found = config.compiled["rewrite"]
    return found  # type: ignore[no-any-return]


def has_rules(config: Configuration, where: str) -> bool:
    """Tell whether any rule concerns any of the places."""
    return bool(ruleset(config).places.intersection(where)) if config.rewrite else False


def rewrite_one(address: str, where: str, scope: Scope) -> str:
    """Return an address as the rules for a place rewrite it; "" stays as it is."""
    return apply.rewrite_address(address, where, ruleset(scope.config), scope)


def rewrite_smtp(argument: str, scope: Scope) -> str:
    """Return the argument of MAIL or RCPT, angle brackets included, as the rules with flag S rewrite it."""
    return apply.rewrite_smtp(argument, ruleset(scope.config), scope)


def rewrite_header(header: Header, scope: Scope, *, qualify: bool = False) -> Header | None:
    """Return a header line with its addresses rewritten (and qualified, where asked for); None if nothing changed."""
    return apply.rewrite_header(header, ruleset(scope.config), scope, qualify=qualify)


def headers_rewrite(headers: list[Header], option: str, scope: Scope) -> list[Header]:
    """Return header lines as a transport's headers_rewrite option rewrites them; ConfigError for a wrong option."""
    return apply.rewrite_headers(headers, rules.parse_option(option), scope)


def test_rewrite(address: str, scope: Scope) -> str:
    """Return what -brw prints for an address."""
    from pyexim.rewrite.testing import report  # only for that command
    return report(address, scope)
