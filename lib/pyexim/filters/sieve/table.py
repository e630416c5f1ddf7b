"""What the Sieve of this program knows: extensions, comparators, parts of addresses.  Spec: RFC 5228 and others."""

from __future__ import annotations

from typing import Final

EXTENSIONS: Final = ("comparator-i;ascii-numeric", "copy", "encoded-character", "enotify", "envelope", "fileinto",
                     "subaddress", "vacation")
"""What -bI:sieve lists."""
