"""The entrance to TLS.

The library (pyOpenSSL) is loaded on first use; ``missing`` tells without loading it whether it is there.

A **server** makes a ``Context`` of ``ServerSettings`` (``server_context``; keep it: ``Contexts``), and of that an
``Engine`` for each connection (``accept``), which does no I/O (tls/engine.py).

A **client** does this with the ``net.channel.Channel`` on which it has just read the positive answer to STARTTLS
(or has connected, for smtps):

    context = api.client_context(ClientSettings(...))           # expanded values; may be kept for other connections
    engine = api.connect(context, sni=..., verify="try", hosts=("mx.example",))
    channel = api.encrypted(plain_channel, engine)
    channel.handshake(deadline)                                 # TlsFailure, TimeoutError, OSError
    facts = engine.facts()                                      # a TlsFacts: $tls_out_..., X=, CV=, DN=
    for line in engine.verify_errors: log it

and goes on with ``channel`` in place of the plain one.  ``verify`` is "must" for tls_verify_hosts, "try" for
tls_try_verify_hosts, else "none"; ``hosts`` are the names that a certificate must bear for
tls_verify_cert_hostnames.  ``TlsFailure`` whose ``configuration`` is set is our own fault.  ``engine.peer_chain()`` is
what DANE checks, ``engine.ocsp_response`` what the server has stapled (not checked here), ``engine.save_session()``
and ``session=`` serve tls_resumption_hosts.  ``channel.stop_tls()`` gives the plain channel back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pyexim.config.openssl import parse_options
from pyexim.tls.settings import DEFAULT_OPTIONS, ClientSettings, ServerSettings, TlsFailure

if TYPE_CHECKING:
    from pyexim.net.channel import Channel
    from pyexim.tls.channel import TlsChannel
    from pyexim.tls.context import Context
    from pyexim.tls.engine import Engine

__all__ = ["DEFAULT_OPTIONS", "ClientSettings", "Contexts", "ServerSettings", "TlsFailure", "accept", "client_context",
           "connect", "encrypted", "missing", "parse_options", "server_context"]

_LIBRARY: Final = "OpenSSL"


def missing() -> str:
    """Return why there is no TLS on this machine, "" where there is."""
    import sys

    if _LIBRARY in sys.modules:
        return ""
    from importlib.util import find_spec

    return "" if find_spec(_LIBRARY) is not None else "the library pyOpenSSL is not installed"


def _need() -> None:
    text = missing()
    if text:
        raise TlsFailure(f"(TLS is not there): {text}", configuration=True)


def server_context(settings: ServerSettings) -> Context:
    """Make a context for the server's side; raises TlsFailure where that cannot be done."""
    _need()
    from pyexim.tls import context

    return context.server_context(settings)


def client_context(settings: ClientSettings) -> Context:
    """Make a context for the client's side; raises TlsFailure where that cannot be done."""
    _need()
    from pyexim.tls import context

    return context.client_context(settings)


def accept(context: Context, *, verify: str = "none",
           on_sni: Callable[[str], Context | None] | None = None, must_name_protocol: bool = False) -> Engine:
    """Return the server's side of a new connection; see ``Engine``."""
    from pyexim.tls.engine import Engine

    return Engine(context, server=True, verify=verify, on_sni=on_sni, must_name_protocol=must_name_protocol)


def connect(context: Context, *, sni: str = "", verify: str = "none", hosts: tuple[str, ...] = (),
            session: bytes | None = None, ask_ocsp: bool = False) -> Engine:
    """Return the client's side of a new connection; see ``Engine``."""
    from pyexim.tls.engine import Engine

    return Engine(context, server=False, sni=sni, verify=verify, hosts=hosts, session=session, ask_ocsp=ask_ocsp)


def encrypted(channel: Channel, engine: Engine) -> TlsChannel:
    """Return the channel to go on with; its ``handshake`` is still to be made."""
    from pyexim.tls.channel import TlsChannel

    return TlsChannel(channel, engine)


class Contexts:
    """Server's contexts by their settings, for as long as the files that they were made of stay as they are."""

    __slots__ = ("_known",)
    MOST: Final = 32
    """Contexts that are kept; settings may depend on the client."""

    def __init__(self) -> None:
        self._known: dict[ServerSettings, tuple[tuple[object, ...], Context]] = {}

    def get(self, settings: ServerSettings) -> Context:
        """Return a context, made anew where there is none or a file has changed; raises TlsFailure."""
        stamps = _stamps(settings)
        known = self._known.get(settings)
        if known is not None and known[0] == stamps:
            return known[1]
        made = server_context(settings)
        if len(self._known) >= self.MOST:
            del self._known[next(iter(self._known))]
        self._known[settings] = (stamps, made)
        return made


def _stamps(settings: ServerSettings) -> tuple[object, ...]:
    """Return what tells that files have changed; an OCSP proof also ages."""
    import os
    import time

    out: list[object] = [int(time.monotonic() // 3600)] if settings.ocsp else []
    for item in (*settings.certificates, *settings.privatekeys, settings.verify_certificates, settings.crl,
                 settings.dhparam, *settings.ocsp):
        path = item[4:] if item[:4] in ("DER ", "PEM ") else item
        if path.startswith("/"):
            try:
                found = os.stat(path.encode("latin-1"))
                out.append((found.st_mtime_ns, found.st_size, found.st_ino))
            except OSError as e:
                out.append(e.errno)
    return tuple(out)
