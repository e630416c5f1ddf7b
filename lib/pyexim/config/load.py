"""Loading a configuration: read it, then let every room compile what is its own.

    config = load(["/etc/exim/exim.conf"])

The hooks are named in ``config.table``; a command that needs less (``-be``, ``-bP``) passes fewer, and
``compile_for`` makes up for it later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pyexim.base.errors import ConfigError
from pyexim.config.configuration import Configuration
from pyexim.config.reader import read_configuration
from pyexim.config.table import COMPILE_HOOKS, resolve


def load(files: list[str], macros: Mapping[str, str] | None = None, *, data: bytes | None = None,
         settings: Any = None, hooks: Collection[str] | None = None, main_only: bool = False) -> Configuration:
    """Return the configuration of the first existing file, ready for use; raise ConfigError.

    ``hooks`` are the names of the parts to compile now (``config.table.COMPILE_HOOKS``), None for all; with
    ``main_only`` there is nothing but the main section.
    """
    config = read_configuration(files, macros=macros, data=data, settings=settings, main_only=main_only)
    try:
        compile_for(config, () if main_only else COMPILE_HOOKS if hooks is None else hooks)
    except ConfigError as e:
        e.partial = config
        raise
    return config


def compile_for(config: Configuration, hooks: Collection[str]) -> None:
    """Compile these parts unless that has been done; raise ConfigError."""
    done = config.compiled.setdefault("hooks", set())
    for name, reference in COMPILE_HOOKS.items():
        if name in hooks and name not in done:
            resolve(reference)(config)
            done.add(name)


def compile_faults(config: Configuration) -> list[ConfigError]:
    """Compile everything and return the first fault of each part."""
    faults = []
    for name in COMPILE_HOOKS:
        try:
            compile_for(config, [name])
        except ConfigError as e:
            faults.append(e)
    return faults
