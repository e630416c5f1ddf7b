"""The appendfile transport: deliver into files.

What is here: which file or directory, which format, quotas, and the outcome.  The ways of writing are in
``mbox``, ``maildir`` and ``newfile``, locks in ``locking``.

Spec: chapter "The appendfile transport"; batched SMTP: section 49.10.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from typing import Final

from pyexim.base.errors import ExpansionError
from pyexim.base.taint import is_tainted, like
from pyexim.config.configuration import Instance
from pyexim.expand.engine import expand
from pyexim.model.address import Address
from pyexim.transports import quota as quotas
from pyexim.transports import write
from pyexim.transports.appendfile_options import AppendfileOptions
from pyexim.transports.base import DEFER, ERRNO_EXPANSION, OK, Result, Transport, TransportRun
from pyexim.transports.paths import Refused, detaint

ERRNO_NOTABSOLUTE: Final = -21
ERRNO_BADTRANSPORT: Final = -30
ERRNO_BADFORMAT: Final = -33
ERRNO_FILTER_FAIL: Final = -24
FROM_LINE: Final = "From ${if def:return_path{$return_path}{MAILER-DAEMON}} ${tod_bsdinbox}\n"
QUOTA_WARNING: Final = (
    "To: $local_part@$domain\nSubject: Your mailbox\n\n"
    "This message is automatically created by mail delivery software (Exim).\n\n"
    "The size of your mailbox has exceeded a warning threshold that is\nset by the system administrator.\n")
_LOCKS: Final = {"use_fcntl_lock", "use_flock_lock", "use_lockfile", "use_mbx_lock"}


class Appendfile(Transport):
    """Deliver into files."""

    Options = AppendfileOptions
    options: AppendfileOptions

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance)
        o = self.options
        to_directory = o.directory is not None or o.maildir_format or o.mailstore_format
        plain = not (o.use_bsmtp or to_directory)
        given = instance.set_places
        if o.use_bsmtp:
            self.check_string, self.escape_string = b".", b".."
        elif plain and "check_string" not in given:
            self.check_string, self.escape_string = b"From ", b">From "
        else:
            self.check_string = (o.check_string or "").encode("latin-1")
            self.escape_string = (o.escape_string or "").encode("latin-1")
        if plain and "escape_string" in given and "check_string" not in given:
            self.escape_string = (o.escape_string or "").encode("latin-1")
        self.prefix = o.message_prefix if "message_prefix" in given or o.message_prefix is not None else (
            FROM_LINE if plain else None)
        self.suffix = o.message_suffix if "message_suffix" in given or o.message_suffix is not None else (
            "\n" if plain else None)
        # Without a word about locking: a lock file and fcntl, or those of MBX with fcntl.
        if o.use_mbx_lock is None:
            o.use_mbx_lock = o.mbx_format and not given.keys() & _LOCKS
        if o.use_fcntl_lock is None:
            o.use_fcntl_lock = not o.use_flock_lock
        if o.use_lockfile is None:
            o.use_lockfile = not (o.mbx_format and o.use_mbx_lock)
        self.crlf = o.use_crlf or o.mbx_format
        self._names = quotas.Names(o)

    def check(self) -> None:
        o = self.options

        if o.file is not None and o.directory is not None:
            raise self.wrong('only one of "file" or "directory" can be specified', "directory")
        if "quota_filecount" in self.instance.set_places and o.directory is None and o.file is not None:
            raise self.wrong('quota_filecount must not be set without "directory"', "quota_filecount")
        if o.maildir_format and o.mailstore_format:
            raise self.wrong("only one of maildir and mailstore may be specified", "mailstore_format")
        if o.maildir_use_size_file not in (True, False, None) and not o.maildir_format:
            raise self.wrong("maildir_use_size_file needs maildir_format", "maildir_use_size_file")
        if o.file is not None and not (o.use_fcntl_lock or o.use_flock_lock or o.use_lockfile):
            raise self.wrong("no locking configured", "use_lockfile")
        if o.create_file not in ("anywhere", "inhome", "belowhome") and not (o.create_file or "").startswith("/"):
            raise self.wrong(f"invalid value given for \"create_file\" for the {self.name} transport: "
                             f"'{o.create_file}'", "create_file", named=False)
        if o.directory is not None and o.quota is None and o.quota_filecount not in (None, "0"):
            raise self.wrong("quota must be set if quota_filecount is set", "quota_filecount")
        if (found := self._names.check()) is not None:
            raise self.wrong(f"{found[0]}: {found[1]}", found[0])

    # -- delivery

    def deliver(self, batch: list[Address], run: TransportRun) -> list[Result]:
        try:
            return self._deliver(batch, run)
        except Refused as e:
            return [Result(a, e.status, e.text, e.errno, freeze=e.freeze) for a in batch]
        except write.WriteError as e:
            text = e.text
            where = run.scope.facts.pop("writing_to", "")
            if e.errno == ERRNO_FILTER_FAIL:
                head, colon, tail = text.partition(": ")
                text = f"{head} while writing to {where}{colon}{tail}"
            elif e.errno == errno.ETIMEDOUT:
                text = f"error while writing to {where}"
            return [Result(a, DEFER, text, e.errno) for a in batch]

    def _deliver(self, batch: list[Address], run: TransportRun) -> list[Result]:
        o = self.options
        path, is_directory = self._where(batch, run)
        if path == "/dev/null":
            run.delivered(*batch)
            return [Result(a, OK, file_name=path) for a in batch]
        mode = batch[0].mode if batch[0].mode >= 0 else o.mode
        if is_directory:
            size, name, before, quota = self._to_directory(path, batch, run, mode)
        else:
            other = self._other_transport(path, run)
            if other is not None:
                results: list[Result] = other.deliver(batch, run)
                return results
            size, name, before, quota = self._to_file(path, batch, run, mode)
        if before is not None and quotas.crosses_threshold(quota, before, before + size):
            self._warn(run)
        if o.notify_comsat and not is_directory:
            _notify_comsat(batch[0].local_part, size)
        return [Result(a, OK, file_name=name, size=size) for a in batch]

    def _where(self, batch: list[Address], run: TransportRun) -> tuple[str, bool]:
        """Return the path to deliver to, and whether it is a directory."""
        o = self.options
        first = batch[0]
        source = o.file if o.file is not None else o.directory
        is_directory = o.file is None and (o.directory is not None or o.maildir_format or o.mailstore_format)
        if source is None:
            if first.kind not in ("file", "directory"):
                raise Refused(f"Mandatory file or directory option missing from {self.name} transport", -1)
            path = first.local_part
            if path.endswith("/"):
                is_directory = True
                path = like(path.rstrip("/") or "/", path)
        else:
            try:
                path = expand(source, run.scope)
            except ExpansionError as e:
                raise Refused(f'Expansion of "{source}" (file or directory name for {self.name} transport) '
                              f"failed: {e.text}", -1) from None
        if not path.startswith("/"):
            raise Refused(f'appendfile: file or directory name "{path}" is not absolute', ERRNO_NOTABSOLUTE)
        path = detaint(path, o.create_file, run.home_dir)
        if is_tainted(path):
            raise Refused(f"Tainted '{path}' (file or directory name for {self.name} transport) not permitted", -1)
        return path, is_directory

    def _other_transport(self, path: str, run: TransportRun) -> Transport | None:
        """Return the transport that file_format asks for; None for this one."""
        if self.options.file_format is None:
            return None
        from pyexim.expand.lists import split_list
        items = split_list(self.options.file_format)
        try:
            with open(path, "rb") as f:
                start = f.read(max((len(x) for x in items[::2]), default=0) + 16).decode("latin-1")
        except OSError:
            return None
        if not start:
            return None
        for text, name in zip(items[::2], items[1::2]):
            if text and start.startswith(text):
                if name == self.name:
                    return None
                found = run.scope.config.transports.get(name)
                if found is None:
                    raise Refused(f"{name} transport (for {text} format) not found", ERRNO_BADTRANSPORT)
                driver: Transport = found.driver
                return driver
        raise Refused("mailbox file format unrecognized", ERRNO_BADFORMAT)

    # -- the content

    def _expand_text(self, source: str | None, option: str, run: TransportRun) -> bytes:
        if not source:
            return b""
        variables = run.scope.vars
        before = variables.get("return_path")
        variables["return_path"] = run.return_path
        try:
            return expand(source, run.scope).encode("latin-1")
        except ExpansionError:
            raise Refused(f'Expansion of "{source}" ({option} for {self.name} transport) failed',
                          ERRNO_EXPANSION) from None
        finally:
            if before is None:
                del variables["return_path"]
            else:
                variables["return_path"] = before

    def _content(self, batch: list[Address], run: TransportRun,
                 where: str) -> tuple[bytes | None, Iterable[bytes], int]:
        """Return (the whole text if it is small, else None; its pieces; its length, about)."""
        o = self.options
        run.scope.facts["writing_to"] = where
        copy = write.prepare(batch, run, o)
        prefix = self._expand_text(self.prefix, "prefix", run)
        suffix = self._expand_text(self.suffix, "suffix", run)
        if o.use_bsmtp:
            commands = write.batched_smtp(batch, run, affixes=o.rcpt_include_affixes)
            prefix += write.to_crlf(commands) if o.use_crlf else commands
            suffix = (b".\r\n" if o.use_crlf else b".\n") + suffix
        check, escape = self.check_string, self.escape_string
        length = len(prefix) + copy.length + len(suffix)
        if copy.is_small():
            text = write.form(copy.whole(), check, escape, self.crlf)
            if (o.use_bsmtp or not self._into_new_file()) and not text.endswith(b"\n"):
                text += b"\r\n" if self.crlf else b"\n"
            whole = prefix + text + suffix
            if o.mbx_format:
                from pyexim.transports.mbx import message_line
                whole = message_line(run.scope.services.clock.time(), len(whole)) + whole
            return whole, (whole,), len(whole)
        if o.mbx_format:
            from pyexim.transports.mbx import measured
            return None, *measured(self._stream(copy, prefix, suffix), run.scope.services.clock.time())
        return None, self._stream(copy, prefix, suffix), length

    def _into_new_file(self) -> bool:
        return self.options.file is None and self.prefix is None

    def _stream(self, copy: write.Copy, prefix: bytes, suffix: bytes) -> Iterator[bytes]:
        if prefix:
            yield prefix
        last = b"\n"
        for piece in write.stream_lines(copy.chunks(), self.check_string, self.escape_string, self.crlf):
            yield piece
            last = piece[-1:]
        if last != b"\n":
            yield b"\r\n" if self.crlf else b"\n"
        if suffix:
            yield suffix

    # -- to a file

    def _to_file(self, path: str, batch: list[Address], run: TransportRun,
                 mode: int) -> tuple[int, str, int | None, quotas.Quota]:
        from pyexim.transports.mbox import append, open_mailbox, take_back
        quota = quotas.read_quota(self.options, run.scope, self.name)
        whole, pieces, length = self._content(batch, run, path)
        services = run.scope.services
        box = open_mailbox(path, self.options, mode=mode, host=services.primary_hostname, home=run.home_dir,
                           clock=services.clock)
        try:
            before = quota.mailbox_size if quota.mailbox_size >= 0 else box.size
            if quota.is_set():
                quotas.check(quota, before, 0, length, inclusive=self.options.quota_is_inclusive, where=path)
            if self.options.mbx_format and box.size == 0:
                from pyexim.transports.mbx import file_header
                before_it = file_header(services.clock.time())
                whole = before_it + whole if whole is not None else None
                pieces = itertools.chain((before_it,), pieces)
            written = append(box, whole, pieces, os.path.dirname(path))
            # Before the file is closed: the fewer steps between the message and the journal, the fewer
            # second copies after a crash.
            failed = run.delivered(*batch)
            if failed and take_back(box, written):
                raise OSError(failed, os.strerror(failed))  # better late than delivered again
        except OSError as e:
            raise _write_failed(e, path) from None
        finally:
            box.close()
        return written, path, before, quota

    # -- to a directory

    def _to_directory(self, path: str, batch: list[Address], run: TransportRun,
                      mode: int) -> tuple[int, str, int | None, quotas.Quota]:
        from pyexim.transports import maildir, newfile
        o = self.options
        quota = quotas.read_quota(o, run.scope, self.name)
        where = path
        try:
            if o.maildir_format:
                maildir.ensure_maildir(path, o, run.home_dir, self._names)
                where = "tmp/" + maildir.unique_name(run.scope.services.clock.time(),
                                                     run.scope.services.primary_hostname)
            else:
                where = newfile.temporary_name(path, run, mailstore=o.mailstore_format)
                try:
                    newfile.ensure_directory(path, o, run.home_dir)
                except OSError as e:
                    raise newfile.not_created(where, e) from None
                if o.mailstore_format:
                    where = where.removesuffix(".tmp") + ".msg"
            whole, pieces, length = self._content(batch, run, where)
            size_file, before = self._usage(path, quota, run, length, where)
            if o.maildir_format:
                lines = whole.count(b"\n") if whole is not None else run.message.message_linecount
                written, name = maildir.deliver_maildir(path, pieces, run, o, mode, self.name, lines, batch)
            elif o.mailstore_format:
                written, name = newfile.deliver_mailstore(path, pieces, batch, run, o, mode, self.name)
            else:
                written, name = newfile.deliver_file(path, pieces, batch, run, o, mode, self.name)
        except OSError as e:
            raise _write_failed(e, where) from None
        if size_file is not None:
            with contextlib.suppress(OSError):  # only a cache: it is made anew when it is missing
                size_file.add(written)
        return written, name, before, quota

    def _usage(self, path: str, quota: quotas.Quota, run: TransportRun, length: int,
               where: str) -> tuple[quotas.SizeFile | None, int | None]:
        """Check the quota of a directory; (the maildirsize file if there is one, octets used before)."""
        o = self.options
        if not quota.is_set() and not o.maildir_use_size_file:
            return None, None
        top = path
        if o.quota_directory is not None:
            try:
                top = expand(o.quota_directory, run.scope)
            except ExpansionError as e:
                raise Refused(f'Expansion of "{o.quota_directory}" (quota_directory for {self.name} transport) '
                              f"failed: {e.text}", -1) from None
            if not top.startswith("/"):
                raise Refused(f'appendfile: quota_directory name "{top}" is not absolute', ERRNO_NOTABSOLUTE)
        elif o.maildir_format and os.path.exists(f"{path}/maildirfolder"):
            top = os.path.dirname(path)
        size_file = None
        if o.maildir_format and o.maildir_use_size_file:
            folder = os.path.relpath(path, top) if path != top else "new"
            if not self._names.counts(folder.partition("/")[0]):
                return None, None
            size_file = quotas.SizeFile(top, quota, self._names, o.mode, run.scope.services.clock.time())
            size, files = size_file.size, size_file.files
        elif quota.mailbox_size >= 0 and (quota.mailbox_files >= 0 or not quota.files):
            size, files = quota.mailbox_size, max(quota.mailbox_files, 0)
        else:
            size, files = quotas.directory_usage(top, self._names)
        if quota.mailbox_size >= 0:
            size = quota.mailbox_size
        if quota.mailbox_files >= 0:
            files = quota.mailbox_files
        if size_file is not None and quota.mailbox_size < 0 and (
                size + length > quota.size > 0 or files + 1 > quota.files > 0):
            size, files = size_file.count_again()
        quotas.check(quota, size, files, length, inclusive=o.quota_is_inclusive, where=where)
        return size_file, size

    def _warn(self, run: TransportRun) -> None:
        """Send the warning that a mailbox is nearly full; a failure to send it fails nothing else."""
        source = self.options.quota_warn_message or QUOTA_WARNING
        services = run.scope.services
        try:
            text = expand(source, run.scope)
        except ExpansionError as e:
            services.log.panic(f"Failed to expand \"{source}\" (warning message for {self.name} transport): {e.text}")
            return
        if services.submit is None:
            return
        if not re.search(r"^from:", text.partition("\n\n")[0], re.IGNORECASE | re.MULTILINE | re.ASCII):
            text = f"From: {self._robot(run)}\n" + text
        text = "Auto-Submitted: auto-replied\n" + text
        message_id = run.message.message_id
        services.submit(["-t", "-oem", "-oi", "-f", "<>", "-E" + message_id], text.encode("latin-1"))

    @staticmethod
    def _robot(run: TransportRun) -> str:
        """Return who sends messages of our own making: dsn_from, expanded."""
        main = run.scope.config.main
        try:
            return expand(main.dsn_from or "", run.scope)
        except ExpansionError:
            return f"Mail Delivery System <Mailer-Daemon@{main.qualify_domain}>"


def _write_failed(error: OSError, where: str) -> Refused:
    number = error.errno or errno.EIO
    if number == errno.EDQUOT:
        return Refused(f"mailbox is full (system quota exceeded while writing to {where})", number)
    return Refused(f"error while writing to {where}", number)


def _notify_comsat(user: str, offset: int) -> None:
    """Tell the comsat daemon, if there is one, that mail has come; nobody waits for an answer."""
    import socket  # only where it is configured

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                port = socket.getservbyname("biff", "udp")
            except OSError:
                port = 512
            s.sendto(f"{user}@{offset}\n".encode("latin-1"), ("127.0.0.1", port))
    except OSError:
        return

