"""What the DNS room needs of rooms above it, named as strings and imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

IN_DOMAIN_LIST: Final = "pyexim.match.lists:in_domain_list"
"""(domain, list, configuration) -> bool, for the options that are domain lists."""
COMPILE_REGEX: Final = "pyexim.expand.regex:compile"


def load(where: str) -> Callable[..., Any]:
    """Return what a string "module:name" names."""
    module, _, name = where.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
