"""Applying rewriting rules: to an address, to the argument of an SMTP command, to header lines.

Spec: sections "Rewriting patterns", "Rewriting replacements", "Flags controlling the rewriting process"
of the chapter "Address rewriting".
"""

from __future__ import annotations

from typing import Final

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import is_digits, lower
from pyexim.base.taint import Tainted, like
from pyexim.expand.engine import expand, is_literal
from pyexim.expand.regex import RegexLimit, compile_or_error
from pyexim.expand.scope import Scope
from pyexim.mailfmt.address import ParsedAddress, items, parse_address
from pyexim.mailfmt.header import kind_of
from pyexim.mailfmt.rfc2047 import encode
from pyexim.match.lists import Match, expanded_list, match_address
from pyexim.model.message import Header
from pyexim.rewrite.rules import HEADERS, Rule, RuleSet

MAX_REPEATS: Final = 10
FOLD_AFTER: Final = 39
"""A header line goes on in the next one after an address that was changed and ends in this column or later."""
NAMES: Final = {"s": "sender:", "f": "from:", "t": "to:", "c": "cc:", "b": "bcc:", "r": "reply-to:",
                "F": "env-from", "T": "env-to"}
"""What log lines call the places."""
_SEPARATOR: Final = "<\x1e"
"""Put before a pattern, so that a colon in it does not make it a list of several items."""
_SENDER_KINDS: Final = frozenset("sfr")


def parse(text: str, scope: Scope) -> ParsedAddress:
    """Read an address as the main options say."""
    main = scope.config.main
    return parse_address(text, allow_domain_literals=main.allow_domain_literals,
                         strip_trailing_dot=main.strip_trailing_dot)


def qualify(address: str, scope: Scope, *, recipient: bool) -> str:
    """Return an address with the domain for unqualified ones."""
    main = scope.config.main
    own = scope.services.primary_hostname or main.primary_hostname or ""
    domain = main.qualify_domain or own
    if recipient:
        domain = main.qualify_recipient or domain
    return like(f"{address}@{domain}", address)


def rewrite_address(address: str, where: str, rules: RuleSet, scope: Scope) -> str:
    """Return an address as the rules for a place ("F", "T" or a header's letter) rewrite it."""
    return _apply(address, where, rules, scope)[0] if address else address


def _apply(address: str, where: str, rules: RuleSet, scope: Scope) -> tuple[str, str | None]:
    """Return (address, the whole header item when a rule with "w" replaced it last)."""
    saved = {n: v for n, v in scope.vars.items() if n in ("local_part", "domain") or is_digits(n)}
    whole: str | None = None
    try:
        for rule in rules.rules:
            if where not in rule.places:
                continue
            repeats = 0
            while True:
                outcome = _once(rule, address, where, scope)
                if outcome is None:
                    break
                if isinstance(outcome, bool):
                    if outcome:
                        return address, whole
                    if rule.once:
                        return address, whole
                    break
                new, item = outcome
                if _is_told(scope):
                    _log_main(scope, f'"{address}" from {NAMES[where]} rewritten as "{new}" by rule {rule.number}',
                              "address_rewrite")
                address, whole = new, item
                if not rule.repeat:
                    if rule.once:
                        return address, whole
                    break
                repeats += 1
                if repeats > MAX_REPEATS:
                    scope.services.log.panic("rewrite rule repeat ignored after 10 times")
                    break
            if repeats and rule.once:
                return address, whole
        return address, whole
    finally:
        for name in [n for n in scope.vars if n in ("local_part", "domain") or is_digits(n)]:
            del scope.vars[name]
        scope.vars.update(saved)


def _is_told(scope: Scope) -> bool:
    """Tell whether rewriting is logged, or shown by -d+rewrite (unlike other lines not by -v alone, as in Exim)."""
    services = scope.services
    return services.log.selected("address_rewrite") or (
        services.debug is not None and services.debug.selected("rewrite"))


def _log_main(scope: Scope, text: str, selector: str = "") -> None:
    message = scope.message
    scope.services.log.main(text, message_id=message.message_id if message is not None else None,
                            selector=selector)


def _once(rule: Rule, address: str, where: str, scope: Scope) -> tuple[str, str | None] | bool | None:
    """Apply one rule once: (new address, new item); None: it does not match; True: rewriting ends
    altogether; False: this rule gives up by a forced failure."""
    pattern = rule.pattern if is_literal(rule.pattern) else expanded_list(rule.pattern, scope)
    if isinstance(pattern, Match):
        return None
    match = match_address(address, like(_SEPARATOR + pattern, pattern), scope, caseful=True, expanded=True,
                          numeric=True)
    if not match.found:
        if match.deferred and not match.reported:
            scope.services.log.panic(match.error)
        return None
    if rule.replacement == "*":
        return True
    variables = scope.vars
    local_part, _, domain = address.rpartition("@")
    _set_wild(rule.pattern, address, local_part, domain, scope)
    variables["local_part"], variables["domain"] = like(local_part, address), like(domain, address)
    try:
        new = expand(rule.replacement, scope)
    except ForcedFail:
        return False
    except ExpansionError as e:
        scope.services.log.panic(f"Expansion of {rule.replacement} failed while rewriting: {e.text}")
        return True
    parsed = parse(new, scope)
    if parsed.error is not None:
        scope.services.log.panic(
            f"Rewrite of {address} yielded unparseable address: {parsed.error} in address {new}")
        return True
    result = parsed.address
    if not parsed.domain_at:
        if not rule.qualify:
            scope.services.log.panic(f'Rewrite of {address} yielded unqualified address "{result}"')
            return True
        result = qualify(result, scope, recipient=True)
        new = new[:parsed.start] + result + new[parsed.end:]
    result = like(result, address, new)
    if rule.whole and where in HEADERS:
        return result, _encode_item(new, parse(new, scope), scope)
    return result, None


def _set_wild(pattern: str, address: str, local_part: str, domain: str, scope: Scope) -> None:
    """Set $0 to the address and, unless a regular expression has, $1... to what asterisks and partial lookups matched.

    The local part's asterisk comes first; what a lookup of the domain has set moves behind it.
    """
    variables = scope.vars
    if not is_literal(pattern):
        try:
            pattern = expand(pattern, scope)
        except ExpansionError:
            return
    if pattern.startswith("^"):
        variables["0"] = address
        return
    from_lookup = [variables[n] for n in ("1", "2") if n in variables]
    for name in [n for n in variables if is_digits(n)]:
        del variables[name]
    variables["0"] = address
    if pattern.startswith("@@"):
        return
    wanted_local, _, wanted_domain = pattern.rpartition("@")
    values: list[str] = []
    if wanted_local.startswith("*"):
        values.append(local_part[:len(local_part) - len(wanted_local) + 1])
    if wanted_domain.startswith("*") and not wanted_domain.startswith("*@"):
        values.append(lower(domain[:len(domain) - len(wanted_domain) + 1]))
    elif wanted_domain.startswith("partial"):
        values += from_lookup
    for number, value in enumerate(values, 1):
        variables[str(number)] = like(value, address)


def _encode_item(item: str, parsed: ParsedAddress, scope: Scope) -> str:
    """Encode, by RFC 2047, what stands outside the angle brackets of a replacement."""
    opening = item.find("<", 0, max(parsed.start, 0) + 1)
    if opening < 0:
        return item
    phrase = item[:opening].rstrip(" \t")
    main = scope.config.main
    if phrase and any(not (32 <= ord(c) <= 126 or c == "\t") for c in phrase):
        phrase = encode(phrase, main.headers_charset or "UTF-8")
        return phrase + " " + item[opening:]
    return item


# -- SMTP commands

def rewrite_smtp(argument: str, rules: RuleSet, scope: Scope) -> str:
    """Return the argument of MAIL or RCPT as the rules with "S" rewrite it: whole, brackets and all."""
    if "S" not in rules.places:
        return argument
    saved = {n: v for n, v in scope.vars.items() if is_digits(n)}
    try:
        for rule in rules.rules:
            if not rule.smtp:
                continue
            new = _smtp_once(rule, argument, scope)
            if new is None:
                continue
            parsed = parse_address(new, allow_empty=True, allow_domain_literals=True)
            if parsed.error is not None:
                scope.services.log.panic(
                    f"Rewrite of {argument} yielded unparseable address: {parsed.error} in address {new}")
                return argument
            argument = new
            if rule.once:
                break
        return argument
    finally:
        for name in [n for n in scope.vars if is_digits(n)]:
            del scope.vars[name]
        scope.vars.update(saved)


def _smtp_once(rule: Rule, argument: str, scope: Scope) -> str | None:
    """Return what one rule makes of the argument, None where it does not match or gives up."""
    variables = scope.vars
    try:
        try:
            pattern = expand(rule.pattern, scope)
        except ExpansionError as e:
            if type(e) is not ForcedFail:
                scope.services.log.panic(
                    f'failed to expand "{rule.pattern}" while checking for SMTP rewriting: {e.text}')
            return None
        compiled = compile_or_error(pattern)
        if isinstance(compiled, str):
            scope.services.log.panic(compiled)
            return None
        groups = compiled.search(argument)
        if groups is None or rule.replacement == "*":
            return None
        for number, value in enumerate(groups):
            variables[str(number)] = value
        return like(expand(rule.replacement, scope), argument)
    except (ForcedFail, RegexLimit):
        return None
    except ExpansionError as e:
        scope.services.log.panic(f"Expansion of {rule.replacement} failed while rewriting: {e.text}")
        return None


# -- header lines

def rewrite_item(item: str, where: str, rules: RuleSet | None, scope: Scope, *, qualify_it: bool) -> str:
    """Return one address item of a header line, rewritten; as it was where it is no address."""
    parsed = parse(item, scope)
    if parsed.error is not None:
        if rules is not None and rules.rules and parsed.error != "empty address":
            _log_main(scope, f"rewrite: {parsed.error}")
        return item
    if not parsed.address:
        return item
    address = parsed.address
    if not parsed.domain_at:
        if not qualify_it:
            return item
        address = qualify(address, scope, recipient=where not in _SENDER_KINDS)
    whole: str | None = None
    if rules is not None and where in rules.places:
        address, whole = _apply(address, where, rules, scope)
    if whole is not None:
        return whole
    if address == parsed.address:
        return item
    return item[:parsed.start] + address + item[parsed.end:]


def rewrite_header(header: Header, rules: RuleSet | None, scope: Scope, *, qualify: bool = False) -> Header | None:
    """Return the header line with its addresses rewritten and, where asked for, qualified; None if none changed."""
    kind = kind_of(header.text)
    where = kind.lower()
    if kind not in "STCBRF" or kind == " ":
        return None
    if not qualify and (rules is None or where not in rules.places):
        return None
    text = str(header.text)
    colon = text.find(":") + 1
    body = text[colon:]
    out = text[:colon]
    done = line_start = 0
    changed = False
    for start, end in items(body):
        item = body[start:end]
        new = rewrite_item(Tainted(item), where, rules, scope, qualify_it=qualify)
        if new != item:
            out += body[done:start] + new
            done = end
            changed = True
            if body[end:end + 1] == "," and len(out) - line_start >= FOLD_AFTER:
                after = end + 1
                while body[after:after + 1] in (" ", "\t"):
                    after += 1
                if body[after:after + 1] != "\n":
                    out += body[end:after] + "\n"
                    done, line_start = after, len(out)
                    out += "\t"
    if not changed:
        return None
    return Header(like(out + body[done:], header.text), header.type)


def rewrite_headers(headers: list[Header], rules: RuleSet, scope: Scope) -> list[Header]:
    """Return header lines, each rewritten where a rule changes it; those marked as deleted stay as they are."""
    return [h if h.type == "*" else rewrite_header(h, rules, scope) or h for h in headers]
