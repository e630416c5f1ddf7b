"""The redirect router: aliases, .forward files, and everything else that makes addresses of an address.

Spec: chapter "The redirect router".  The list is read by ``redirection``, a file by ``redirect_file``;
here are the options and what they make of the items; filters are the business of ``redirect_filter``.
Where a list contains :fail:, :defer: or :blackhole: the other items do not count, as the spec says.
"""

from __future__ import annotations

import os
import re

from pyexim.base.errors import ExpansionError, ForcedFail
from pyexim.base.octets import SPACE, lower, strip
from pyexim.base.pattern import lazy_pattern
from pyexim.base.taint import is_tainted, like
from pyexim.config.option import BOOL, OCTAL, STRING, STRING_LIST, option, options
from pyexim.expand.engine import expand
from pyexim.match.lists import split_list
from pyexim.model.address import Address
from pyexim.privs import find_group, find_user
from pyexim.rewrite.api import has_rules, rewrite_one
from pyexim.routers.base import Declined, Deferred, Discarded, Failed, Rerouted, RouteOutcome, Router, RouteRun
from pyexim.routers.children import make_child, make_item
from pyexim.routers.files import open_as
from pyexim.routers.generic import ROUTED
from pyexim.routers.options import RouterOptions
from pyexim.routers.preconditions import panic
from pyexim.routers.redirect_errors import report_syntax_errors
from pyexim.routers.redirect_file import FileRules, Reader, Unusable, read_all, read_redirect_file
from pyexim.routers.redirection import (
    Item,
    ListRules,
    Redirection,
    RedirectionError,
    is_filter,
    parse_redirection,
)


@options
class RedirectOptions(RouterOptions):
    """The options of its section."""

    allow_defer: bool = option(BOOL, False, doc="Permit :defer:.", spec="22")
    allow_fail: bool = option(BOOL, False, doc="Permit :fail:.", spec="22")
    allow_filter: bool = option(BOOL, False, doc="Permit filter files.", spec="22")
    allow_freeze: bool = option(BOOL, False, doc="Permit the command freeze in filter files.", spec="22")
    check_ancestor: bool = option(BOOL, False,
        doc="A generated address that is an ancestor's is replaced by the current one.", spec="22")
    check_group: bool = option(BOOL, None, doc="The group of the file is checked.", spec="22")
    check_owner: bool = option(BOOL, None, doc="The owner of the file is checked.", spec="22")
    data: str | None = option(STRING, None, expanded=True, doc="The redirection list.", spec="22")
    directory_transport: str | None = option(STRING, None, expanded=True,
        doc="Transport for names that end in a slash.", spec="22")
    file: str | None = option(STRING, None, expanded=True, doc="Name of a file with the redirection list.", spec="22")
    file_transport: str | None = option(STRING, None, expanded=True, doc="Transport for file names.", spec="22")
    filter_prepend_home: bool = option(BOOL, True, doc="Relative names in a filter's save are below $home.",
        spec="22")
    forbid_blackhole: bool = option(BOOL, False, doc="Refuse :blackhole:.", spec="22")
    forbid_exim_filter: bool = option(BOOL, False, doc="Refuse Exim filters.", spec="22")
    forbid_file: bool = option(BOOL, False, doc="Refuse file names.", spec="22")
    forbid_filter_dlfunc: bool = option(BOOL, False, doc="Refuse ${dlfunc in filters.", spec="22")
    forbid_filter_existstest: bool = option(BOOL, False, doc="Refuse tests of files in filters.", spec="22")
    forbid_filter_logwrite: bool = option(BOOL, False, doc="Refuse logging in filters.", spec="22")
    forbid_filter_lookup: bool = option(BOOL, False, doc="Refuse lookups in filters.", spec="22")
    forbid_filter_perl: bool = option(BOOL, False, doc="Refuse ${perl in filters.", spec="22")
    forbid_filter_readfile: bool = option(BOOL, False, doc="Refuse ${readfile in filters.", spec="22")
    forbid_filter_readsocket: bool = option(BOOL, False, doc="Refuse ${readsocket in filters.", spec="22")
    forbid_filter_reply: bool = option(BOOL, False, doc="Refuse automatic replies.", spec="22")
    forbid_filter_run: bool = option(BOOL, False, doc="Refuse ${run in filters.", spec="22")
    forbid_include: bool = option(BOOL, False, doc="Refuse :include:.", spec="22")
    forbid_pipe: bool = option(BOOL, False, doc="Refuse pipe commands.", spec="22")
    forbid_sieve_filter: bool = option(BOOL, False, doc="Refuse Sieve filters.", spec="22")
    forbid_smtp_code: bool = option(BOOL, False, doc="Ignore SMTP codes in the texts of :fail: and :defer:.",
        spec="22")
    hide_child_in_errmsg: bool = option(BOOL, False, doc="Bounces do not show generated addresses.", spec="22")
    ignore_eacces: bool = option(BOOL, False, doc="A file that may not be opened counts as absent.", spec="22")
    ignore_enotdir: bool = option(BOOL, False, doc="A file below something that is no directory counts as absent.",
        spec="22")
    include_directory: str | None = option(STRING, None, doc="Included files must be below this directory.",
        spec="22")
    modemask: int = option(OCTAL, 0o22, doc="Mode bits that the file must not have.", spec="22")
    one_time: bool = option(BOOL, False, doc="Generated addresses that fail at first become recipients of their own.",
        spec="22")
    owners: str | None = option(STRING_LIST, None, style="uids", doc="Users that may own the file.", spec="22")
    owngroups: str | None = option(STRING_LIST, None, style="gids", doc="Groups that may own the file.", spec="22")
    pipe_transport: str | None = option(STRING, None, expanded=True, doc="Transport for pipe commands.", spec="22")
    qualify_domain: str | None = option(STRING, None, expanded=True,
        doc="Domain for generated addresses without one.", spec="22")
    qualify_preserve_domain: bool = option(BOOL, False,
        doc="Generated addresses without a domain get that of their parent.", spec="22")
    repeat_use: bool = option(BOOL, True,
        doc="Whether the router runs for an address with an ancestor that it has handled.", spec="22")
    reply_transport: str | None = option(STRING, None, expanded=True, doc="Transport for automatic replies.",
        spec="22")
    rewrite: bool = option(BOOL, True, doc="Generated addresses are rewritten by the general rules.", spec="22")
    sieve_enotify_mailto_owner: str | None = option(STRING, None, expanded=True,
        doc="The address that Sieve notifications come from.", spec="22")
    sieve_inbox: str | None = option(STRING, "inbox", expanded=True, doc="The folder that keep means.", spec="22")
    sieve_subaddress: str | None = option(STRING, None, expanded=True, doc="The :subaddress part for Sieve.",
        spec="22")
    sieve_useraddress: str | None = option(STRING, None, expanded=True, doc="The :user part for Sieve.", spec="22")
    sieve_vacation_directory: str | None = option(STRING, None, expanded=True,
        doc="Where Sieve's vacation keeps its records.", spec="22")
    skip_syntax_errors: bool = option(BOOL, False, doc="Malformed items are skipped and logged.", spec="22")
    syntax_errors_text: str | None = option(STRING, None, expanded=True,
        doc="Text at the head of the report about skipped items.", spec="22")
    syntax_errors_to: str | None = option(STRING, None, doc="Where a report about skipped items goes.", spec="22")


class Redirect(Router):
    """The driver."""

    Options = RedirectOptions
    needs_transport = False

    def check(self) -> None:
        """Refuse what makes no sense, and prepare what does not change from address to address."""
        options = self.options
        if (options.file is None) == (options.data is None):
            raise self.wrong(f'{"one" if options.file is None else "only one"} of "file" or "data" must be specified',
                              "data")
        if options.qualify_domain is not None and options.qualify_preserve_domain:
            raise self.wrong('only one of "qualify_domain" or "qualify_preserve_domain" must be set', "qualify_domain")
        if options.allow_filter and not options.check_local_user and options.user is None:
            raise self.wrong('"user" or "check_local_user" must be set with "allow_filter"', "allow_filter")
        if options.one_time:
            if options.unseen is not False:
                raise self.wrong('"unseen" may not be used with "one_time"', "unseen")
            if options.headers_add is not None or options.headers_remove is not None:
                raise self.wrong('"headers_add" and "headers_remove" are not permitted with "one_time"', "one_time")
        if options.one_time:
            options.forbid_pipe = options.forbid_file = options.forbid_filter_reply = True
        self._owners = self._ids(options.owners, "owners", "user")
        self._owngroups = self._ids(options.owngroups, "owngroups", "group")
        # The computed defaults go into the options, where -bP finds them.
        if options.check_owner is None:
            options.check_owner = options.check_local_user or options.owners is not None
        if options.check_group is None:
            options.check_group = ((options.check_local_user and not options.modemask & 0o20)
                                   or options.owngroups is not None)
        self._forbidden = frozenset(name for name, wrong in (
            ("fail", not options.allow_fail), ("defer", not options.allow_defer),
            ("blackhole", options.forbid_blackhole), ("include", options.forbid_include)) if wrong)

    def _ids(self, text: str | None, option: str, what: str) -> frozenset[int]:
        """Return the ids of a list of user or group names."""
        found = set()
        for item in split_list(text) if text else []:
            if what == "user":
                user = find_user(item)
                number = None if user is None else user[1]
            else:
                number = find_group(item)
            if number is None:
                raise self.wrong(f"{what} {item} was not found", option)
            found.add(number)
        return frozenset(found)

    # -- routing

    def route(self, address: Address, run: RouteRun) -> RouteOutcome:
        """Redirect the address, or do with it what a special item says; decline where there is nothing."""
        if self.options.user is not None or self.options.group is not None:
            problem = self.generic.owner(address, run)
            if problem is not None:
                return problem
        try:
            text = self._text(address, run)
        except ForcedFail:
            return Declined()
        except ExpansionError as e:
            return Deferred(f'failed to expand "{self.options.data or self.options.file}": {e.text}')
        except Unusable as e:
            return Deferred(e.text)
        if not text:
            return Declined()
        kind = "file" if self.options.file is not None else "data"
        if text[0] == "#" or text.lstrip(SPACE)[:1] == "#":
            name = is_filter(text)
            if name is not None:
                return self._filter(text, name, kind, address, run)
        try:
            found = parse_redirection(text, self._rules(address, run))
        except RedirectionError as e:
            return Deferred(f"error in redirect {kind}: {e.text}", errno=-17)
        if found.skipped:
            report_syntax_errors(self, address, found.skipped, run)
        if found.verdict:
            if found.verdict != "blackhole":
                # Who is told of the failure: this router has had to do with the address.
                problem = self.generic.errors_to(address, run)
                if problem is not None:
                    return problem
            return self._verdict(found, run)
        if not found.items:
            return Declined("syntax error in redirection data" if found.skipped else "")
        return self._redirect(address, found.items, run)

    def _text(self, address: Address, run: RouteRun) -> str | None:
        options = self.options
        if options.data is not None:
            return expand(options.data, run.scope)
        name = expand(options.file, run.scope)
        path = like(strip(name), name)
        return read_redirect_file(path, self._file_rules(address), self._reader(address, run), run.scope)

    def _file_rules(self, address: Address) -> FileRules:
        options = self.options
        owners = groups = None
        if options.check_owner:
            owners = (self._owners | {address.uid} if options.check_local_user and address.uid is not None
                      else self._owners)
        if options.check_group:
            groups = (self._owngroups | {address.gid} if options.check_local_user and address.gid is not None
                      else self._owngroups)
        return FileRules(options.ignore_eacces, options.ignore_enotdir, options.modemask, owners, groups)

    def _reader(self, address: Address, run: RouteRun) -> Reader:
        """Say whom to open files as: the user of the router, where there is one."""
        return Reader(address.uid, address.gid, address.user_name if address.initgroups else None)

    def _filter(self, text: str, name: str, kind: str, address: Address, run: RouteRun) -> RouteOutcome:
        """Run filtering instructions, where they are allowed, and do what they come to."""
        options = self.options
        if not options.allow_filter:
            return Deferred(f"error in filter {kind}: filtering not enabled", errno=-17)
        if (options.forbid_exim_filter if name == "Exim" else options.forbid_sieve_filter):
            return Deferred(f"error in filter {kind}: {name} filtering not enabled", errno=-17)
        from pyexim.routers.redirect_filter import apply_filter  # where there is one

        return apply_filter(self, text, name, kind, address, run)

    def _rules(self, address: Address, run: RouteRun) -> ListRules:
        options, main = self.options, run.scope.config.main

        def include(path: str) -> str:
            return self._read_include(path, address, run)
        return ListRules(main.allow_domain_literals, main.strip_trailing_dot, main.allow_utf8_domains,
                         options.skip_syntax_errors, self._forbidden, include)

    def _read_include(self, path: str, address: Address, run: RouteRun) -> str:
        """Return the content of an included file."""
        directory = self.options.include_directory
        if is_tainted(path):
            raise RedirectionError(f"Tainted name '{path}' for included file not permitted")
        if not path.startswith("/"):
            raise RedirectionError(f'included file "{path}" is not an absolute path')
        if directory is not None and not _is_under(path, directory):
            raise RedirectionError(f"included file {path} is not in directory {directory}")
        reader = self._reader(address, run)
        fd, number = open_as(path, run.scope, reader.uid, reader.gid, reader.user_name)
        if fd < 0:
            raise RedirectionError(f"failed to open included file {path}: {os.strerror(number)}")
        try:
            return read_all(fd, path)
        except Unusable as e:
            text = e.text.replace("error while reading ", "error while reading included file ", 1)
            raise RedirectionError(text) from None
        finally:
            os.close(fd)

    def _verdict(self, found: Redirection, run: RouteRun) -> RouteOutcome:
        if found.verdict == "blackhole":
            return Discarded(":blackhole:")
        default = "5" if found.verdict == "fail" else "4"
        code, user_text = split_code(found.text)
        if code is not None and self.options.forbid_smtp_code:
            code = None
        elif code is not None and str(code)[0] != default:
            panic(run, f"{self.name} router: SMTP code {code} in redirection data ignored: "
                       f"it must begin with {default}")
            code = None
        if found.verdict == "fail":
            return Failed(found.text, user_text, smtp_code=code)
        return Deferred(found.text, user_text, smtp_code=code)

    def _redirect(self, address: Address, items: list[Item], run: RouteRun) -> RouteOutcome:
        """Make the children."""
        options = self.options
        problem = self.generic.decorate(address, run)
        if problem is not None:
            return problem
        if options.hide_child_in_errmsg:
            address.flags.add("hides_children")
        children = []
        for item in items:
            child = self.make(item, address, run)
            if isinstance(child, Deferred):
                return child
            children.append(child)
        return Rerouted(children)

    def make(self, item: Item, address: Address, run: RouteRun) -> Address | Deferred:
        """Make the child for one item of a list."""
        options = self.options
        if item.kind != "address":
            return self.local_item(item, address, run)
        try:
            text = self._qualified(item, address, run)
        except ExpansionError as e:
            return Deferred(f'failed to expand "{options.qualify_domain}": {e.text}')
        child = make_child(address, text)
        if options.one_time:
            child.one_time = True
        return child

    def _qualified(self, item: Item, address: Address, run: RouteRun) -> str:
        """Return the address of an item: with a domain, rewritten, and the own address for an ancestor's."""
        options, scope = self.options, run.scope
        text = item.text
        if "@" not in text:
            if item.keep_domain or options.qualify_preserve_domain:
                domain = address.domain
            elif options.qualify_domain is not None:
                domain = expand(options.qualify_domain, scope)
            else:
                main = scope.config.main
                domain = main.qualify_recipient or main.qualify_domain or scope.services.primary_hostname
            text = like(f"{text}@{domain}", text, domain)
        if options.rewrite and has_rules(scope.config, "T"):
            text = rewrite_one(text, "T", scope)
        if options.check_ancestor:
            folded = lower(text)
            ancestor: Address | None = address.parent
            while ancestor is not None:
                if lower(ancestor.address) == folded:
                    return address.address
                ancestor = ancestor.parent
        return text

    def local_item(self, item: Item, address: Address, run: RouteRun) -> Address:
        """Make the child for a pipe, file or reply: settled, since its transport is known here."""
        child = make_item(address, item.kind, item.text)
        self.generic.directories(child)
        child.router = self.instance
        options = self.options
        source, forbidden, what = {
            "pipe": (options.pipe_transport, options.forbid_pipe, "delivery to pipe"),
            "file": (options.file_transport, options.forbid_file, "delivery to file"),
            "directory": (options.directory_transport, options.forbid_file, "delivery to file"),
            "reply": (options.reply_transport, options.forbid_filter_reply, "autoreply")}[item.kind]
        outcome: RouteOutcome = ROUTED
        if source is not None:
            found = self.generic.find_transport(source, run, f"{item.kind}_transport")
            if isinstance(found, Deferred):
                outcome = found
                child.message = found.text
            else:
                child.transport = found
        else:
            outcome = Deferred(f"{item.kind}_transport unset in {self.name} router", errno=-30)
            child.message = outcome.text
        if forbidden:
            outcome = Failed(f"{what} forbidden")
            child.flags.add("forbidden")
        child.settled = outcome
        return child


def _is_under(path: str, directory: str) -> bool:
    """Tell whether a path is below a directory, without leaving it by way of ".."."""
    directory = directory.rstrip("/")
    return path.startswith(directory + "/") and ".." not in path[len(directory):].split("/")


_code = lazy_pattern(r"([245][0-9][0-9])(?= )", re.ASCII)


def split_code(text: str) -> tuple[int | None, str]:
    """Take an SMTP code off the start of a text."""
    match = _code.match(text)
    if match is None:
        return None, text
    return int(match[1]), like(text[match.end():].lstrip(" "), text)
