"""The contract of an authenticator, as far as the configuration needs it.

A driver has an ``Options`` class and a ``check()`` called when the configuration has been read.  The
conversations (RFC 4954) of server and client are not there yet: SMTP AUTH is not offered, and a client
does not use it.  Spec: chapter "SMTP authentication".
"""

from __future__ import annotations

from typing import Any

from pyexim.config.configuration import Instance


class Authenticator:
    """Base of the authenticators."""

    Options: type[Any]

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.name = instance.name
        self.options = instance.options

    def check(self) -> None:
        """Refuse impossible combinations when the configuration is read; raise ConfigError."""
