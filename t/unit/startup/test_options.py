"""The command line: what is understood, and what is refused in which words (observed with Exim 4.96)."""

from __future__ import annotations

import pytest

from pyexim.startup.options import Command, NotThere, UsageError, parse

ID = "16VDhn-000000001bo-D342"
SHORT = "16VDhn-00001b-D3"


def read(line: str, name: str = "exim") -> Command:
    return parse(name, line.split())


@pytest.mark.parametrize(("line", "mode"), [
    ("-bd", "daemon"), ("-bdf -q30m", "daemon"), ("-q1h", "daemon"), ("-q", "queue"), ("-qff", "queue"),
    ("-bs", "smtp"), ("-bS", "batch"), ("-bm a@b", "receive"), ("a@b", "receive"), ("-t", "receive"),
    ("-bp", "list"), ("-bpru", "list"), ("-bpc", "count"), ("-bt a@b", "bt"), ("-bv a@b", "bv"), ("-be x", "be"),
    ("-bV", "bV"), ("--version", "bV"), ("-bP", "bP"), ("-bh 192.0.2.1", "bh"), (f"-M {ID}", "M"),
    (f"-Mrm {SHORT} {ID}", "action"), (f"-Mvh {ID}", "action"), ("-R a.example", "queue"), ("-Sff x", "queue"),
    ("-bi", "bi"), ("-bI:help", "info"), ("-brt x", "brt"), ("-brw x", "brw"), ("-z note", "log"), ("", "help"),
    ("--check-config", "check_config"), (f"-MC t h 192.0.2.1 2 {ID}", "MC"), ("-i -x -n a@b", "receive")])
def test_mode(line: str, mode: str) -> None:
    assert read(line).mode == mode


@pytest.mark.parametrize(("line", "mode"), [
    ("-bp -bt", "list"), ("-bpc -bp", "list"), ("-bh 192.0.2.1 -bt x", "bt"), ("-bpc -bd", "count"),
    ("-bs -bp", "list"), ("-bV -bt x", "bV"), ("-q -bp", "list"), (f"-q -M {ID}", "M"), ("-q -brt x", "brt"),
    ("-z x -bp", "log"), ("--help -bp", "help"),
    ("-bI:dscp -bt x", "bt"), ("-qGn -bp", "list"), ("-oPX -bd", "pid_file"), ("-bem f -q", "queue"),
    ("-bw", "daemon"),
    ("-bw5m", "daemon"), (f"-Mset {ID} -be x", "be"), (f"-Mset {ID} -M {ID}", "M"), ("-B 8BITMIME a@b", "receive"),
    ("-Ex -n5 -Ux -odd -oAx a@b", "receive")])
def test_one_of_several_modes(line: str, mode: str) -> None:
    assert read(line).mode == mode


@pytest.mark.parametrize(("name", "mode"), [
    ("/usr/bin/mailq", "list"), ("runq", "queue"), ("newaliases", "bi"), ("rsmtp", "batch"), ("sendmail", "help")])
def test_called_as(name: str, mode: str) -> None:
    assert read("", name).mode == mode


def test_rmail_keeps_dots_and_mails_errors() -> None:
    command = read("a@b", "rmail")
    assert (command.mode, command.dot_ends, command.error_mode) == ("receive", False, "e")


@pytest.mark.parametrize(("line", "text"), [
    ("-C", "exim abandoned: unknown, malformed, or incomplete option -C"),
    ("-bX", "exim abandoned: unknown, malformed, or incomplete option -bX"),
    ("-zz", "exim abandoned: unknown, malformed, or incomplete option -zz"),
    ("-q1x", "exim: bad time value -q1x: abandoned"),
    ("-qfx", "exim: bad time value -qfx: abandoned"),
    ("-q x", "exim: bad time value x: abandoned"),
    ("-M", "exim: no message ids given after -M option"),
    ("-Mrm", "exim: no message ids given after -Mrm option"),
    ("-MG foo", "exim: no message ids given after -MG option"),
    ("-M 123", "exim: malformed message id 123 after -M option"),
    ("-Mvh a b", "exim: malformed message id a after -Mvh option"),
    ("-bs -bd", "exim: incompatible command-line options or arguments"),
    ("-bw -q5m", "exim: incompatible command-line options or arguments"),
    ("-bwx", "exim: bad time value -bwx: abandoned"),
    ("-bs -f a@b", "exim: incompatible command-line options or arguments"),
    ("-q5m -f a@b", "exim: incompatible command-line options or arguments"),
    ("-bi a@b", "exim: incompatible command-line options or arguments"),
    ("-bt -bv x", "exim: incompatible command-line options or arguments"),
    (f"-Mset {SHORT}", "exim: incompatible command-line options or arguments"),
    (f"-Mset {SHORT} -bV", "exim: incompatible command-line options or arguments"),
    ("-Mset", "exim: no message ids given after -Mset option"),
    ("-oMa", "exim: data expected after -oMa"), ("-oM", "exim: data expected after -oM"),
    ("-oMr a -oMr b", "received_protocol is set already"), ("-oBx", "exim: number expected after -oB"),
    ("-os5q", "exim: bad time value -os5q: abandoned"), ("-or", "exim: bad time value -or: abandoned"),
    ("-", "exim abandoned: unknown, malformed, or incomplete option -"),
    ("-DA=1 -DA=2", "exim: duplicated -D in command line"),
    ("-bp -bd", "exim: incompatible command-line options or arguments"),
    ("-t -bs", "exim: incompatible command-line options or arguments"),
    ("-q -bs", "exim: incompatible command-line options or arguments"),
    ("-bt -t x", "exim: incompatible command-line options or arguments"),
    ("-bd -foo", "exim: incompatible command-line options or arguments"),
    ("-R", "exim: string expected after -R"),
    ("-O", "exim: string expected after -O"),
    ("-X", "exim: string expected after -X"),
    ("-z", "exim: file name expected after -z"),
    ("-dfoo", 'exim: malformed debug_selector setting: + or - expected but found "foo"'),
    ("-bh 1.2.3", 'exim abandoned: "1.2.3" is not an IP address'),
    ("-bh", "exim abandoned: unknown, malformed, or incomplete option -bh"),
    ("-oed", "exim abandoned: unknown, malformed, or incomplete option -oed"),
    ("-odz", "exim abandoned: unknown, malformed, or incomplete option -odz"),
    ("-D", "exim: macro name set by -D must start with an upper case letter"),
    ("-os 3", "exim: bad time value 3: abandoned"),
    ("-oMm x", "-oMm must be a valid message ID"),
    ("-MC a", "exim: too many or too few arguments after -MC"),
    ("-L 012345678901234567890123456789012345",
     'exim: the -L syslog name is too long: "012345678901234567890123456789012345"'),
    ("-p", "exim abandoned: unknown, malformed, or incomplete option -p"),
    ("-L", "exim abandoned: unknown, malformed, or incomplete option -L")])
def test_refused(line: str, text: str) -> None:
    with pytest.raises(UsageError) as e:
        read(line)
    assert str(e.value) == text


@pytest.mark.parametrize("line", ["-bmalware x"])
def test_what_is_not_there_is_refused_by_name(line: str) -> None:
    with pytest.raises(NotThere, match=line.split()[0]):
        read(line)


def test_filters_to_be_tested() -> None:
    c = read("-bF sys -bf user -bfd d -bfl l -bfp p- -bfs -s")
    assert (c.mode, c.system_filter, c.filter) == ("bf", "sys", "user")
    assert (c.filter_domain, c.filter_local_part, c.filter_prefix, c.filter_suffix) == ("d", "l", "p-", "-s")


@pytest.mark.parametrize("line", ["-bf", "-bf x y", "-bf x -bt a@b", "-bf x -t", "-bfx y"])
def test_filters_not_to_be_tested(line: str) -> None:
    with pytest.raises(UsageError):
        read(line)


@pytest.mark.parametrize("line", ["-B8BITMIME", "-m", "-om", "-oo", "-U", "-x", "-pd", "-ps", "-O a=b", "-X log",
                                  "-h 3", "-Am", "-dropcr", "-ov", "-or 5m"])
def test_what_sendmail_has_is_accepted(line: str) -> None:
    assert read(line + " a@b").arguments == ["a@b"]


def test_values_attached_and_apart() -> None:
    one, two = read("-fa@b -FName -C/x -odq x@y"), read("-f a@b -F Name -C /x -odq x@y")
    assert one == two
    assert (one.sender, one.sender_name, one.config_files, one.delivery) == ("a@b", "Name", "/x", "q")


def test_queue_runs() -> None:
    run = read("-qqiffl1h30m -bd").queue_run
    assert run is not None
    assert (run.two_stage, run.first_only, run.force, run.force_frozen, run.local_only, run.interval) == (
        True, True, True, True, True, 5400)
    run = read(f"-q {SHORT} {ID}").queue_run
    assert run is not None and (run.start_id, run.stop_id) == (SHORT, ID)
    run = read("-bd -q25m -Rrff ^x").queue_run
    assert run is not None and (run.recipient, run.recipient_regex, run.force_frozen) == ("^x", True, True)
    command = read("-bd -qGone/5m -qGtwo/10m")
    assert command.queue_run is not None and command.queue_run.queue_name == "one"
    assert [r.queue_name for r in command.more_runs] == ["two"]


def test_macros() -> None:
    assert read("-DABC -DX=1 -DY=a=b x@y").macros == {"ABC": "", "X": "1", "Y": "a=b"}
    with pytest.raises(UsageError, match="duplicated -D"):
        read("-DA=1 -DA=2 x")


def test_double_hyphen_ends_the_options() -> None:
    assert read("-bm -- -q").arguments == ["-q"]
