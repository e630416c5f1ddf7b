"""What an administrator does to messages on the queue: freeze, thaw, remove, edit, move, show.

Each action works on one message, under its lock, and says on standard output what came of it, in Exim's
words; the main log has who did it.  -M and -Mg are deliveries and not here (``deliver_messages`` calls
``deliver``).  Spec: chapter "The Exim command line", the -M switches.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Final

from pyexim.base.errors import SpoolError
from pyexim.base.octets import lower
from pyexim.base.record import dataclass, replace
from pyexim.expand.scope import LogSink
from pyexim.mailfmt.address import parse_address
from pyexim.model.message import Recipient
from pyexim.spool import api as spool
from pyexim.spool.names import directory_for, make_directory

Write = Callable[[bytes], object]


@dataclass(slots=True)
class ActionRun:
    """What an action works with."""

    spool: spool.SpoolSettings
    log: LogSink
    write: Write
    """Writes to standard output."""
    login: str
    """Login name of the caller, for the log."""
    uid: int
    admin: bool
    now: float
    destination: str = ""
    """-MG: the queue to move to."""

    def say(self, text: str) -> None:
        """Write a text to standard output."""
        self.write(text.encode("latin-1"))


def act(switch: str, arguments: list[str], run: ActionRun) -> int:
    """Do what a switch (without "-") says; the exit code.  ``arguments`` are ids, or an id and addresses."""
    if switch in SHOW:
        if len(arguments) > 1 and switch != "Mvc":
            run.say("*** Only one message can be listed at once\n")
            return 1
        if not run.admin and switch != "Mvc":
            return 0 if _denied(run) else 1
        return _locked_away(arguments[0], run) if not run.admin else SHOW[switch](arguments[0], run)
    if not run.admin and switch != "Mrm":
        done = [_locked(i, run, lambda _: _denied(run)) for i in (arguments[:1] if switch in EDIT else arguments)]
        if switch == "Mmad":
            run.say("\n")
        return 0 if all(done) else 1
    if switch in EDIT:
        return 0 if _locked(arguments[0], run, lambda m: EDIT[switch](m, arguments[1:], run)) else 1
    action = MARK[switch]
    good = True
    for message_id in arguments:
        if not _locked(message_id, run, lambda m: action(m, run), removing=switch == "Mrm"):
            good = False
    if switch in ("Mmad", "MG"):
        run.say("\n")
    return 0 if good else 1


def _denied(run: ActionRun) -> bool:
    run.say("Permission denied\n")
    return False


def _locked_away(message_id: str, run: ActionRun) -> int:
    """-Mvc by somebody who may not see the message: whether it is there is said all the same."""
    return 0 if _locked(message_id, run, lambda _: _denied(run)) else 1


def is_action(switch: str) -> bool:
    """Tell whether a switch is done here."""
    return switch in SHOW or switch in EDIT or switch in MARK


def _locked(message_id: str, run: ActionRun, action: Callable[[spool.LockedMessage], bool], *,
            removing: bool = False) -> bool:
    """Lock a message and do something with it; False when it could not be done."""
    try:
        locked = spool.lock(run.spool, message_id)
    except SpoolError as e:
        _unusable(message_id, run, e, removing=removing)
        return removing and run.admin and e.errno != 2
    except OSError as e:
        run.say(f"Couldn't open spool file for {message_id}: {e.strerror}\n")
        return False
    if locked is None:
        if run.log.selected("skip_delivery"):
            run.log.main(f"Spool file for {message_id} is locked (another process is handling this message)",
                         message_id=message_id)
        run.say(f"Message {message_id} is locked\n")
        return False
    try:
        return action(locked)
    except OSError as e:
        run.say(f"Message {message_id} could not be changed: {e.strerror}\n")
        return False
    finally:
        locked.close()


def _unusable(message_id: str, run: ActionRun, error: SpoolError, *, removing: bool) -> None:
    """Say why a message cannot be worked on; -Mrm removes what there is of it."""
    queue = f" Q={run.spool.queue_name}" if run.spool.queue_name else ""
    if error.errno != 2:
        run.say(f"Spool read error for {message_id}-H: {error.text}\n")
        if not removing or not run.admin:
            return
        run.say("Continuing to ensure all files removed\n")
        _remove_all(message_id, run)
        run.say(f"Message {message_id} has been removed or did not exist\n")
        run.log.main(f"removed by {run.login}", message_id=message_id)
        return
    run.log.main(f"Spool{queue} file {message_id}-D not found", message_id=message_id)
    run.say(f"Spool data file for {message_id} does not exist\n")
    if not removing or not run.admin:
        return
    run.say("Continuing, to ensure all files removed\n"
            f"Spool read error for {message_id}-H: No such file or directory\n"
            "Continuing to ensure all files removed\n")
    _remove_all(message_id, run)
    run.say(f"Message {message_id} has been removed or did not exist\n")


def _remove_all(message_id: str, run: ActionRun) -> None:
    for subdirectory in dict.fromkeys(["", message_id[5]]):
        directory = directory_for(run.spool, subdirectory)
        paths = [f"{directory}/{message_id}{suffix}" for suffix in ("-H", "-J", "-D")]
        paths.append(f"{directory_for(run.spool, subdirectory, 'msglog')}/{message_id}")
        for path in paths:
            try:
                os.unlink(path)
            except OSError:
                continue


# -- on any number of messages


def _note(locked: spool.LockedMessage, run: ActionRun, text: str) -> None:
    run.log.main(text, message_id=locked.message.message_id)


def freeze(locked: spool.LockedMessage, run: ActionRun) -> bool:
    """-Mf."""
    message = locked.message
    if message.frozen_since is not None:
        run.say(f"Message {message.message_id} is already frozen\n")
        return False
    message.frozen_since = float(int(run.now))
    message.manual_thaw = False
    locked.rewrite_header()
    run.say(f"Message {message.message_id} is now frozen\n")
    _note(locked, run, f"frozen by {run.login}")
    return True


def thaw(locked: spool.LockedMessage, run: ActionRun) -> bool:
    """-Mt."""
    message = locked.message
    if message.frozen_since is None:
        run.say(f"Message {message.message_id} is not frozen\n")
        return False
    message.frozen_since = None
    message.manual_thaw = True
    locked.rewrite_header()
    run.say(f"Message {message.message_id} is no longer frozen\n")
    _note(locked, run, f"unfrozen by {run.login}")
    return True


def remove(locked: spool.LockedMessage, run: ActionRun) -> bool:
    """-Mrm: by an admin user, or by who put the message there."""
    message = locked.message
    if not run.admin and run.uid != message.originator_uid:
        return _denied(run)
    locked.remove()
    run.say(f"Message {message.message_id} has been removed\n")
    _note(locked, run, f"removed by {run.login}")
    _note(locked, run, "Completed")
    return True


def mark_all_delivered(locked: spool.LockedMessage, run: ActionRun) -> bool:
    """-Mmad."""
    message = locked.message
    for recipient in message.recipients:
        message.nonrecipients.add(recipient.address)
        _note(locked, run, f"address <{recipient.address}> marked delivered by {run.login}")
    _rewritten(locked)
    run.say(f"Message {message.message_id} has been modified\n")
    return True


def move(locked: spool.LockedMessage, run: ActionRun) -> bool:
    """-MG: to the queue that ``run.destination`` names."""
    message = locked.message
    message_id = message.message_id
    target = replace(run.spool, queue_name=run.destination)
    if run.destination == run.spool.queue_name:
        run.say(f"Message {message_id} is on that queue already\n")
        return False
    place = spool.find(run.spool, message_id)
    if place is None:
        run.say(f"Spool data file for {message_id} does not exist\n")
        return False
    letter = message_id[5] if target.split else ""
    for kind in ("input", "msglog"):
        make_directory(target, directory_for(target, letter, kind))
    old, new = directory_for(run.spool, place.subdirectory), directory_for(target, letter)
    # The header file last: without it the message does not exist, and with both it would twice.
    for suffix in ("-J", "-D"):
        try:
            os.link(f"{old}/{message_id}{suffix}", f"{new}/{message_id}{suffix}")
        except FileNotFoundError:
            continue
    os.rename(f"{old}/{message_id}-H", f"{new}/{message_id}-H")
    for suffix in ("-J", "-D"):
        try:
            os.unlink(f"{old}/{message_id}{suffix}")
        except FileNotFoundError:
            continue
    with contextlib.suppress(FileNotFoundError):  # message_logs may be off
        os.rename(f"{directory_for(run.spool, place.subdirectory, 'msglog')}/{message_id}",
                  f"{directory_for(target, letter, 'msglog')}/{message_id}")
    source = f"({run.spool.queue_name}) " if run.spool.queue_name else ""
    dest = f"({run.destination}) " if run.destination else ""
    run.say(f"Message {message_id} ")
    _note(locked, run, f"moved from {source}input, msglog to {dest}input, msglog")
    return True


def _rewritten(locked: spool.LockedMessage) -> None:
    locked.rewrite_header()
    locked.remove_journal()


MARK: Final[dict[str, Callable[[spool.LockedMessage, ActionRun], bool]]] = {
    "Mf": freeze, "Mt": thaw, "Mrm": remove, "Mmad": mark_all_delivered, "MG": move}

# -- on one message, with addresses


def _checked(text: str) -> tuple[str, str | None]:
    """Return (address with the domain in lower case, None) or ("", why it is none)."""
    parsed = parse_address(text, allow_empty=True)
    if parsed.error is not None:
        return "", f"  bad address {text}: {parsed.error}\n"
    if parsed.address and parsed.domain_at == 0:
        return "", f"  bad address {text}: domain missing\n"
    at = parsed.domain_at
    return parsed.address[:at] + lower(parsed.address[at:]), None


def _without_address(message_id: str, doing: str, run: ActionRun) -> bool:
    run.say(f"Message {message_id} - error while {doing}: no address given\n")
    return False


def add_recipients(locked: spool.LockedMessage, addresses: list[str], run: ActionRun) -> bool:
    """-Mar."""
    message = locked.message
    new = []
    if not addresses:
        return _without_address(message.message_id, "adding recipient", run)
    for text in addresses:
        address, error = _checked(text)
        if error is None and not address:
            error = f"  bad address {text}: empty address\n"
        if error is not None:
            run.say(f"Message {message.message_id} - error while adding recipient:\n{error}")
            return False
        new.append(address)
    for address in new:
        message.recipients.append(Recipient(address))
        _note(locked, run, f"recipient <{address}> added by {run.login}")
    _rewritten(locked)
    run.say(f"Message {message.message_id} has been modified\n")
    return True


def mark_delivered(locked: spool.LockedMessage, addresses: list[str], run: ActionRun) -> bool:
    """-Mmd: the addresses are compared with regard to case."""
    message = locked.message
    if not addresses:
        return _without_address(message.message_id, "marking as delivered", run)
    known = {r.address for r in message.recipients}
    errors = [_checked(a)[1] or f"  {a} is not a recipient: message not updated\n" for a in addresses
              if a not in known]
    if errors:
        run.say(f"Message {message.message_id} "
                + "".join(f"- error while marking as delivered:\n{e}" for e in errors))
        return False
    for address in addresses:
        message.nonrecipients.add(address)
        _note(locked, run, f"address <{address}> marked delivered by {run.login}")
    _rewritten(locked)
    run.say(f"Message {message.message_id} has been modified\n")
    return True


def edit_sender(locked: spool.LockedMessage, addresses: list[str], run: ActionRun) -> bool:
    """-Mes."""
    message = locked.message
    if not addresses:
        return _without_address(message.message_id, "editing sender", run)
    if len(addresses) > 1:
        run.say(f"Message {message.message_id} - only one sender address can be specified\n")
        return False
    text = addresses[0]
    address, error = ("", None) if text == "<>" else _checked(text)
    if error is not None:
        run.say(f"Message {message.message_id} - error while editing sender:\n{error}")
        return False
    message.sender_address = address
    _rewritten(locked)
    run.say(f"Message {message.message_id} has been modified\n")
    _note(locked, run, f"sender address changed to <{address}> by {run.login}")
    return True


EDIT: Final[dict[str, Callable[[spool.LockedMessage, list[str], ActionRun], bool]]] = {
    "Mar": add_recipients, "Mmd": mark_delivered, "Mes": edit_sender}

# -- showing


def _copy(path: str, run: ActionRun) -> None:
    with open(path, "rb", buffering=0) as f:
        while chunk := f.read(1 << 16):
            run.write(chunk)


def _show_file(message_id: str, suffix: str, run: ActionRun) -> int:
    place = spool.find(run.spool, message_id)
    path = f"{directory_for(run.spool, place.subdirectory if place else '')}/{message_id}{suffix}"
    try:
        _copy(path, run)
    except OSError as e:
        run.say(f"Failed to open input file for {message_id}{suffix}: {e.strerror}\n")
        return 1
    return 0


def show_header(message_id: str, run: ActionRun) -> int:
    """-Mvh: the -H file as it is."""
    return _show_file(message_id, "-H", run)


def show_body(message_id: str, run: ActionRun) -> int:
    """-Mvb: the -D file as it is."""
    return _show_file(message_id, "-D", run)


def show_log(message_id: str, run: ActionRun) -> int:
    """-Mvl: the message log."""
    content = spool.message_log(run.spool, message_id)
    if content is None:
        run.say(f"Failed to open msglog file for {message_id}: No such file or directory\n")
        if not run.spool.message_logs:
            run.say("(No message logs are being created because the message_logs option is false.)\n")
        return 1
    run.write(content)
    return 0


def show_message(message_id: str, run: ActionRun) -> int:
    """-Mvc: header lines and body."""
    try:
        message = spool.read(run.spool, message_id)
    except SpoolError as e:
        _unusable(message_id, run, e, removing=False)
        return 1
    run.say("".join(h.text for h in message.headers if h.type != "*") + "\n")
    if message.data_path is not None:
        with open(message.data_path, "rb", buffering=0) as f:
            f.seek(message.data_start)
            while chunk := f.read(1 << 16):
                run.write(chunk)
    return 0


SHOW: Final[dict[str, Callable[[str, ActionRun], int]]] = {
    "Mvh": show_header, "Mvb": show_body, "Mvl": show_log, "Mvc": show_message}


