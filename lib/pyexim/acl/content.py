"""The conditions of content scanning: regex works; the others need scanners or MIME parts, and say so.

Spec: chapter "Content scanning at ACL time".
"""

from __future__ import annotations

import os
from typing import Final

from pyexim.acl.compiler import Build, with_argument
from pyexim.acl.parser import Item
from pyexim.acl.run import FAIL, OK, AclRun, Step
from pyexim.expand.lists import split_list
from pyexim.expand.regex import Regex, RegexLimit, compile_or_error

MAX_LINE: Final = 32768
"""A longer line is tested by its beginning."""


def _absent(item: Item, needs: str) -> Step:
    name = item.name

    def step(run: AclRun) -> int:
        return run.error(f'the condition "{name}" needs {needs}, which is not there yet')
    return step


def malware(item: Item, build: Build) -> Step:
    """Make the step of ``malware``: an error that says what is missing."""
    return _absent(item, "the virus scanner interface")


def spam(item: Item, build: Build) -> Step:
    """Make the step of ``spam``: an error that says what is missing."""
    return _absent(item, "the SpamAssassin interface")


def decode(item: Item, build: Build) -> Step:
    """Make the step of ``decode``: an error that says what is missing."""
    return _absent(item, "the MIME ACL")


def mime_regex(item: Item, build: Build) -> Step:
    """Make the step of ``mime_regex``: an error that says what is missing."""
    return _absent(item, "the MIME ACL")


def regex(item: Item, build: Build) -> Step:
    """Make the step of ``regex``: any line of the message, header included, matches any of the expressions."""
    def check(run: AclRun, value: str) -> int:
        patterns: list[Regex] = []
        for text in split_list(value):
            if not text:
                continue
            compiled = compile_or_error(text)
            if isinstance(compiled, str):
                run.scope.services.log.panic(f"regex acl condition warning - {compiled}, skipped")
                continue
            patterns.append(compiled)
        try:
            return _search(run, patterns)
        except OSError as e:
            return run.deferred(f"regex acl condition: cannot read the message: {os.strerror(e.errno or 0)}")
    return with_argument(item, check)


def _search(run: AclRun, patterns: list[Regex]) -> int:
    """Look through the header lines, then the lines of the data file."""
    message = run.scope.message
    if message is None or not patterns:
        return FAIL
    for header in message.headers:
        if header.type != "*":
            for line in header.text.rstrip("\n").split("\n"):
                if _matches(run, patterns, line):
                    return OK
    if message.data_path:
        with open(message.data_path, encoding="latin-1", newline="\n") as f:
            f.seek(message.data_start)
            for line in f:
                if _matches(run, patterns, line.rstrip("\n")):
                    return OK
    return FAIL


def _matches(run: AclRun, patterns: list[Regex], line: str) -> bool:
    for pattern in patterns:
        try:
            found = pattern.search(line[:MAX_LINE])
        except RegexLimit:
            continue
        if found is not None:
            variables = run.scope.vars
            variables["regex_match_string"] = pattern.pattern
            for number, value in enumerate(found[1:10], 1):
                variables[f"regex{number}"] = value
            return True
    return False
