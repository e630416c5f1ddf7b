"""Times in expansions: $tod_..., ${time_eval:, ${time_interval:.

The time zone is the process's, which the option ``timezone`` has set.  Spec: chapter "String expansions".
"""

from __future__ import annotations

import re
import time
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.octets import is_digits
from pyexim.expand.scope import Scope

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _now(scope: Scope) -> float:
    return scope.services.clock.time()


def tod_bsdinbox(scope: Scope) -> str:
    """Mon Nov 23 08:20:41 2026, as in mailbox separators; always UTC."""
    t = time.gmtime(_now(scope))
    return (f"{_DAYS[t.tm_wday]} {_MONTHS[t.tm_mon - 1]} {t.tm_mday:2d} "
            f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} {t.tm_year}")


def tod_epoch(scope: Scope) -> str:
    """Seconds since the epoch."""
    return str(int(_now(scope)))


def tod_epoch_l(scope: Scope) -> str:
    """Microseconds since the epoch."""
    return str(int(_now(scope) * 1_000_000))


def _zone(t: time.struct_time) -> str:
    seconds = t.tm_gmtoff or 0
    sign = "-" if seconds < 0 else "+"
    minutes = abs(seconds) // 60
    return f"{sign}{minutes // 60:02d}{minutes % 60:02d}"


def tod_full(scope: Scope) -> str:
    """Mon, 23 Nov 2026 08:20:41 +0000, as in header lines."""
    t = time.localtime(_now(scope))
    return (f"{_DAYS[t.tm_wday]}, {t.tm_mday:02d} {_MONTHS[t.tm_mon - 1]} {t.tm_year} "
            f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} {_zone(t)}")


def tod_log(scope: Scope) -> str:
    """2026-11-23 08:20:41, as in the log."""
    t = time.localtime(_now(scope))
    zone = f" {_zone(t)}" if getattr(scope.config.main, "log_timezone", False) else ""
    return (f"{t.tm_year:04d}-{t.tm_mon:02d}-{t.tm_mday:02d} {t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}{zone}")


def tod_logfile(scope: Scope) -> str:
    """20261123, as in the names of dated logs."""
    t = time.localtime(_now(scope))
    return f"{t.tm_year:04d}{t.tm_mon:02d}{t.tm_mday:02d}"


def tod_zone(scope: Scope) -> str:
    """+0000."""
    return _zone(time.localtime(_now(scope)))


def tod_zulu(scope: Scope) -> str:
    """20261123082041Z, UTC."""
    t = time.gmtime(_now(scope))
    return f"{t.tm_year:04d}{t.tm_mon:02d}{t.tm_mday:02d}{t.tm_hour:02d}{t.tm_min:02d}{t.tm_sec:02d}Z"


_INTERVAL: Final = re.compile(r"(?:[0-9]+[wdhms])+")
_PIECE: Final = re.compile(r"([0-9]+)([wdhms])")
_UNITS: Final = (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_SECONDS: Final = dict(_UNITS)


def parse_interval(text: str) -> int | None:
    """Return the seconds of an Exim time interval such as 2d4h5m, or None."""
    if not _INTERVAL.fullmatch(text):
        return None
    return sum(int(n[:12]) * _SECONDS[unit] for n, unit in _PIECE.findall(text))


def format_interval(seconds: int) -> str:
    """Return seconds as an Exim time interval, 1w3d4h2m6s."""
    if seconds < 0:
        return f"-{format_interval(-seconds)}"
    out = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            out.append(f"{count}{unit}")
    return "".join(out) or "0s"


def time_eval(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${time_eval:2d4h}: seconds."""
    seconds = parse_interval(text)
    if seconds is None:
        raise ExpansionError(f'string "{text}" is not an Exim time interval in "time_eval" operator')
    return str(seconds)


def time_interval(scope: Scope, text: str, argument: str | None, name: str) -> str:
    """${time_interval:seconds}: as 1w3d4h2m6s."""
    if text and not is_digits(text):
        raise ExpansionError(f'string "{text}" is not a positive number in "time_interval" operator')
    return format_interval(int(text[:18] or "0"))
