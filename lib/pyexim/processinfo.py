"""What a process is doing, for ``ps`` and ``exiwhat``: its title, and a line in the process log at SIGUSR1.

The title is the one record of it: the handler reads it back, so that nothing else has to be kept up to date, and a
forked child goes on with its own title under the same handler.  Spec: chapter "Exim utilities", exiwhat; option
process_log_path.
"""

from __future__ import annotations

import os
import signal
from importlib.machinery import PathFinder
from typing import Any

from pyexim.base.record import dataclass

_PREFIX = "pyexim: "


def _load() -> Any:
    """Return the C module of setproctitle: the package around it imports logging, a tenth of a command's start."""
    package = PathFinder.find_spec("setproctitle")
    spec = PathFinder.find_spec("_setproctitle", package.submodule_search_locations if package is not None else [])
    if spec is None or spec.loader is None:
        import setproctitle  # built without the C module: titles are not shown

        return setproctitle
    module: Any = spec.loader.create_module(spec)
    spec.loader.exec_module(module)
    return module


_titles: Any = _load()


def find_place() -> None:
    """Find where titles can be written: in the place of the environment, so before that is changed."""
    _titles.getproctitle()


def show(text: str) -> None:
    """Make a text the title of this process."""
    _titles.setproctitle(_PREFIX + text)


@dataclass(frozen=True, slots=True)
class ProcessLog:
    """Where processes tell what they do; the file is made for ``uid`` and ``gid`` where root makes it."""

    path: str
    uid: int = -1
    gid: int = -1
    command: str = ""
    """What a process without a title of ours is doing."""
    daemon: str = ""
    """What the daemon itself is doing."""

    def answer(self) -> None:
        """Have this process, and those that it forks, write their line at SIGUSR1."""
        signal.signal(signal.SIGUSR1, lambda *_: self.write())

    def write(self) -> None:
        """Append the line of this process; what cannot be written is nobody's loss."""
        title = _titles.getproctitle()
        text = title.removeprefix(_PREFIX).removeprefix("reception: ") if title.startswith(_PREFIX) else self.command
        if self.daemon and title.startswith(_PREFIX + "master"):
            text = self.daemon
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        except OSError:
            return
        try:
            if self.uid >= 0 and os.geteuid() == 0:
                os.fchown(fd, self.uid, self.gid)
            os.write(fd, f"{os.getpid():5d} {text}\n".encode("latin-1", "replace"))
        except OSError:
            return
        finally:
            os.close(fd)
