"""The appendfile transport."""

from __future__ import annotations

from pyexim.config.option import BOOL, INT, OCTAL, STRING, TIME, option, options
from pyexim.transports.options import TransportOptions


@options
class AppendfileOptions(TransportOptions):
    """The options of its section."""

    allow_fifo: bool = option(BOOL, False)
    allow_symlink: bool = option(BOOL, False)
    batch_id: str | None = option(STRING, None, expanded=True)
    batch_max: int = option(INT, 1)
    check_group: bool = option(BOOL, False)
    check_owner: bool = option(BOOL, True)
    check_string: str | None = option(STRING, None)
    create_directory: bool = option(BOOL, True)
    create_file: str | None = option(STRING, "anywhere")
    directory: str | None = option(STRING, None, expanded=True)
    directory_file: str | None = option(STRING, None, expanded=True)
    directory_mode: int = option(OCTAL, 0o700)
    escape_string: str | None = option(STRING, None)
    file: str | None = option(STRING, None, expanded=True)
    file_format: str | None = option(STRING, None)
    file_must_exist: bool = option(BOOL, False)
    lock_fcntl_timeout: int = option(TIME, 0)
    lock_flock_timeout: int = option(TIME, 0)
    lock_interval: int = option(TIME, 3)
    lock_retries: int = option(INT, 10)
    lockfile_mode: int = option(OCTAL, 0o600)
    lockfile_timeout: int = option(TIME, 1800)
    mailbox_filecount: str | None = option(STRING, None, expanded=True)
    mailbox_size: str | None = option(STRING, None, expanded=True)
    maildir_format: bool = option(BOOL, False)
    maildir_quota_directory_regex: str | None = option(STRING, None)
    maildir_retries: int = option(INT, 10)
    maildir_tag: str | None = option(STRING, None, expanded=True)
    maildir_use_size_file: bool = option(BOOL, False)
    maildirfolder_create_regex: str | None = option(STRING, None)
    mailstore_format: bool = option(BOOL, False)
    mailstore_prefix: str | None = option(STRING, None, expanded=True)
    mailstore_suffix: str | None = option(STRING, None, expanded=True)
    mbx_format: bool = option(BOOL, False)
    message_prefix: str | None = option(STRING, None, expanded=True)
    message_suffix: str | None = option(STRING, None, expanded=True)
    mode: int = option(OCTAL, 0o600)
    mode_fail_narrower: bool = option(BOOL, True)
    notify_comsat: bool = option(BOOL, False)
    quota: str | None = option(STRING, None, expanded=True)
    quota_directory: str | None = option(STRING, None, expanded=True)
    quota_filecount: str | None = option(STRING, "0", expanded=True)
    quota_is_inclusive: bool = option(BOOL, True)
    quota_size_regex: str | None = option(STRING, None)
    quota_warn_message: str | None = option(STRING, None, expanded=True)
    quota_warn_threshold: str | None = option(STRING, "0", expanded=True)
    use_bsmtp: bool = option(BOOL, False)
    use_crlf: bool = option(BOOL, False)
    use_fcntl_lock: bool = option(BOOL, None)
    use_flock_lock: bool = option(BOOL, False)
    use_lockfile: bool = option(BOOL, None)
    use_mbx_lock: bool = option(BOOL, None)
