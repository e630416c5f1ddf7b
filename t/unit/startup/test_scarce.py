"""A command for which the system has too little says so in a line; it is no fault of the program."""

from __future__ import annotations

import errno
import os

import pytest

from pyexim.cli import main
from pyexim.startup.options import Command


@pytest.mark.parametrize(("number", "code", "text"), [
    (errno.EMFILE, os.EX_TEMPFAIL, "exim: cannot go on: Too many open files: /some/file\n"),
    (errno.EAGAIN, os.EX_TEMPFAIL, "exim: cannot go on: Resource temporarily unavailable: /some/file\n"),
    (errno.EBADF, main.EX_SOFTWARE, "exim: unexpected failure: OSError")])
def test_what_the_system_lacks(number: int, code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    def make(command: Command) -> None:
        raise OSError(number, os.strerror(number), "/some/file")

    assert main._guarded(["exim", "-bV"], make) == code
    said = capsys.readouterr().err
    assert said.startswith(text) and "Traceback" not in said
