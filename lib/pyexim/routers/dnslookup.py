"""The dnslookup router."""

from __future__ import annotations

from pyexim.config.option import BOOL, DOMAIN_LIST, STRING, STRING_LIST, option, options
from pyexim.routers.options import RouterOptions


@options
class DnslookupOptions(RouterOptions):
    """The options of its section."""

    check_secondary_mx: bool = option(BOOL, False)
    check_srv: str | None = option(STRING, None)
    fail_defer_domains: str | None = option(DOMAIN_LIST, None, expanded=True)
    ipv4_only: str | None = option(STRING, None, expanded=True)
    ipv4_prefer: str | None = option(STRING, None, expanded=True)
    mx_domains: str | None = option(DOMAIN_LIST, None, expanded=True)
    mx_fail_domains: str | None = option(DOMAIN_LIST, None, expanded=True)
    qualify_single: bool = option(BOOL, True)
    rewrite_headers: bool = option(BOOL, True)
    same_domain_copy_routing: bool = option(BOOL, False)
    search_parents: bool = option(BOOL, False)
    srv_fail_domains: str | None = option(DOMAIN_LIST, None, expanded=True)
    widen_domains: str | None = option(STRING_LIST, None)
