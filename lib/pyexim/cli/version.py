"""What -bV prints: the Exim version we stand in for, our own, and what this build supports."""

from __future__ import annotations

import importlib.util

import pyexim
from pyexim.config.table import AUTHENTICATORS, ROUTERS, TRANSPORTS, driver_names
from pyexim.lookup.table import available as available_lookups


def lines(configuration_file: str | None) -> list[str]:
    """Return the lines of -bV; the last names the configuration in use."""
    features = ["crypteq", "iconv()", "IPv6", "Event" if False else "", "PIPECONNECT" if False else "", "Queue_Ramp"]
    out = [
        f"Exim version {pyexim.EXIM_VERSION} #1 built by pyexim {pyexim.__version__}",
        f"pyexim version {pyexim.__version__}, an independent program that takes Exim's place",
        "Hints DB: SQLite",
        "Support for: " + " ".join(f for f in features if f),
        "Lookups (built-in): " + " ".join(available_lookups(importlib.util.find_spec)),
        "Authenticators: " + " ".join(driver_names(AUTHENTICATORS)),
        "Routers: " + " ".join(driver_names(ROUTERS)),
        "Transports: " + " ".join(driver_names(TRANSPORTS)),
        "Fixed never_users: 0",
    ]
    if configuration_file is not None:
        out.append(f"Configuration file is {configuration_file}")
    return out
