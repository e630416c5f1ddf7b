"""Commands: arguments, environment, exit codes and their texts, output; as observed of Exim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from delivery import Delivery
from hypothesis import given
from hypothesis import strategies as st

from pyexim.base.errors import ConfigError
from pyexim.model.address import Address
from pyexim.transports.command import split_command

RETURNED = "Child process of t transport returned "

CASES = [
    ({"command": "/bin/true"}, "ok", ""),
    ({"command": '/bin/sh -c "exit 1"'}, "fail", RETURNED + "1 from command: /bin/sh"),
    ({"command": '/bin/sh -c "exit 75"'}, "defer", RETURNED + "75 (could mean temporary error) from command: /bin/sh"),
    ({"command": '/bin/sh -c "exit 126"'}, "fail", RETURNED + "126 from command: /bin/sh"),
    ({"command": '/bin/sh -c "exit 129"'}, "fail",
     RETURNED + "129 (could mean shell command ended by signal 1 (Hangup)) from command: /bin/sh"),
    ({"command": '/bin/sh -c "exit 5"', "temp_errors": "*"}, "defer", RETURNED + "5 from command: /bin/sh"),
    ({"command": '/bin/sh -c "exit 3"', "ignore_status": True}, "ok", ""),
    ({"command": "/nonexistent/cmd"}, "fail",
     RETURNED + "127 (could mean unable to exec or command does not exist) from command: /nonexistent/cmd"),
    ({"command": "nonexistentcmd"}, "fail", '"nonexistentcmd" command not found for t transport'),
    ({"command": "/nonexistent/cmd", "freeze_exec_fail": True}, "defer",
     'pipe process failed to exec "/nonexistent/cmd"'),
    ({"command": "/bin/sleep 5", "timeout": 1}, "fail", "pipe delivery process timed out"),
    ({"command": "/bin/sleep 5", "timeout": 1, "timeout_defer": True}, "defer", "pipe delivery process timed out"),
    ({"command": '/bin/sh -c "yes"', "max_output": 10}, "fail",
     'Child process of t transport (running command "/bin/sh -c "yes"") was terminated by signal 9 (Killed)'),
    ({"command": '/bin/sh -c "exit 3"', "allow_commands": "/bin/cat"}, "fail",
     '"/bin/sh" command not permitted by t transport'),
    ({"command": '/bin/sh -c "exit 3"', "restrict_to_path": True}, "fail",
     '"/" found in "/bin/sh -c "exit 3"" (command for t transport) - failed for security reasons'),
    ({"command": "/bin/echo ${if xx}"}, "defer",
     'Expansion of "${if" from command "/bin/echo ${if xx}" in t transport failed: '
     'condition name expected, but found ""'),
    ({"command": '""'}, "defer", "no command specified for t transport"),
    ({"command": "/bin/echo hi", "return_output": True}, "fail", "return message generated"),
]


@pytest.mark.parametrize(("options", "status", "text"), CASES)
def test_outcome(options: dict[str, Any], status: str, text: str) -> None:
    d = Delivery("pipe", **options)
    result, = d.run()
    assert (result.status, result.text, result.errno) == (status, text, 0)
    assert result.freeze == ("freeze_exec_fail" in options)
    assert d.delivered == (["a@r.example"] if status == "ok" else [])


@pytest.mark.parametrize(("options", "code", "returned", "logged"), [
    ({"log_output": True}, 0, None, "hi"), ({"log_output": True}, 2, None, "hi"),
    ({"log_fail_output": True}, 0, None, None), ({"log_fail_output": True}, 2, None, "hi"),
    ({"log_defer_output": True}, 75, None, "hi"), ({"log_defer_output": True}, 2, None, None),
    ({"return_output": True}, 0, "hi\nho\n", None), ({"return_fail_output": True}, 0, None, None),
    ({"return_fail_output": True}, 2, "hi\nho\n", None)])
def test_output(options: dict[str, Any], code: int, returned: str | None, logged: str | None) -> None:
    result, = Delivery("pipe", command=f'/bin/sh -c "echo hi; echo ho; exit {code}"', **options).run()
    assert (result.output, result.return_output, result.log_output) == (returned, returned is not None, logged)


def test_output_is_not_returned_for_a_bounce() -> None:
    d = Delivery("pipe", command="/bin/echo hi", return_output=True)
    result, = d.run(d.message(sender_address=""))
    assert result.status == "ok" and not result.return_output


def test_message_and_environment(tmp_path: Path) -> None:
    d = Delivery("pipe", command=f'/bin/sh -c "cat > {tmp_path}/out; env > {tmp_path}/env; umask > {tmp_path}/mask"',
                 environment="X=1:Y=$domain", umask=0o77)
    assert d.run(home_dir="/home/a")[0].status == "ok"
    text = (tmp_path / "out").read_text()
    assert text.startswith("From s@test.example ") and text.endswith("\nSubject: x\n\nbody\n\n")
    env = dict(x.split("=", 1) for x in (tmp_path / "env").read_text().splitlines())
    assert {k: env[k] for k in ("LOCAL_PART", "USER", "DOMAIN", "HOME", "SENDER", "RECIPIENT", "PATH", "X", "Y",
                                "QUALIFY_DOMAIN", "MESSAGE_ID", "SHELL")} == {
        "LOCAL_PART": "a", "USER": "a", "DOMAIN": "r.example", "HOME": "/home/a", "SENDER": "s@test.example",
        "RECIPIENT": "a@r.example", "PATH": "/bin:/usr/bin", "X": "1", "Y": "r.example",
        "QUALIFY_DOMAIN": "test.example", "MESSAGE_ID": "1xVPjV-00046i-1z", "SHELL": "/bin/sh"}
    assert (tmp_path / "mask").read_text().strip() == "0077"


def test_batch_of_addresses() -> None:
    d = Delivery("pipe", command="/bin/echo $pipe_addresses", batch_max=5, log_output=True)
    first, second = d.run(to="a@r.example b@r.example")
    assert (first.log_output, second.log_output) == ("a@r.example b@r.example", None)


def test_a_command_need_not_read() -> None:
    d = Delivery("pipe", command="/bin/true")
    assert d.run(d.message(body=b"y\n" * 500_000))[0].status == "ok"


def redirected(text: str) -> Address:
    address = Address("|" + text, text, "r.example", "x")
    address.kind = "pipe"
    address.parent = Address("a@al.example")
    return address


def test_redirected_pipes() -> None:
    result, = Delivery("pipe", log_output=True).run(to=[redirected("/bin/echo foo 'b c' $x")])
    assert (result.status, result.log_output) == ("ok", "foo b c $x")
    d = Delivery("pipe", command="/bin/echo X $address_pipe", force_command=True, log_output=True)
    assert d.run(to=[redirected("/bin/echo foo 'b c'")])[0].log_output == "X /bin/echo foo b c"


def test_shell_and_batched_smtp(tmp_path: Path) -> None:
    d = Delivery("pipe", command=f"cat > {tmp_path}/out", use_shell=True, use_bsmtp=True)
    assert d.run(d.message(body=b".dot\n"))[0].status == "ok"
    assert (tmp_path / "out").read_text() == (
        "MAIL FROM:<s@test.example>\nRCPT TO:<a@r.example>\nDATA\nSubject: x\n\n..dot\n.\n")


@pytest.mark.parametrize("options", [
    {"use_shell": True, "restrict_to_path": True}, {"return_output": True, "return_fail_output": True},
    {"log_output": True, "log_fail_output": True}, {"temp_errors": "x"}])
def test_impossible_options(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Delivery("pipe", command="/bin/cat", **options)


@pytest.mark.parametrize(("text", "wanted"), [
    ("a b", ["a", "b"]), ("  a\t'b c'  \"d\\\"e\\n\" ", ["a", "b c", 'd"e\n']), ('e"f', ['e"f']), ("'open", ["open"]),
    ('"\\101\\x42"', ["AB"]), ("", []), ("''", [""])])
def test_split(text: str, wanted: list[str]) -> None:
    assert split_command(text) == wanted


@given(st.text(alphabet="ab \t\"'\\0x", max_size=30))
def test_split_never_fails(text: str) -> None:
    assert all(isinstance(x, str) for x in split_command(text))
