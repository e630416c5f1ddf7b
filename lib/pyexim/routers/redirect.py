"""The redirect router."""

from __future__ import annotations

from pyexim.config.option import BOOL, OCTAL, STRING, STRING_LIST, option, options
from pyexim.routers.options import RouterOptions


@options
class RedirectOptions(RouterOptions):
    """The options of its section."""

    allow_defer: bool = option(BOOL, False)
    allow_fail: bool = option(BOOL, False)
    allow_filter: bool = option(BOOL, False)
    allow_freeze: bool = option(BOOL, False)
    check_ancestor: bool = option(BOOL, False)
    check_group: bool = option(BOOL, None)
    check_owner: bool = option(BOOL, None)
    data: str | None = option(STRING, None, expanded=True)
    directory_transport: str | None = option(STRING, None, expanded=True)
    file: str | None = option(STRING, None, expanded=True)
    file_transport: str | None = option(STRING, None, expanded=True)
    filter_prepend_home: bool = option(BOOL, True)
    forbid_blackhole: bool = option(BOOL, False)
    forbid_exim_filter: bool = option(BOOL, False)
    forbid_file: bool = option(BOOL, False)
    forbid_filter_dlfunc: bool = option(BOOL, False)
    forbid_filter_existstest: bool = option(BOOL, False)
    forbid_filter_logwrite: bool = option(BOOL, False)
    forbid_filter_lookup: bool = option(BOOL, False)
    forbid_filter_perl: bool = option(BOOL, False)
    forbid_filter_readfile: bool = option(BOOL, False)
    forbid_filter_readsocket: bool = option(BOOL, False)
    forbid_filter_reply: bool = option(BOOL, False)
    forbid_filter_run: bool = option(BOOL, False)
    forbid_include: bool = option(BOOL, False)
    forbid_pipe: bool = option(BOOL, False)
    forbid_sieve_filter: bool = option(BOOL, False)
    forbid_smtp_code: bool = option(BOOL, False)
    hide_child_in_errmsg: bool = option(BOOL, False)
    ignore_eacces: bool = option(BOOL, False)
    ignore_enotdir: bool = option(BOOL, False)
    include_directory: str | None = option(STRING, None)
    modemask: int = option(OCTAL, 0o22)
    one_time: bool = option(BOOL, False)
    owners: str | None = option(STRING_LIST, None, style="uids")
    owngroups: str | None = option(STRING_LIST, None, style="gids")
    pipe_transport: str | None = option(STRING, None, expanded=True)
    qualify_domain: str | None = option(STRING, None, expanded=True)
    qualify_preserve_domain: bool = option(BOOL, False)
    repeat_use: bool = option(BOOL, True)
    reply_transport: str | None = option(STRING, None, expanded=True)
    rewrite: bool = option(BOOL, True)
    sieve_enotify_mailto_owner: str | None = option(STRING, None, expanded=True)
    sieve_inbox: str | None = option(STRING, "inbox", expanded=True)
    sieve_subaddress: str | None = option(STRING, None, expanded=True)
    sieve_useraddress: str | None = option(STRING, None, expanded=True)
    sieve_vacation_directory: str | None = option(STRING, None, expanded=True)
    skip_syntax_errors: bool = option(BOOL, False)
    syntax_errors_text: str | None = option(STRING, None, expanded=True)
    syntax_errors_to: str | None = option(STRING, None)
