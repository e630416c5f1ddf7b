"""Dates as messages carry them.  RFC 5322 section 3.3; names of days and months are never localised."""

from __future__ import annotations

import time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_last: tuple[int, bool, str] = (-1, False, "")


def zone(seconds: float, utc: bool = False) -> str:
    """Return the offset of the local time from UTC at a time, as "+0100"."""
    if utc:
        return "+0000"
    offset = time.localtime(seconds).tm_gmtoff // 60
    sign = "-" if offset < 0 else "+"
    hours, minutes = divmod(abs(offset), 60)
    return f"{sign}{hours:02d}{minutes:02d}"


def rfc5322(seconds: float, utc: bool = False) -> str:
    """Return a date for a header line: "Mon, 23 Nov 2026 08:07:54 +0000", in local time.

    The text of the last second asked for is kept: many messages arrive in one.
    """
    global _last
    second = int(seconds)
    if _last[0] == second and _last[1] == utc:
        return _last[2]
    t = time.gmtime(second) if utc else time.localtime(second)
    text = (f"{_DAYS[t.tm_wday]}, {t.tm_mday:02d} {_MONTHS[t.tm_mon]} {t.tm_year:04d} "
            f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} {zone(second, utc)}")
    _last = (second, utc, text)
    return text


def unix_from(seconds: float, utc: bool = False) -> str:
    """Return a date as mailbox separators have it: "Mon Nov 23 08:07:54 2026"."""
    t = time.gmtime(seconds) if utc else time.localtime(seconds)
    return (f"{_DAYS[t.tm_wday]} {_MONTHS[t.tm_mon]} {t.tm_mday:02d} "
            f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} {t.tm_year:04d}")
