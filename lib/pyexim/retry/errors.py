"""Numbers for the errors that retry rules can tell apart.

System errors are positive; those of our own are negative, with the numbers that Exim prints in
parentheses after "defer" in its log.  ``more_errno`` says more: for host errors its low octet is "M" or
"A" (the host came from an MX record or not), for 4xx replies the next octet is their last two digits,
CONNECT_TIMEOUT marks a timeout of the connection itself, and for a quota error it is the number of
seconds since the mailbox was last read.
"""

from __future__ import annotations

import errno
from typing import Final

ERRNO_MISC: Final = -1
ERRNO_SMTPCLOSED: Final = -18
ERRNO_EXIMQUOTA: Final = -22
ERRNO_HELD: Final = -23
ERRNO_UIDFAIL: Final = -28
ERRNO_BADUGID: Final = -29
ERRNO_BADTRANSPORT: Final = -30
ERRNO_UNKNOWNHOST: Final = -32
ERRNO_DNSDEFER: Final = -33
ERRNO_TLSFAILURE: Final = -37
ERRNO_TLSREQUIRED: Final = -38
ERRNO_EXPANDFAIL: Final = -27
ERRNO_AUTHFAIL: Final = -42
ERRNO_RCPT4XX: Final = -44
ERRNO_AUTHPROB: Final = -48
ERRNO_MAIL4XX: Final = -45
ERRNO_DATA4XX: Final = -46
ERRNO_RRETRY: Final = -52
ERRNO_LRETRY: Final = -53
ERRNO_HRETRY: Final = -54
ERRNO_LOCAL_ONLY: Final = -55
ERRNO_QUEUE_DOMAIN: Final = -56
ERRNO_TRETRY: Final = -57

FROM_MX: Final = ord("M")
NOT_FROM_MX: Final = ord("A")
CONNECT_TIMEOUT: Final = 0x100

REFUSED: Final = errno.ECONNREFUSED
TIMEOUT: Final = errno.ETIMEDOUT
QUOTAS: Final = frozenset({ERRNO_EXIMQUOTA, errno.ENOSPC, getattr(errno, "EDQUOT", 122)})


def host_detail(from_mx: bool, code: int = 0, *, connecting: bool = False) -> int:
    """Return ``more_errno`` for a host error: a reply's code, or whether the time-out was while connecting."""
    detail = FROM_MX if from_mx else NOT_FROM_MX
    if 400 <= code < 500:
        return detail | (code - 400) << 8
    return detail | CONNECT_TIMEOUT if connecting else detail
