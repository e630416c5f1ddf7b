"""What -bV prints: the Exim version we stand in for, our own, and what this build supports.

Only what works is named.
"""

from __future__ import annotations

import importlib.util
import struct

import pyexim
from pyexim import settings
from pyexim.config.table import AUTHENTICATORS, ROUTERS, TRANSPORTS, driver_names, driver_options
from pyexim.expand.table import ITEMS
from pyexim.lookup.table import available as available_lookups
from pyexim.tls import api as tls


def features() -> list[str]:
    """Return the optional features that are there, by Exim's names."""
    found = ["crypteq", "iconv()", "IPv6"]
    if "srs_encode" in ITEMS:
        found.append("SRS")
    if not tls.missing():
        found += ["OpenSSL", "TLS_resume", "OCSP"]
    return found


def lines(configuration_file: str | None, *, details: bool = True) -> list[str]:
    """Return the lines of -bV; the last names the configuration in use.

    Without ``details`` they are those that -d begins with.
    """
    transports = ["appendfile/maildir" if name == "appendfile" else name for name in driver_names(TRANSPORTS)]
    out = [f"Exim version {pyexim.EXIM_VERSION} #1 built by pyexim {pyexim.__version__}"]
    if details:
        out.append(f"pyexim version {pyexim.__version__}, an independent program that takes Exim's place")
        out.append("Hints DB: SQLite")
    out += [
        "Support for: " + " ".join(features()),
        "Lookups (built-in): " + " ".join(available_lookups(importlib.util.find_spec)),
        "Authenticators: " + " ".join(
            name for name in driver_names(AUTHENTICATORS)
            if not hasattr(driver_options(AUTHENTICATORS, name), "NO_EFFECT")),
        "Routers: " + " ".join(driver_names(ROUTERS)),
        "Transports: " + " ".join(transports),
        "Fixed never_users: 0",
        "Configure owner: 0:0",
        f"Size of off_t: {struct.calcsize('q')}",
    ]
    if settings.WHITELIST_D_MACROS and not details:
        out.append(f'WHITELIST_D_MACROS: "{settings.WHITELIST_D_MACROS}"')
    if settings.TRUSTED_CONFIG_LIST and not details:
        out.append(f'TRUSTED_CONFIG_LIST: "{settings.TRUSTED_CONFIG_LIST}"')
    if configuration_file is not None:
        if details and ":" in settings.CONFIGURE_FILE:
            out.append(f"Configuration file search path is {settings.CONFIGURE_FILE}")
        head = "Configuration file is" if details else "configuration file is"
        out.append(f"{head} {configuration_file}")
    return out
