"""The options of the smtp transport.  Spec: chapter "The smtp transport"."""

from __future__ import annotations

from pyexim.config.option import BOOL, DOMAIN_LIST, HOST_LIST, INT, STRING, STRING_LIST, TIME, option, options
from pyexim.transports.options import TransportOptions


@options
class SmtpOptions(TransportOptions):
    """The options of its section."""

    address_retry_include_sender: bool = option(BOOL, True, spec="30.4",
        doc="A recipient refused for now is delayed for this sender only.")
    allow_localhost: bool = option(BOOL, False, spec="30.4",
        doc="Deliver to hosts of the list hosts that are this one.")
    authenticated_sender: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="What AUTH= of MAIL says.")
    authenticated_sender_force: bool = option(BOOL, False, spec="30.4",
        doc="Say AUTH= without having authenticated.")
    command_timeout: int = option(TIME, 300, spec="30.4",
        doc="How long to wait for the answer to a command.")
    connect_timeout: int = option(TIME, 300, spec="30.4",
        doc="How long connecting may take; 0 for the system's limit.")
    connection_max_messages: int = option(INT, 500, spec="30.4",
        doc="How many messages go down one connection; 0 for no limit.")
    dane_require_tls_ciphers: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Ciphers for connections with DANE.",
        no_effect="DANE is not there yet")
    data_timeout: int = option(TIME, 300, spec="30.4",
        doc="How long sending a block of the message may take.")
    delay_after_cutoff: bool = option(BOOL, True, spec="30.4",
        doc="Past the last retry time, hosts are not tried until their next time.")
    dkim_canon: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Canonicalization of DKIM.",
        no_effect="DKIM signing is not there yet")
    dkim_domain: str | None = option(STRING_LIST, None, expanded=True, spec="30.4",
        doc="Domains to sign for.",
        no_effect="DKIM signing is not there yet")
    dkim_hash: str | None = option(STRING, "sha256", expanded=True, spec="30.4",
        doc="Hash of DKIM.",
        no_effect="DKIM signing is not there yet")
    dkim_identity: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Identity in DKIM signatures.",
        no_effect="DKIM signing is not there yet")
    dkim_private_key: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Key of DKIM.",
        no_effect="DKIM signing is not there yet")
    dkim_selector: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Selector of DKIM.",
        no_effect="DKIM signing is not there yet")
    dkim_sign_headers: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Header lines that DKIM signs.",
        no_effect="DKIM signing is not there yet")
    dkim_strict: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Defer when a message cannot be signed; as signing is not there yet, a true value defers all.")
    dkim_timestamps: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Timestamps in DKIM signatures.",
        no_effect="DKIM signing is not there yet")
    dns_qualify_single: bool = option(BOOL, True, spec="30.4",
        doc="Complete host names without a dot when looking up hosts.")
    dns_search_parents: bool = option(BOOL, False, spec="30.4",
        doc="Look for host names in parent domains.")
    dnssec_request_domains: str | None = option(DOMAIN_LIST, "*", expanded=True, spec="30.4",
        doc="Domains for which hosts are looked up with DNSSEC.",
        no_effect="the option hosts is looked up without DNSSEC so far")
    dnssec_require_domains: str | None = option(DOMAIN_LIST, None, expanded=True, spec="30.4",
        doc="Domains for which hosts must be secured by DNSSEC.",
        no_effect="the option hosts is looked up without DNSSEC so far")
    dscp: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Mark of outgoing packets.")
    fallback_hosts: str | None = option(STRING_LIST, None, expanded=True, spec="30.4",
        doc="Hosts to try when delivery to the others is deferred.")
    final_timeout: int = option(TIME, 600, spec="30.4",
        doc="How long to wait for the answer to the end of the message.")
    gethostbyname: bool = option(BOOL, False, spec="30.4",
        doc="Look hosts up with the system's means instead of the DNS.")
    gnutls_compat_mode: bool = option(BOOL, False, spec="30.4",
        doc="Compatibility of GnuTLS.",
        no_effect="this program uses OpenSSL, not GnuTLS")
    helo_data: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Name by which we introduce ourselves.")
    host_name_extract: str | None = option(STRING_LIST, None, expanded=True, spec="30.4",
        doc="How the answer to EHLO names one of many servers.",
        no_effect="TLS sessions are not resumed yet on the client's side")
    hosts: str | None = option(STRING_LIST, None, expanded=True, spec="30.4",
        doc="Hosts to deliver to, when the router gives none.")
    hosts_avoid_esmtp: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts to which we say HELO.")
    hosts_avoid_pipelining: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts whose offer of PIPELINING is not taken.")
    hosts_avoid_tls: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts with which TLS is not tried.")
    hosts_max_try: int = option(INT, 5, spec="30.4",
        doc="How many addresses of hosts are tried for one delivery.")
    hosts_max_try_hardlimit: int = option(INT, 50, spec="30.4",
        doc="How many addresses of hosts are tried at the very most.")
    hosts_nopass_tls: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts whose TLS connections are used for one message only.")
    hosts_noproxy_tls: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts whose TLS connections are not relayed to other processes.",
        no_effect="TLS connections are never passed to other processes")
    hosts_override: bool = option(BOOL, False, spec="30.4",
        doc="Use hosts even if the router gives some.")
    hosts_pipe_connect: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts to which we speak before the greeting.",
        no_effect="the extension is not there yet")
    hosts_randomize: bool | str = option(BOOL, False, expanded=True, spec="30.4",
        doc="Try hosts in random order.")
    hosts_request_ocsp: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts asked for a stapled certificate status.",
        no_effect="OCSP is not there yet on the client's side")
    hosts_require_alpn: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts that must agree on ALPN; as that is not there yet, delivery to them is deferred.")
    hosts_require_auth: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts with which we must authenticate.")
    hosts_require_dane: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts that need DANE; as that is not there yet, delivery to them is deferred.")
    hosts_require_ocsp: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts that must send a certificate status; as that is not there yet, delivery to them is deferred.")
    hosts_require_tls: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts with which TLS is required.")
    hosts_try_auth: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts with which we try to authenticate.")
    hosts_try_chunking: str | None = option(HOST_LIST, "*", expanded=True, spec="30.4",
        doc="Hosts whose offer of CHUNKING is taken.")
    hosts_try_dane: str | None = option(HOST_LIST, "*", expanded=True, spec="30.4",
        doc="Hosts for which DANE is tried.",
        no_effect="DANE is not there yet")
    hosts_try_fastopen: str | None = option(HOST_LIST, "*", expanded=True, spec="30.4",
        doc="Hosts for which TCP Fast Open is tried.",
        no_effect="the server speaks first in SMTP, so that nothing is gained but on rare systems")
    hosts_try_prdr: str | None = option(HOST_LIST, "*", expanded=True, spec="30.4",
        doc="Hosts whose offer of PRDR is taken.")
    hosts_verify_avoid_tls: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts with which callouts do not try TLS.")
    interface: str | None = option(STRING_LIST, None, expanded=True, spec="30.4",
        doc="Local address from which to connect.")
    keepalive: bool = option(BOOL, True, spec="30.4",
        doc="Let the system probe idle connections.")
    lmtp_ignore_quota: bool = option(BOOL, False, spec="30.4",
        doc="Ask an LMTP server to ignore quotas.")
    max_rcpt: int | str = option(INT, 100, expanded=True, spec="30.4",
        doc="How many recipients go into one transaction; 0 for no limit.")
    message_linelength_limit: int = option(INT, 998, spec="30.4",
        doc="Longest line that is sent; messages with longer ones are bounced.")
    multi_domain: bool | str = option(BOOL, True, expanded=True, spec="30.4",
        doc="Whether recipients of several domains go together.")
    port: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Port to connect to; 25, or by protocol.")
    protocol: str | None = option(STRING, None, spec="30.4",
        doc="smtp, lmtp or smtps.")
    retry_include_ip_address: bool | str = option(BOOL, True, expanded=True, spec="30.4",
        doc="Whether retry data belong to each address of a host.")
    serialize_hosts: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts with at most one connection at a time.")
    size_addition: int = option(INT, 1024, spec="30.4",
        doc="What is added to the size in SIZE=; negative: SIZE is not said.")
    socks_proxy: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Proxies for connections; as they are not there yet, a setting defers.")
    tls_alpn: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Protocol names offered in TLS.")
    tls_certificate: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Certificate of the client.")
    tls_crl: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Revoked certificates.")
    tls_dh_min_bits: int = option(INT, 1024, spec="30.4",
        doc="Smallest Diffie-Hellman prime.",
        no_effect="the library's own limit holds, which is higher")
    tls_privatekey: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Key of the client's certificate.")
    tls_require_ciphers: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Ciphers that are allowed.")
    tls_resumption_hosts: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts with which TLS sessions are resumed.",
        no_effect="TLS sessions are not resumed yet on the client's side")
    tls_sni: str | None = option(STRING, None, expanded=True, spec="30.4",
        doc="Server name sent in TLS.")
    tls_tempfail_tryclear: bool = option(BOOL, True, spec="30.4",
        doc="Deliver in clear when TLS fails for now.")
    tls_try_verify_hosts: str | None = option(HOST_LIST, "*", expanded=True, spec="30.4",
        doc="Hosts whose certificate is checked without consequences.")
    tls_verify_cert_hostnames: str | None = option(HOST_LIST, "*", expanded=True, spec="30.4",
        doc="Hosts whose name must be in the certificate.")
    tls_verify_certificates: str | None = option(STRING, "system", expanded=True, spec="30.4",
        doc="Certificates that are trusted.")
    tls_verify_hosts: str | None = option(HOST_LIST, None, expanded=True, spec="30.4",
        doc="Hosts whose certificate must be valid.")
    utf8_downconvert: int | str = option(INT, -1, expanded=True, spec="30.4",
        doc="Conversion of addresses to ASCII: 1 always, 0 never, -1 where the host does not offer SMTPUTF8.")
