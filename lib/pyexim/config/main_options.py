"""The options of the main section.  Spec: chapter "Main configuration"."""

from __future__ import annotations

from pyexim.config.option import (
    ADDRESS_LIST,
    BOOL,
    DOMAIN_LIST,
    FIXED,
    HOST_LIST,
    INT,
    INT_LIST,
    STRING,
    STRING_LIST,
    TIME,
    TIME_LIST,
    option,
    options,
)


@options
class MainOptions:
    """The options of the main section."""

    SPEC = "14.23"


    accept_8bitmime: bool = option(BOOL, True,
        doc="Offer 8BITMIME to SMTP clients; eight-bit bodies are passed on as they are in any case.")
    acl_not_smtp: str | None = option(STRING, None, expanded=True,
        doc="The ACL for messages that do not come by SMTP, run when the message is complete.")
    acl_not_smtp_mime: str | None = option(STRING, None, expanded=True,
        doc="The ACL for each MIME part of a message that does not come by SMTP.",
        no_effect="content scanning is not there yet")
    acl_not_smtp_start: str | None = option(STRING, None, expanded=True,
        doc="The ACL run before a message that does not come by SMTP is read.")
    acl_smtp_atrn: str | None = option(STRING, None, expanded=True,
        doc="The ACL for the ATRN command.",
        no_effect="the extension is not there yet")
    acl_smtp_auth: str | None = option(STRING, None, expanded=True,
        doc="The ACL for the AUTH command.")
    acl_smtp_connect: str | None = option(STRING, None, expanded=True,
        doc="The ACL run when a client has connected.")
    acl_smtp_data: str | None = option(STRING, None, expanded=True,
        doc="The ACL run after the text of a message has come.")
    acl_smtp_data_prdr: str | None = option(STRING, "accept", expanded=True,
        doc="The ACL run for each recipient after the text, when PRDR is in use.")
    acl_smtp_dkim: str | None = option(STRING, None, expanded=True,
        doc="The ACL run for each DKIM signer of a message.",
        no_effect="DKIM is not there yet")
    acl_smtp_etrn: str | None = option(STRING, None, expanded=True,
        doc="The ACL for the ETRN command.")
    acl_smtp_expn: str | None = option(STRING, None, expanded=True,
        doc="The ACL for the EXPN command.")
    acl_smtp_helo: str | None = option(STRING, None, expanded=True,
        doc="The ACL for HELO and EHLO.")
    acl_smtp_mail: str | None = option(STRING, None, expanded=True,
        doc="The ACL for the MAIL command.")
    acl_smtp_mailauth: str | None = option(STRING, None, expanded=True,
        doc="The ACL that decides on the AUTH parameter of MAIL.")
    acl_smtp_mime: str | None = option(STRING, None, expanded=True,
        doc="The ACL for each MIME part of a message that comes by SMTP.",
        no_effect="content scanning is not there yet")
    acl_smtp_notquit: str | None = option(STRING, None, expanded=True,
        doc="The ACL run when a session ends without QUIT.")
    acl_smtp_predata: str | None = option(STRING, None, expanded=True,
        doc="The ACL run when DATA has been received, before the text is asked for.")
    acl_smtp_quit: str | None = option(STRING, None, expanded=True,
        doc="The ACL for the QUIT command.")
    acl_smtp_rcpt: str | None = option(STRING, None, expanded=True,
        doc="The ACL for each RCPT command.")
    acl_smtp_starttls: str | None = option(STRING, None, expanded=True,
        doc="The ACL for STARTTLS.")
    acl_smtp_vrfy: str | None = option(STRING, None, expanded=True,
        doc="The ACL for the VRFY command.")
    acl_smtp_wellknown: str | None = option(STRING, None, expanded=True,
        doc="The ACL for the WELLKNOWN command.",
        no_effect="the extension is not there yet")
    add_environment: str | None = option(STRING_LIST, None,
        doc="Variables to put into the environment after it has been cleaned.")
    admin_groups: str | None = option(STRING_LIST, None, expanded=True, style="gids",
        doc="Groups whose members are admin users.")
    allow_domain_literals: bool = option(BOOL, False,
        doc="Take addresses such as user@[192.168.1.1] for valid ones.")
    allow_mx_to_ip: bool = option(BOOL, False,
        doc="Take an IP address in an MX record as a host, against the standard.")
    allow_utf8_domains: bool = option(BOOL, False,
        doc="Let domain names contain UTF-8 in DNS lookups.")
    auth_advertise_hosts: str | None = option(HOST_LIST, "*", expanded=True,
        doc="Clients that are offered AUTH.")
    auto_thaw: int = option(TIME, 0,
        doc="Age after which a frozen message gets another delivery attempt; 0 for never.")
    av_scanner: str | None = option(STRING, "sophie:/var/run/sophie",
        doc="The virus scanner that the malware condition asks, and how it is reached.",
        no_effect="content scanning is not there yet")
    bi_command: str | None = option(STRING, None,
        doc="The command that -bi runs.")
    bounce_message_file: str | None = option(STRING, None, expanded=True,
        doc="A template for the text of bounce messages.")
    bounce_message_text: str | None = option(STRING, None,
        doc="Text to insert into bounce messages.")
    bounce_return_body: bool = option(BOOL, True,
        doc="Return the body of a message in its bounce.")
    bounce_return_linesize_limit: int = option(INT, 998, style="K",
        doc="Longest line that is returned in a bounce; a message with longer ones comes back without body.")
    bounce_return_message: bool = option(BOOL, True,
        doc="Return the message in its bounce.")
    bounce_return_size_limit: int = option(INT, 102400, style="K",
        doc="Size above which a returned message is cut off.")
    bounce_sender_authentication: str | None = option(STRING, None,
        doc="The authenticated sender to claim when a bounce is sent.")
    callout_domain_negative_expire: int = option(TIME, 10800,
        doc="How long a host that refused a whole domain's callouts is remembered.")
    callout_domain_positive_expire: int = option(TIME, 604800,
        doc="How long a domain that accepts callouts is remembered.")
    callout_negative_expire: int = option(TIME, 7200,
        doc="How long an address that a callout found bad is remembered.")
    callout_positive_expire: int = option(TIME, 86400,
        doc="How long an address that a callout found good is remembered.")
    callout_random_local_part: str | None = option(STRING, "$primary_hostname-$tod_epoch-testing", expanded=True,
        doc="The local part with which a callout finds out whether a domain accepts anything.")
    check_log_inodes: int = option(INT, 100,
        doc="Free inodes needed where the logs are before a message is accepted.")
    check_log_space: int = option(INT, 10485760, style="kib",
        doc="Free space needed where the logs are before a message is accepted.")
    check_rfc2047_length: bool = option(BOOL, True,
        doc="Refuse to decode encoded words longer than the standard allows.")
    check_spool_inodes: int = option(INT, 100,
        doc="Free inodes needed on the spool before a message is accepted.")
    check_spool_space: int = option(INT, 10485760, style="kib",
        doc="Free space needed on the spool before a message is accepted.")
    chunking_advertise_hosts: str | None = option(HOST_LIST, "*", expanded=True,
        doc="Clients that are offered CHUNKING.")
    commandline_checks_require_admin: bool = option(BOOL, False,
        doc="Restrict -be, -bh, -bt and similar tests to admin users.")
    daemon_modules_load: str | None = option(STRING_LIST, None,
        doc="Modules that the daemon loads when it starts.",
        no_effect="modules are not loaded apart")
    daemon_smtp_port: str | None = option(STRING, None, style="hidden",
        doc="Older name of daemon_smtp_ports.")
    daemon_smtp_ports: str | None = option(STRING, "smtp",
        doc="The ports that the daemon listens on.")
    daemon_startup_retries: int = option(INT, 9,
        doc="How often the daemon tries again to bind a port in use.")
    daemon_startup_sleep: int = option(TIME, 30,
        doc="Pause between these tries.")
    debug_store: bool = option(BOOL, False,
        doc="Check the memory management while debugging.",
        no_effect="there is no memory management to check")
    delay_warning: str | None = option(TIME_LIST, "24h",
        doc="Ages of a message at which its sender is told about the delay.")
    delay_warning_condition: str | None = option(STRING, (
        "${if or {{ !eq{$h_list-id:$h_list-post:$h_list-subscribe:}{} }"
        "{ match{$h_precedence:}{(?i)bulk|list|junk} }"
        "{ match{$h_auto-submitted:}{(?i)auto-generated|auto-replied} }} {no}{yes}}"), expanded=True,
        doc="Decides whether the sender is told.")
    deliver_drop_privilege: bool = option(BOOL, False,
        doc="Deliver as the exim user throughout, without root.")
    deliver_queue_load_max: int | None = option(FIXED, None,
        doc="Load above which queue runs deliver nothing.")
    delivery_date_remove: bool = option(BOOL, True,
        doc="Remove Delivery-date: lines from incoming messages.")
    disable_fsync: bool = option(BOOL, False,
        doc="Do not wait for files to be on disk; mail can be lost.")
    disable_ipv6: bool = option(BOOL, False,
        doc="Use no IPv6 at all.")
    dkim_verify_hashes: str | None = option(STRING_LIST, "sha256:sha512",
        doc="Hash methods accepted in DKIM signatures.",
        no_effect="DKIM is not there yet")
    dkim_verify_keytypes: str | None = option(STRING_LIST, "ed25519:rsa",
        doc="Key types accepted in DKIM signatures.",
        no_effect="DKIM is not there yet")
    dkim_verify_min_keysizes: str | None = option(STRING_LIST, "rsa=1024 ed25519=250",
        doc="Smallest key per key type for DKIM signatures.",
        no_effect="DKIM is not there yet")
    dkim_verify_minimal: bool = option(BOOL, False,
        doc="Stop at the first good DKIM signature.",
        no_effect="DKIM is not there yet")
    dkim_verify_signers: str | None = option(DOMAIN_LIST, "$dkim_signers", expanded=True,
        doc="The signers for which the DKIM ACL is run.",
        no_effect="DKIM is not there yet")
    dns_again_means_nonexist: str | None = option(DOMAIN_LIST, None, expanded=True,
        doc="Domains whose temporary DNS failures count as non-existence.")
    dns_check_names_pattern: str | None = option(STRING, r"(?i)^(?>(?(1)\.|())[^\W](?>[a-z0-9/_-]*[^\W])?)+(\.?)$",
        doc="What a domain name must look like before the DNS is asked.")
    dns_cname_loops: int = option(INT, 1,
        doc="How many CNAME records are followed.")
    dns_csa_search_limit: int = option(INT, 5,
        doc="How many parent domains are searched for a CSA record.")
    dns_csa_use_reverse: bool = option(BOOL, True,
        doc="Look for CSA records of an address in the reverse DNS.")
    dns_dnssec_ok: int = option(INT, -1,
        doc="Ask resolvers for DNSSEC data: 0 never, 1 always, -1 as the system has it.")
    dns_ipv4_lookup: str | None = option(DOMAIN_LIST, None, expanded=True,
        doc="Domains for which no AAAA records are looked up.")
    dns_retrans: int = option(TIME, 0,
        doc="Time before an unanswered DNS query is sent again; 0 for the resolver's own.")
    dns_retry: int = option(INT, 0,
        doc="How often a DNS query is sent; 0 for the resolver's own.")
    dns_trust_aa: str | None = option(DOMAIN_LIST, None, expanded=True,
        doc="Domains whose authoritative answers count as secured by DNSSEC.")
    dns_use_edns0: int = option(INT, -1,
        doc="Use EDNS0: 0 never, 1 always, -1 as the system has it.")
    drop_cr: bool = option(BOOL, False,
        doc="Without effect, kept for old configurations.",
        no_effect="it has none in Exim either")
    dsn_advertise_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients that are offered DSN.")
    dsn_from: str | None = option(STRING, "Mail Delivery System <Mailer-Daemon@$qualify_domain>", expanded=True,
        doc="The From: line of bounces and warnings.")
    envelope_to_remove: bool = option(BOOL, True,
        doc="Remove Envelope-to: lines from incoming messages.")
    errors_copy: str | None = option(STRING_LIST, None, expanded=True,
        doc="Who gets copies of the bounces for certain addresses.")
    errors_reply_to: str | None = option(STRING, None,
        doc="The Reply-To: line of bounces and warnings.")
    event_action: str | None = option(STRING, None, expanded=True,
        doc="Expanded at every event.")
    exim_group: str | None = option(STRING, None, style="gid",
        doc="The group under which the program runs when it is not root.")
    exim_path: str | None = option(STRING, None,
        doc="The program to execute when it executes itself.")
    exim_user: str | None = option(STRING, None, style="uid",
        doc="The user under which the program runs when it is not root.")
    exim_version: str | None = option(STRING, None,
        doc="The version number that is shown.")
    extra_local_interfaces: str | None = option(STRING_LIST, None,
        doc="Addresses that count as local although the daemon does not listen there.")
    extract_addresses_remove_arguments: bool = option(BOOL, True,
        doc="With -t, take addresses on the command line off the recipients.")
    finduser_retries: int = option(INT, 0,
        doc="How often a failing look-up of a user is repeated.",
        no_effect="a look-up of a user that fails is not repeated")
    freeze_tell: str | None = option(STRING_LIST, None,
        doc="Who is told when a message is frozen.")
    gecos_name: str | None = option(STRING, None, expanded=True,
        doc="The sender's real name made of what gecos_pattern matched.")
    gecos_pattern: str | None = option(STRING, None,
        doc="Takes the real name out of the password file's gecos field.")
    gnutls_allow_auto_pkcs11: bool = option(BOOL, False,
        doc="Let GnuTLS load PKCS11 modules.",
        no_effect="this program uses OpenSSL, not GnuTLS")
    gnutls_compat_mode: bool = option(BOOL, False,
        doc="Make GnuTLS tolerate old peers.",
        no_effect="this program uses OpenSSL, not GnuTLS")
    header_line_maxsize: int = option(INT, 0,
        doc="Longest header field that is accepted; 0 for no limit.")
    header_maxsize: int = option(INT, 1048576,
        doc="Longest header section that is accepted.")
    headers_charset: str | None = option(STRING, "UTF-8",
        doc="The character set into which header fields are decoded.")
    helo_accept_junk_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients whose HELO may contain anything.")
    helo_allow_chars: str | None = option(STRING, None,
        doc="More characters that HELO names may contain.")
    helo_lookup_domains: str | None = option(DOMAIN_LIST, "@ : @[]", expanded=True,
        doc="HELO names that make the client's host name be looked up.")
    helo_try_verify_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients whose HELO name is verified without consequence.")
    helo_verify_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients whose HELO name must verify.")
    hold_domains: str | None = option(DOMAIN_LIST, None, expanded=True,
        doc="Domains to which nothing is delivered now.")
    host_lookup: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients whose host name is looked up.")
    host_lookup_order: str | None = option(STRING_LIST, "bydns:byaddr",
        doc="Where host names are looked up, in order.")
    host_reject_connection: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients that are turned away at once.")
    hosts_connection_nolog: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients whose connections are not logged.")
    hosts_proxy: str | None = option(HOST_LIST, None, expanded=True,
        doc="Proxies in front of the daemon that speak the PROXY protocol.")
    hosts_require_alpn: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients that must offer an ALPN name that is accepted.")
    hosts_require_helo: str | None = option(HOST_LIST, "*", expanded=True,
        doc="Clients that must say HELO or EHLO before MAIL.")
    hosts_treat_as_local: str | None = option(DOMAIN_LIST, None, expanded=True,
        doc="Hosts that count as the local one when routing.")
    ignore_bounce_errors_after: int = option(TIME, 6048000,
        doc="Age after which a bounce that cannot be delivered is thrown away.")
    ignore_fromline_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients whose messages may begin with a \"From \" line.")
    ignore_fromline_local: bool = option(BOOL, False,
        doc="Local messages over -bs may begin with a \"From \" line.")
    keep_environment: str | None = option(STRING_LIST, None,
        doc="Variables of the environment that are kept.")
    keep_malformed: int = option(TIME, 345600,
        doc="How long a message with a broken header file is kept.")
    ldap_ca_cert_dir: str | None = option(STRING, None,
        doc="Directory of certificates for TLS to LDAP servers.")
    ldap_ca_cert_file: str | None = option(STRING, None,
        doc="File of certificates for TLS to LDAP servers.")
    ldap_cert_file: str | None = option(STRING, None,
        doc="Client certificate for LDAP servers.")
    ldap_cert_key: str | None = option(STRING, None,
        doc="Key of that certificate.")
    ldap_cipher_suite: str | None = option(STRING, None,
        doc="Cipher suites for TLS to LDAP servers.")
    ldap_default_servers: str | None = option(STRING_LIST, None,
        doc="LDAP servers for queries that name none.")
    ldap_require_cert: str | None = option(STRING, None,
        doc="What is demanded of an LDAP server's certificate.")
    ldap_start_tls: bool = option(BOOL, False,
        doc="Use STARTTLS with LDAP servers.")
    ldap_version: int = option(INT, -1,
        doc="LDAP protocol version; -1 for the best.")
    limits_advertise_hosts: str | None = option(HOST_LIST, "*", expanded=True,
        doc="Clients that are told LIMITS.")
    local_from_check: bool = option(BOOL, True,
        doc="Check From: of local messages and add Sender: where it is another's.")
    local_from_prefix: str | None = option(STRING, None,
        doc="Prefixes of local parts that the check of From: ignores.")
    local_from_suffix: str | None = option(STRING, None,
        doc="Suffixes of local parts that the check of From: ignores.")
    local_interfaces: str | None = option(STRING_LIST, None,
        doc="The addresses that the daemon listens on.")
    local_scan_path: str | None = option(STRING, None,
        doc="The local scan function to load.",
        no_effect="there is no local scan function")
    local_scan_timeout: int = option(TIME, 300,
        doc="How long the local scan function may take.",
        no_effect="there is no local scan function")
    local_sender_retain: bool = option(BOOL, False,
        doc="Keep Sender: lines of local messages.")
    localhost_number: str | None = option(STRING, None, expanded=True,
        doc="Number of this host among several that share a queue; goes into message ids.")
    log_file_path: str | None = option(STRING_LIST, None, expanded=True,
        doc="Where the logs are, and whether syslog is used.")
    log_ports: str | None = option(INT_LIST, "*",
        doc="Ports whose numbers are logged.",
        no_effect="port numbers are logged as log_selector says")
    log_selector: str | None = option(STRING, None,
        doc="What is logged beyond or below the defaults.")
    log_timezone: bool = option(BOOL, False,
        doc="Put the time zone into log lines.")
    lookup_open_max: int = option(INT, 25,
        doc="How many files of single-key lookups are kept open.")
    max_username_length: int = option(INT, 0,
        doc="Length to which user names are cut; 0 for no limit.",
        no_effect="user names are not cut")
    message_body_newlines: bool = option(BOOL, False,
        doc="Keep newlines in $message_body.")
    message_body_visible: int = option(INT, 500, style="K",
        doc="How much of the body $message_body shows.")
    message_id_header_domain: str | None = option(STRING, None, expanded=True,
        doc="The domain in message ids that are added.")
    message_id_header_text: str | None = option(STRING, None, expanded=True,
        doc="Text in message ids that are added.")
    message_id_short: bool = option(BOOL, False, spec="extension",
        doc="Write message ids of the form before 4.97, which an older Exim can read.")
    message_logs: bool = option(BOOL, True,
        doc="Keep a log per message while it is in the queue.")
    message_size_limit: str | None = option(STRING, "50M", expanded=True,
        doc="Largest message that is accepted; 0 for no limit.")
    move_frozen_messages: bool = option(BOOL, False,
        doc="Move frozen messages out of the queue's directories.")
    mua_wrapper: bool = option(BOOL, False,
        doc="Work as a client that delivers at once or fails.")
    mysql_servers: str | None = option(STRING_LIST, None,
        doc="Servers for MySQL lookups.")
    never_users: str | None = option(STRING_LIST, None, expanded=True, style="uids",
        doc="Users under which no delivery is ever run.")
    notifier_socket: str | None = option(STRING, "$spool_directory/exim_daemon_notify",
        doc="The socket on which the daemon takes notices.",
        no_effect="the daemon has no such socket; its command socket is elsewhere")
    openssl_options: str | None = option(STRING_LIST, "+no_sslv2 +no_sslv3 +single_dh_use +no_ticket +no_renegotiation",
        doc="Options of OpenSSL to set or clear.")
    oracle_servers: str | None = option(STRING_LIST, None,
        doc="Servers for Oracle lookups.",
        no_effect="lookups in this database are not there yet")
    panic_coredump: bool = option(BOOL, False,
        doc="Leave a core dump after a panic.",
        no_effect="a failure leaves a traceback in the panic log instead")
    percent_hack_domains: str | None = option(DOMAIN_LIST, None, expanded=True,
        doc="Domains for which % in a local part is routed like an @.")
    perl_at_start: bool = option(BOOL, False,
        doc="Start the Perl interpreter at once.",
        no_effect="there is no embedded Perl")
    perl_startup: str | None = option(STRING, None,
        doc="Perl code to run first.",
        no_effect="there is no embedded Perl")
    perl_taintmode: bool = option(BOOL, False,
        doc="Run Perl in taint mode.",
        no_effect="there is no embedded Perl")
    pgsql_servers: str | None = option(STRING_LIST, None,
        doc="Servers for PostgreSQL lookups.")
    pid_file_path: str | None = option(STRING, None, expanded=True,
        doc="Where the daemon writes its process id.")
    pipelining_advertise_hosts: str | None = option(HOST_LIST, "*", expanded=True,
        doc="Clients that are offered PIPELINING.")
    pipelining_connect_advertise_hosts: str | None = option(HOST_LIST, "*", expanded=True,
        doc="Clients that may send before the banner.")
    prdr_enable: bool = option(BOOL, False,
        doc="Offer PRDR.")
    preserve_message_logs: bool = option(BOOL, False,
        doc="Keep message logs after the message is gone.")
    primary_hostname: str | None = option(STRING, None,
        doc="The name of this host.")
    print_topbitchars: bool = option(BOOL, False,
        doc="Take characters above 127 for printable.")
    process_log_path: str | None = option(STRING, None,
        doc="Where the daemon writes what its processes do.")
    prod_requires_admin: bool = option(BOOL, True,
        doc="Restrict -M, -q and -R to admin users.")
    proxy_protocol_timeout: int = option(TIME, 3,
        doc="How long a proxy may take to tell about its client.")
    qualify_domain: str | None = option(STRING, None,
        doc="The domain added to senders without one.")
    qualify_recipient: str | None = option(STRING, None,
        doc="The domain added to recipients without one.")
    queue_domains: str | None = option(DOMAIN_LIST, None, expanded=True,
        doc="Domains that are only delivered to in queue runs.")
    queue_fast_ramp: bool = option(BOOL, True,
        doc="Start deliveries of a two-phase queue run while the first phase goes on.",
        no_effect="a two-phase queue run finishes its first phase before deliveries start")
    queue_list_requires_admin: bool = option(BOOL, True,
        doc="Restrict -bp to admin users.")
    queue_only: bool = option(BOOL, False,
        doc="Put messages into the queue without starting a delivery.")
    queue_only_file: str | None = option(STRING_LIST, None,
        doc="Files whose existence turns on queueing.")
    queue_only_load: int | None = option(FIXED, None,
        doc="Load above which messages are only queued.")
    queue_only_load_latch: bool = option(BOOL, True,
        doc="Keep to that decision for the rest of an SMTP session.")
    queue_only_override: bool = option(BOOL, True,
        doc="Let -odb and its like override queue_only.")
    queue_run_in_order: bool = option(BOOL, False,
        doc="Deliver in the order of arrival.")
    queue_run_max: int | str = option(INT, 5, expanded=True,
        doc="How many queue runs may go on at once.")
    queue_smtp_domains: str | None = option(DOMAIN_LIST, None, expanded=True,
        doc="Domains whose remote deliveries wait for a queue run.")
    receive_timeout: int = option(TIME, 0,
        doc="How long a local message may take to come; 0 for ever.")
    received_header_text: str | None = option(STRING, (
        "Received: ${if def:sender_rcvhost {from $sender_rcvhost\n\t}"
        "{${if def:sender_ident {from ${quote_local_part:$sender_ident} }}"
        "${if def:sender_helo_name {(helo=$sender_helo_name)\n\t}}}}"
        "by $primary_hostname ${if def:received_protocol {with $received_protocol }}"
        "${if def:tls_in_ver        { ($tls_in_ver)}}"
        "${if def:tls_in_cipher_std { tls $tls_in_cipher_std\n\t}}"
        "(Exim $version_number)\n\t"
        "${if def:sender_address {(envelope-from <$sender_address>)\n\t}}"
        "id $message_exim_id${if def:received_for {\n\tfor $received_for}}"), expanded=True,
        doc="The Received: line that is added.")
    received_headers_max: int = option(INT, 30,
        doc="More Received: lines than this mean a loop.")
    recipient_unqualified_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients that may give recipients without domain.")
    recipients_max: int | str = option(INT, 50000, expanded=True,
        doc="Most recipients of one message; 0 for no limit.")
    recipients_max_reject: bool = option(BOOL, False,
        doc="Refuse the message with too many recipients instead of the surplus.")
    redis_servers: str | None = option(STRING_LIST, None,
        doc="Redis servers, as host/database/password.")
    remote_max_parallel: int = option(INT, 6,
        doc="How many remote deliveries of one message run at once.")
    remote_sort_domains: str | None = option(DOMAIN_LIST, None, expanded=True,
        doc="The order of domains in remote deliveries.")
    retry_data_expire: int = option(TIME, 604800,
        doc="How long retry information without use is kept.")
    retry_interval_max: int = option(TIME, 86400,
        doc="Longest interval between retries.")
    return_path_remove: bool = option(BOOL, True,
        doc="Remove Return-path: lines from incoming messages.")
    return_size_limit: int | None = option(INT, None, style="hidden",
        doc="Older name of bounce_return_size_limit.")
    rfc1413_hosts: str | None = option(HOST_LIST, "@[]", expanded=True,
        doc="Clients whose ident server is asked.")
    rfc1413_query_timeout: int = option(TIME, 0,
        doc="How long an ident server may take; 0 to ask none.")
    sender_unqualified_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients that may give senders without domain.")
    slow_lookup_log: int = option(INT, 0,
        doc="Log questions to the DNS that take more than this many milliseconds; 0 for none.")
    smtp_accept_keepalive: bool = option(BOOL, True,
        doc="Set keep-alive on incoming connections.")
    smtp_accept_max: int = option(INT, 20,
        doc="Most incoming connections at once; 0 for no limit.")
    smtp_accept_max_nonmail: int = option(INT, 10,
        doc="Most commands of a session that have nothing to do with mail.")
    smtp_accept_max_nonmail_hosts: str | None = option(HOST_LIST, "*", expanded=True,
        doc="Clients to which that limit applies.")
    smtp_accept_max_per_connection: int | str = option(INT, 1000, expanded=True,
        doc="Most messages of one session; 0 for no limit.")
    smtp_accept_max_per_host: str | None = option(STRING, None, expanded=True,
        doc="Most connections at once from one client.")
    smtp_accept_queue: int = option(INT, 0,
        doc="Connections above which messages are only queued.")
    smtp_accept_queue_per_connection: int = option(INT, 10,
        doc="Messages of one session after which the rest is only queued.")
    smtp_accept_reserve: int = option(INT, 0,
        doc="Connections reserved for smtp_reserve_hosts.")
    smtp_active_hostname: str | None = option(STRING, None, expanded=True,
        doc="The name this host gives itself in SMTP.")
    smtp_backlog_monitor: int = option(INT, 0,
        doc="Length of the connection backlog that is logged.",
        no_effect="the backlog of the kernel is not looked at")
    smtp_banner: str | None = option(
        STRING, "$smtp_active_hostname ESMTP Exim $version_number $tod_full", expanded=True,
        doc="The greeting.")
    smtp_check_spool_space: bool = option(BOOL, True,
        doc="Count the SIZE of a message in when spool space is checked.")
    smtp_connect_backlog: int = option(INT, 20,
        doc="How many connections the kernel queues.")
    smtp_enforce_sync: bool = option(BOOL, True,
        doc="Turn away clients that send when they should wait.")
    smtp_etrn_command: str | None = option(STRING, None, expanded=True,
        doc="What ETRN runs.")
    smtp_etrn_serialize: bool = option(BOOL, True,
        doc="Run one ETRN command per argument at once.")
    smtp_load_reserve: int | None = option(FIXED, None,
        doc="Load above which only smtp_reserve_hosts may connect.")
    smtp_max_synprot_errors: int = option(INT, 3,
        doc="Most syntax and protocol errors of a session.")
    smtp_max_unknown_commands: int = option(INT, 3,
        doc="Most unknown commands of a session.")
    smtp_ratelimit_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients that are slowed down by the next two.")
    smtp_ratelimit_mail: str | None = option(STRING, None,
        doc="How MAIL commands are slowed down.")
    smtp_ratelimit_rcpt: str | None = option(STRING, None,
        doc="How RCPT commands are slowed down.")
    smtp_receive_timeout: int | str = option(TIME, 300, expanded=True,
        doc="How long a client may stay silent.")
    smtp_reserve_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients for which connections are reserved.")
    smtp_return_error_details: bool = option(BOOL, False,
        doc="Tell SMTP clients the details of a refusal.")
    smtputf8_advertise_hosts: str | None = option(HOST_LIST, "*", expanded=True,
        doc="Clients that are offered SMTPUTF8.")
    spamd_address: str | None = option(STRING, "127.0.0.1 783",
        doc="Where SpamAssassin or rspamd listens.",
        no_effect="content scanning is not there yet")
    spf_guess: str | None = option(STRING, "v=spf1 a/24 mx/24 ptr ?all",
        doc="The SPF record assumed by spf_guess.")
    spf_smtp_comment_template: str | None = option(STRING, "Please%_see%_http://www.open-spf.org/Why", expanded=True,
        doc="Text for $spf_smtp_comment.",
        no_effect="SPF is not there yet")
    split_spool_directory: bool = option(BOOL, False,
        doc="Spread the spool over 62 directories.")
    spool_directory: str | None = option(STRING, None, expanded=True,
        doc="Where the spool is.")
    spool_wireformat: bool = option(BOOL, False,
        doc="Keep bodies on the spool as they came by CHUNKING.")
    sqlite_dbfile: str | None = option(STRING, None,
        doc="The database for SQLite lookups that name none.")
    sqlite_lock_timeout: int = option(TIME, 5, style="plain",
        doc="How long an SQLite lookup waits for a lock.")
    strict_acl_vars: bool = option(BOOL, False,
        doc="Take a reference to an unset ACL variable for an error.")
    strip_excess_angle_brackets: bool = option(BOOL, False,
        doc="Take <<a@b>> for <a@b>.")
    strip_trailing_dot: bool = option(BOOL, False,
        doc="Remove a dot at the end of domains.")
    syslog_duplication: bool = option(BOOL, True,
        doc="Write lines that go to several logs to syslog several times.")
    syslog_facility: str | None = option(STRING, None,
        doc="The facility for syslog.")
    syslog_pid: bool = option(BOOL, True,
        doc="Put the process id into syslog lines.")
    syslog_processname: str | None = option(STRING, "exim",
        doc="The name in syslog lines.")
    syslog_timestamp: bool = option(BOOL, True,
        doc="Put time stamps into syslog lines.")
    system_filter: str | None = option(STRING, None, expanded=True,
        doc="The filter file applied to every message.")
    system_filter_directory_transport: str | None = option(STRING, None, expanded=True,
        doc="The transport for directories that the system filter saves to.")
    system_filter_file_transport: str | None = option(STRING, None, expanded=True,
        doc="The transport for files that the system filter saves to.")
    system_filter_group: str | None = option(STRING, None, style="gid",
        doc="The group under which the system filter runs.")
    system_filter_pipe_transport: str | None = option(STRING, None, expanded=True,
        doc="The transport for pipes of the system filter.")
    system_filter_reply_transport: str | None = option(STRING, None, expanded=True,
        doc="The transport for replies of the system filter.")
    system_filter_user: str | None = option(STRING, None, style="uid",
        doc="The user under which the system filter runs.")
    tcp_nodelay: bool = option(BOOL, True,
        doc="Send small packets at once on listening sockets.")
    timeout_frozen_after: int = option(TIME, 0,
        doc="Age after which a frozen message is thrown away or bounced; 0 for never.")
    timezone: str | None = option(STRING, None,
        doc="The time zone to work in.")
    tls_advertise_hosts: str | None = option(HOST_LIST, "*", expanded=True,
        doc="Clients that are offered STARTTLS.")
    tls_alpn: str | None = option(STRING_LIST, "smtp:esmtp", expanded=True,
        doc="ALPN names that are accepted of clients.")
    tls_certificate: str | None = option(STRING_LIST, None, expanded=True,
        doc="The server's certificates.")
    tls_crl: str | None = option(STRING, None, expanded=True,
        doc="Revoked client certificates.")
    tls_dh_max_bits: int = option(INT, 2236,
        doc="Largest Diffie-Hellman group that may be used.")
    tls_dhparam: str | None = option(STRING, None, expanded=True,
        doc="The Diffie-Hellman group.")
    tls_early_banner_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients on TLS ports that get the banner together with the end of the handshake.",
        no_effect="the banner is sent when the handshake is complete")
    tls_eccurve: str | None = option(STRING_LIST, "auto", expanded=True,
        doc="The curves or groups for key exchange.")
    tls_ocsp_file: str | None = option(STRING, None, expanded=True,
        doc="The OCSP answer to hand to clients.")
    tls_on_connect_ports: str | None = option(STRING_LIST, None,
        doc="Ports on which TLS starts at once.")
    tls_privatekey: str | None = option(STRING_LIST, None, expanded=True,
        doc="The keys of the server's certificates.")
    tls_remember_esmtp: bool = option(BOOL, False,
        doc="Know a client for one of ESMTP after STARTTLS.")
    tls_require_ciphers: str | None = option(STRING, None, expanded=True,
        doc="The ciphers that may be used.")
    tls_resumption_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients that may resume TLS sessions.")
    tls_try_verify_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients whose certificates are asked for and checked without consequence.")
    tls_verify_certificates: str | None = option(STRING, "system", expanded=True,
        doc="What client certificates are checked against.")
    tls_verify_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients whose certificates must verify.")
    trusted_groups: str | None = option(STRING_LIST, None, expanded=True, style="gids",
        doc="Groups whose members are trusted callers.")
    trusted_users: str | None = option(STRING_LIST, None, expanded=True, style="uids",
        doc="Users that are trusted callers.")
    unknown_login: str | None = option(STRING, None, expanded=True,
        doc="The login name of callers without account.")
    unknown_username: str | None = option(STRING, None,
        doc="The real name of callers without account.")
    untrusted_set_sender: str | None = option(ADDRESS_LIST, None, expanded=True,
        doc="Envelope senders that callers who are not trusted may set.")
    uucp_from_pattern: str | None = option(STRING, (
        r"^From\s+(\S+)\s+(?:[a-zA-Z]{3},?\s+)?(?:[a-zA-Z]{3}\s+\d?\d|\d?\d\s+[a-zA-Z]{3}\s+\d\d(?:\d\d)?)"
        r"\s+\d\d?:\d\d?"),
        doc="Recognizes a \"From \" line before a message.")
    uucp_from_sender: str | None = option(STRING, "$1", expanded=True,
        doc="The sender made of such a line.")
    warn_message_file: str | None = option(STRING, None, expanded=True,
        doc="A template for warnings about delays.")
    wellknown_advertise_hosts: str | None = option(HOST_LIST, None, expanded=True,
        doc="Clients that are offered WELLKNOWN.",
        no_effect="the extension is not there yet")
    write_rejectlog: bool = option(BOOL, True,
        doc="Write the reject log.")
