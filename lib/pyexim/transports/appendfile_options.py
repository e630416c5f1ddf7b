"""The options of the appendfile transport.  Spec: chapter "The appendfile transport"."""

from __future__ import annotations

from pyexim.config.option import BOOL, INT, OCTAL, STRING, TIME, option, options
from pyexim.transports.options import TransportOptions


@options
class AppendfileOptions(TransportOptions):
    """The options of its section."""

    allow_fifo: bool = option(BOOL, False, spec="26.2",
        doc="Deliver to named pipes too.")
    allow_symlink: bool = option(BOOL, False, spec="26.2",
        doc="Deliver through symbolic links.")
    batch_id: str | None = option(STRING, None, expanded=True, spec="26.2",
        doc="Only addresses for which this expands to the same are delivered together.")
    batch_max: int = option(INT, 1, spec="26.2",
        doc="How many addresses one run may deliver for.")
    check_group: bool = option(BOOL, False, spec="26.2",
        doc="The mailbox must belong to the group of the delivery.")
    check_owner: bool = option(BOOL, True, spec="26.2",
        doc="The mailbox must belong to the user of the delivery.")
    check_string: str | None = option(STRING, None, spec="26.2",
        doc="What is replaced at the start of a line; \"From \" by default when appending to a file.")
    create_directory: bool = option(BOOL, True, spec="26.2",
        doc="Make missing directories.")
    create_file: str | None = option(STRING, "anywhere", spec="26.2",
        doc="Where files may be created: anywhere, inhome, belowhome, or below a directory.")
    directory: str | None = option(STRING, None, expanded=True, spec="26.2",
        doc="Directory into which each message goes as a file.")
    directory_file: str | None = option(STRING, None, expanded=True, spec="26.2",
        doc="Name of the new file in the directory, when the format is neither maildir nor mailstore.")
    directory_mode: int = option(OCTAL, 0o700, spec="26.2",
        doc="Mode of directories that are made.")
    escape_string: str | None = option(STRING, None, spec="26.2",
        doc="What check_string is replaced by; \">From \" by default when appending to a file.")
    file: str | None = option(STRING, None, expanded=True, spec="26.2",
        doc="File to which messages are appended.")
    file_format: str | None = option(STRING, None, spec="26.2",
        doc="Pairs of text and transport: the transport for mailboxes that begin with the text.")
    file_must_exist: bool = option(BOOL, False, spec="26.2",
        doc="Defer when the file does not exist.")
    lock_fcntl_timeout: int = option(TIME, 0, spec="26.2",
        doc="Wait this long in one fcntl lock; 0 tries without waiting.")
    lock_flock_timeout: int = option(TIME, 0, spec="26.2",
        doc="Wait this long in one flock lock; 0 tries without waiting.")
    lock_interval: int = option(TIME, 3, spec="26.2",
        doc="Pause between attempts to lock.")
    lock_retries: int = option(INT, 10, spec="26.2",
        doc="How often to try to lock.")
    lockfile_mode: int = option(OCTAL, 0o600, spec="26.2",
        doc="Mode of lock files.")
    lockfile_timeout: int = option(TIME, 1800, spec="26.2",
        doc="Age at which a lock file of unknown origin counts as left behind.")
    mailbox_filecount: str | None = option(STRING, None, expanded=True, spec="26.2",
        doc="Number of files in the mailbox, when something else knows it.")
    mailbox_size: str | None = option(STRING, None, expanded=True, spec="26.2",
        doc="Size of the mailbox, when something else knows it.")
    maildir_format: bool = option(BOOL, False, spec="26.2",
        doc="Deliver into a maildir.")
    maildir_quota_directory_regex: str | None = option(STRING, None, spec="26.2",
        doc="Which directories of a maildir count for the quota; cur, new and folders by default.")
    maildir_retries: int = option(INT, 10, spec="26.2",
        doc="How often to look for a free name.")
    maildir_tag: str | None = option(STRING, None, expanded=True, spec="26.2",
        doc="Text added to the file name in a maildir, expanded after writing.")
    maildir_use_size_file: bool = option(BOOL, False, spec="26.2",
        doc="Keep sizes in the file maildirsize.")
    maildirfolder_create_regex: str | None = option(STRING, None, spec="26.2",
        doc="Directories in which a file maildirfolder is made.")
    mailstore_format: bool = option(BOOL, False, spec="26.2",
        doc="Deliver in mailstore format.")
    mailstore_prefix: str | None = option(STRING, None, expanded=True, spec="26.2",
        doc="Text before the envelope in a mailstore .env file.")
    mailstore_suffix: str | None = option(STRING, None, expanded=True, spec="26.2",
        doc="Text after the envelope in a mailstore .env file.")
    mbx_format: bool = option(BOOL, False, spec="26.2",
        doc="Append to MBX mailboxes.")
    message_prefix: str | None = option(STRING, None, expanded=True, spec="26.2",
        doc="Text before each message; a \"From \" line by default when appending to a file.")
    message_suffix: str | None = option(STRING, None, expanded=True, spec="26.2",
        doc="Text after each message; an empty line by default when appending to a file.")
    mode: int = option(OCTAL, 0o600, spec="26.2",
        doc="Mode of files that are created.")
    mode_fail_narrower: bool = option(BOOL, True, spec="26.2",
        doc="Defer when a mailbox has a narrower mode than mode.")
    notify_comsat: bool = option(BOOL, False, spec="26.2",
        doc="Tell the comsat daemon about new mail.")
    quota: str | None = option(STRING, None, expanded=True, spec="26.2",
        doc="Largest size of the mailbox; 0 for no limit.")
    quota_directory: str | None = option(STRING, None, expanded=True, spec="26.2",
        doc="Directory whose size is checked.")
    quota_filecount: str | None = option(STRING, "0", expanded=True, spec="26.2",
        doc="Largest number of files in the mailbox.")
    quota_is_inclusive: bool = option(BOOL, True, spec="26.2",
        doc="Count the message itself in the check.")
    quota_size_regex: str | None = option(STRING, None, spec="26.2",
        doc="How the name of a file tells its size.")
    quota_warn_message: str | None = option(STRING, None, expanded=True, spec="26.2",
        doc="Warning that is sent when the threshold is crossed.")
    quota_warn_threshold: str | None = option(STRING, "0", expanded=True, spec="26.2",
        doc="Size at which a warning is sent; may be a percentage of quota.")
    use_bsmtp: bool = option(BOOL, False, spec="26.2",
        doc="Write batched SMTP.")
    use_crlf: bool = option(BOOL, False, spec="26.2",
        doc="End lines with CRLF.")
    use_fcntl_lock: bool = option(BOOL, None, spec="26.2",
        doc="Lock mailboxes with fcntl; on unless use_flock_lock is.")
    use_flock_lock: bool = option(BOOL, False, spec="26.2",
        doc="Lock mailboxes with flock.")
    use_lockfile: bool = option(BOOL, None, spec="26.2",
        doc="Lock mailboxes with a lock file; on by default, but not for MBX locking of an MBX mailbox.")
    use_mbx_lock: bool = option(BOOL, None, spec="26.2",
        doc="Lock mailboxes by the rules for MBX; on with mbx_format, unless another lock is named.")
