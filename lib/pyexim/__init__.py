"""pyexim: a mail transfer agent that takes Exim's place."""

__version__ = "0.1.0"

EXIM_VERSION = "4.99"
"""The Exim release whose behaviour and version number this program presents."""
