"""What exists in the expansion language: items, operators and conditions, one row each.

A function is named "module:name" and imported when a string that uses it is read for the first time; so
are those of rooms above this one.  Spec: chapter "String expansions", sections 5 to 7.

An item is called with (scope, arguments); an item that has a syntax of its own (``parse``) is a function
of (parser, name) that returns a part.  An operator is called with (scope, operand, what follows the
underscore in its name or None, the whole name); a condition with (scope, first string, second string), one
that has a syntax of its own with (parser, name) and returns a test.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, NamedTuple

from pyexim.base.errors import ExpansionError

_E: Final = "pyexim.expand."


class Item(NamedTuple):
    """An item: ${name{...}{...}}."""

    function: str
    least: int = 0
    most: int = 0
    parse: bool = False
    forbid: str = ""
    """The word in ``Scope.expand_forbidden`` that locks it out."""


class Condition(NamedTuple):
    """A condition of ${if."""

    function: str
    strings: int = 1
    """How many strings follow its name."""
    parse: bool = False
    effects: tuple[str, ...] = ()
    raw_second: bool = False
    """The second string is not expanded."""


FORBIDDEN: Final = {
    "readfile": "file insertions are not permitted",
    "readsocket": "socket insertions are not permitted",
    "run": "running a command is not permitted",
    "lookup": "lookup expansions are not permitted",
    "exists": "File existence tests are not permitted",
    "stat": "Use of the stat() expansion is not permitted",
    "perl": "Perl calls are not permitted",
    "dlfunc": "dynamically-loaded functions are not permitted",
}
"""What is said when a redirect router's forbid_filter_... option locks something out."""


def _special(function: str, forbid: str = "") -> Item:
    return Item(_E + function, parse=True, forbid=forbid)


ITEMS: Final[dict[str, Item]] = {
    "acl": Item(_E + "items_calls:acl", 1, 10),
    "authresults": Item(_E + "items_calls:authresults", 1, 1),
    "certextract": _special("certificates:parse_certextract"),
    "dlfunc": Item(_E + "items_calls:dlfunc", 2, 10, forbid="dlfunc"),
    "env": _special("items_lookup:parse_env"),
    "extract": _special("items_lookup:parse_extract"),
    "filter": _special("items_lists:parse_filter"),
    "hash": Item(_E + "items_crypto:hash_item", 2, 3),
    "hmac": Item(_E + "items_crypto:hmac", 3, 3),
    "if": _special("parser:parse_if"),
    "imapfolder": Item(_E + "items_strings:imapfolder", 1, 3),
    "length": Item(_E + "items_strings:length", 2, 2),
    "listextract": _special("items_lists:parse_listextract"),
    "listquote": Item(_E + "items_lists:listquote", 2, 2),
    "lookup": _special("items_lookup:parse_lookup", "lookup"),
    "map": _special("items_lists:parse_map"),
    "nhash": Item(_E + "items_crypto:nhash_item", 2, 3),
    "perl": Item(_E + "items_calls:perl", 1, 9, forbid="perl"),
    "prvs": Item(_E + "items_prvs:prvs", 2, 3),
    "prvscheck": _special("items_prvs:parse_prvscheck"),
    "readfile": Item(_E + "items_files:readfile", 1, 2, forbid="readfile"),
    "readsocket": _special("items_socket:parse_readsocket", "readsocket"),
    "reduce": _special("items_lists:parse_reduce"),
    "run": _special("items_files:parse_run", "run"),
    "sg": Item(_E + "items_strings:sg", 3, 3),
    "sort": _special("items_lists:parse_sort"),
    "srs_encode": Item(_E + "items_prvs:srs_encode", 3, 3),
    "substr": Item(_E + "items_strings:substr", 2, 3),
    "tr": Item(_E + "items_strings:tr", 3, 3),
}

OPERATORS: Final[dict[str, str]] = {
    "address": _E + "operators_address:address",
    "addresses": _E + "operators_address:addresses",
    "base32": _E + "operators_codes:base32",
    "base32d": _E + "operators_codes:base32d",
    "base62": _E + "operators_codes:base62",
    "base62d": _E + "operators_codes:base62d",
    "base64": _E + "operators_codes:base64",
    "base64d": _E + "operators_codes:base64d",
    "domain": _E + "operators_address:domain",
    "escape": _E + "operators_text:escape",
    "escape8bit": _E + "operators_text:escape8bit",
    "eval": _E + "numbers:eval_operator",
    "eval10": _E + "numbers:eval10_operator",
    "expand": _E + "operators_text:expand_again",
    "from_utf8": _E + "operators_utf8:from_utf8",
    "h": _E + "items_crypto:hash_operator",
    "hash": _E + "items_crypto:hash_operator",
    "headerwrap": _E + "operators_text:headerwrap",
    "hex2b64": _E + "operators_codes:hex2b64",
    "hexquote": _E + "operators_text:hexquote",
    "ipv6denorm": _E + "operators_ip:ipv6denorm",
    "ipv6norm": _E + "operators_ip:ipv6norm",
    "l": _E + "items_strings:length_operator",
    "lc": _E + "operators_text:lc",
    "length": _E + "items_strings:length_operator",
    "listcount": _E + "items_lists:listcount",
    "listnamed": _E + "items_lists:listnamed",
    "local_part": _E + "operators_address:local_part",
    "mask": _E + "operators_ip:mask",
    "md5": _E + "operators_codes:md5",
    "nh": _E + "items_crypto:nhash_operator",
    "nhash": _E + "items_crypto:nhash_operator",
    "quote": _E + "operators_text:quote",
    "quote_local_part": _E + "operators_address:quote_local_part",
    "randint": _E + "numbers:randint",
    "reverse_ip": _E + "operators_ip:reverse_ip",
    "rfc2047": _E + "operators_text:rfc2047",
    "rfc2047d": _E + "operators_text:rfc2047d",
    "rxquote": _E + "operators_text:rxquote",
    "s": _E + "items_strings:substr_operator",
    "sha1": _E + "operators_codes:sha1",
    "sha2": _E + "operators_codes:sha2",
    "sha256": _E + "operators_codes:sha2",
    "sha3": _E + "operators_codes:sha3",
    "stat": _E + "items_files:stat_operator",
    "str2b64": _E + "operators_codes:base64",
    "strlen": _E + "operators_text:strlen",
    "substr": _E + "items_strings:substr_operator",
    "time_eval": _E + "times:time_eval",
    "time_interval": _E + "times:time_interval",
    "uc": _E + "operators_text:uc",
    "utf8_domain_from_alabel": _E + "operators_utf8:domain_from_alabel",
    "utf8_domain_to_alabel": _E + "operators_utf8:domain_to_alabel",
    "utf8_localpart_from_alabel": _E + "operators_utf8:localpart_from_alabel",
    "utf8_localpart_to_alabel": _E + "operators_utf8:localpart_to_alabel",
    "utf8clean": _E + "operators_utf8:utf8clean",
    "xtextd": _E + "operators_codes:xtextd",
}


def _cond(function: str, count: int = 1) -> Condition:
    return Condition(_E + "conditions:" + function, count)


def _list(function: str) -> Condition:
    return Condition(_E + "conditions:" + function, 2, effects=("numeric", "value"), raw_second=True)


def _own(function: str, *effects: str) -> Condition:
    return Condition(_E + "conditions:" + function, 0, parse=True, effects=effects)


CONDITIONS: Final[dict[str, Condition]] = {
    "<": _cond("number_less", 2),
    "<=": _cond("number_less_equal", 2),
    "=": _cond("number_equal", 2),
    "==": _cond("number_equal", 2),
    ">": _cond("number_greater", 2),
    ">=": _cond("number_greater_equal", 2),
    "acl": _own("parse_acl", "value"),
    "and": _own("parse_and_or"),
    "bool": _cond("bool_"),
    "bool_lax": _cond("bool_lax"),
    "crypteq": Condition(_E + "crypteq:crypteq", 2),
    "def": _own("parse_def"),
    "eq": _own("parse_eq"),
    "eqi": _cond("eqi", 2),
    "exists": _cond("exists"),
    "first_delivery": _own("parse_first_delivery"),
    "forall": _own("parse_for"),
    "forall_json": _own("parse_for"),
    "forall_jsons": _own("parse_for"),
    "forany": _own("parse_for"),
    "forany_json": _own("parse_for"),
    "forany_jsons": _own("parse_for"),
    "ge": _cond("ge", 2),
    "gei": _cond("gei", 2),
    "gt": _cond("gt", 2),
    "gti": _cond("gti", 2),
    "inbound_srs": Condition(_E + "items_prvs:inbound_srs", 2),
    "inlist": Condition(_E + "conditions:inlist", 2, effects=("value",)),
    "inlisti": Condition(_E + "conditions:inlisti", 2, effects=("value",)),
    "isip": _cond("isip"),
    "isip4": _cond("isip4"),
    "isip6": _cond("isip6"),
    "ldapauth": _own("parse_absent"),
    "le": _cond("le", 2),
    "lei": _cond("lei", 2),
    "lt": _cond("lt", 2),
    "lti": _cond("lti", 2),
    "match": _own("parse_match", "numeric"),
    "match_address": _list("match_address"),
    "match_domain": _list("match_domain"),
    "match_ip": _list("match_ip"),
    "match_local_part": _list("match_local_part"),
    "or": _own("parse_and_or"),
    "pam": _own("parse_absent"),
    "pwcheck": _own("parse_absent"),
    "queue_running": _own("parse_queue_running"),
    "radius": _own("parse_absent"),
    "saslauthd": Condition(_E + "saslauthd:parse_saslauthd", 0, parse=True),
}

OF_CERTIFICATES: Final = frozenset({"md5", "sha1", "sha256", "base64"})
"""Operators that see what is in a certificate where they are given the variable of one."""
FINGERPRINT: Final = _E + "certificates:parse_fingerprint"

SERVICES: Final = {
    "acl": "pyexim.acl.expansions:call_acl",
    "lookup": "pyexim.lookup.api:find",
    "lookup_check": "pyexim.lookup.api:check_type",
    "lookup_quote": "pyexim.lookup.api:quote",
    "match_address": "pyexim.match.lists:match_address",
    "match_domain": "pyexim.match.lists:match_domain",
    "match_host_address": "pyexim.match.lists:match_host_address",
    "match_local_part": "pyexim.match.lists:match_local_part",
    "host_name": "pyexim.dns.hosts:look_up_name",
}
"""What the language asks of rooms to its right and above."""

_loaded: dict[str, Any] = {}


def load(name: str) -> Any:
    """Return the object that a "module:name" names, importing its module on first use."""
    try:
        return _loaded[name]
    except KeyError:
        module, _, attribute = name.partition(":")
        found = _loaded[name] = getattr(import_module(module), attribute)
        return found


def service(name: str) -> Any:
    """Return a function of another room; see SERVICES.  ExpansionError where that room lacks it."""
    try:
        return load(SERVICES[name])
    except (ModuleNotFoundError, AttributeError) as e:
        raise ExpansionError(f'"{name}" is not included in this program ({e})') from None
