"""Reading configurations: lines, macros, conditions, inclusion, sections, places, collected faults."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyexim.base.errors import ConfigError, Place
from pyexim.config.reader import find_file, read_configuration

from .read import DEBIAN, read


def message(text: str, **keywords: object) -> str:
    with pytest.raises(ConfigError) as e:
        read(text, **keywords)
    return str(e.value)


def test_continuation_and_comments() -> None:
    config = read("  # c \\\nqualify_domain = a \\\n  # inside \\\n   b\\\n\nqualify_recipient = x\n")
    assert config.main.qualify_domain == "a b"
    assert config.main.qualify_recipient == "x"
    assert config.set_places["qualify_domain"] == Place("/conf", 2)


def test_white_space_inside_lines_and_octets_survive() -> None:
    config = read("qualify_domain = \xa0a\x85b\x1c\xa0 \n")
    assert config.main.qualify_domain == "\xa0a\x85b\x1c\xa0"


def test_macros_go_by_substring_in_order() -> None:
    text = "AB = 1B\nA = 2\nqualify_domain = xABxA\nqualify_recipient = B\n"
    config = read(text)
    assert config.main.qualify_domain == "x1Bx2"
    assert config.macros == {"AB": "1B", "A": "2"}


def test_macros_of_the_command_line_stand_above_definitions() -> None:
    config = read("X = 1\nX == 2\nY = X\nqualify_domain = X.Y.Z\n", macros={"X": "9", "Z": ""})
    assert config.main.qualify_domain == "9.9."
    assert config.macros == {"X": "9", "Z": "", "Y": "9"}
    assert config.command_macros == {"X": "9", "Z": ""}


def test_redefinition_may_use_the_old_value() -> None:
    assert read("X = a\nX == X b\nX == X c\nqualify_domain = X\n").main.qualify_domain == "a b c"


def test_macros_between_drivers_and_acls() -> None:
    config = read("begin acl\nX = 1\na:\n accept message = X\nX == 2\nb:\n deny message = X\n"
                  "begin routers\nY = z\nr:\n driver = accept\n transport = Y\nbegin transports\nz:\n driver = pipe\n")
    assert config.acls["a"][0].text == "accept message = 1"
    assert config.acls["b"][0].text == "deny message = 2"
    assert config.routers[0].options.transport == "z"


def test_errors_name_the_macro_of_the_line() -> None:
    assert message("LIMIT = abc\nsmtp_accept_max = LIMIT\n") == (
        "Exim configuration error in line 2 of /conf:\n  integer expected for smtp_accept_max\n"
        "  (the line contains the macro LIMIT, defined in line 1 of /conf)")
    assert "command line" in message("smtp_accept_max = LIMIT\n", macros={"LIMIT": "abc"})


def test_conditions() -> None:
    text = ".ifdef X\nqualify_domain = x\n.elifdef Y\nqualify_domain = y\n.elifndef Y\nqualify_domain = none\n" \
           ".else\nqualify_domain = never\n.endif\n"
    assert read(text).main.qualify_domain == "none"
    assert read("Y =\n" + text).main.qualify_domain == "y"
    assert read("X =\nY =\n" + text).main.qualify_domain == "x"
    nested = ".ifdef X\n.ifndef Y\nqualify_domain = in\n.else\nfoo\n.endif\n.else\nqualify_domain = out\n.endif\n"
    assert read(nested).main.qualify_domain == "out"
    assert read("X=\n" + nested).main.qualify_domain == "in"


def test_comments_behind_else_and_endif() -> None:
    assert read(".ifdef\tX \xfc\nfoo\n.else\t\xfcber\nqueue_only\n.endif \xe9\n").main.queue_only


def test_missing_endif_names_the_ifdef() -> None:
    assert message("queue_only\n.ifdef X\nfoo\n\n") == (
        "Exim configuration error in line 4 of /conf:\n  Unexpected end of configuration file: .endif missing\n"
        "  (the condition that has no end begins in line 2 of /conf)")


def test_builtin_macros() -> None:
    text = ".ifdef _OPT_MAIN_QUEUE_ONLY\nqueue_only\n.endif\n.ifdef _DRIVER_ROUTER_ACCEPT\nprdr_enable\n.endif\n" \
           ".ifdef _LOG_PID\nallow_mx_to_ip\n.endif\n.ifdef _OPT_TRANSPORT_PIPE_UMASK\nlog_timezone\n.endif\n" \
           ".ifdef _OPT_ROUTERS_SELF\nmua_wrapper\n.endif\n.ifdef _HAVE_NO_SUCH_THING\nfoo\n.endif\n"
    main = read(text).main
    assert main.queue_only and main.prdr_enable and main.allow_mx_to_ip and main.log_timezone and main.mua_wrapper


def test_inclusion(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b").write_text("qualify_recipient = b\n.include c\n")
    (tmp_path / "sub/c").write_text("queue_only\nsmtp_accept_max = x\n")
    (tmp_path / "main").write_text("queue_run_in_order\n.include sub/b\nqualify_domain = a\n")
    with pytest.raises(ConfigError) as e:
        read_configuration([f"{tmp_path}/main"], settings=DEBIAN)
    assert e.value.place == Place(f"{tmp_path}/sub/c", 2)
    (tmp_path / "sub/c").write_text("queue_only\n")
    config = read_configuration([f"{tmp_path}/main"], settings=DEBIAN)
    assert config.main.queue_only and config.main.qualify_domain == "a"
    assert config.files == [f"{tmp_path}/main", f"{tmp_path}/sub/b", f"{tmp_path}/sub/c"]


def test_endless_inclusion_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(".include a\n")
    with pytest.raises(ConfigError, match="nested too deeply"):
        read_configuration([f"{tmp_path}/a"], settings=DEBIAN)


def test_inclusion_within_a_continued_line(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("b : \\\n")
    config = read(f"qualify_domain = a : \\\n .include {tmp_path}/x\n c\n")
    assert config.main.qualify_domain == "a : b : c"


def test_the_first_existing_file_is_used(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("queue_only\n")
    assert find_file([f"{tmp_path}/a", f"{tmp_path}/b"])[0] == f"{tmp_path}/b"
    with pytest.raises(ConfigError) as e:
        find_file([f"{tmp_path}/a", f"{tmp_path}/c"])
    assert str(e.value) == f"non-existent configuration file(s): {tmp_path}/a:{tmp_path}/c"


def test_named_lists() -> None:
    config = read("domainlist a = x : y\nhide domainlist b = z\nhostlist_cache a = <; ::1\n"
                  "addresslist q = \"*@\\x41\"\nlocalpartlist p =\n")
    assert config.named_lists["domain"]["a"].text == "x : y"
    assert config.named_lists["domain"]["b"].hide
    assert config.named_lists["host"]["a"].cached
    assert config.named_lists["host"]["a"].place == Place("/conf", 3)
    assert config.named_lists["address"]["q"].text == "*@A"
    assert config.named_lists["localpart"]["p"].text == ""


def test_sections_in_any_order() -> None:
    config = read("begin transports\nt:\ndriver = smtp\nport = 1\nbegin retry\n* * F,1h,1m\nbegin acl\na:\naccept\n"
                  "begin rewrite\n*@a b@c\nbegin routers\nr:\ndriver = redirect\ndata = :blackhole:\n")
    assert config.transports["t"].options.port == "1"
    assert [r.text for r in config.retry] == ["* * F,1h,1m"]
    assert [r.text for r in config.rewrite] == ["*@a b@c"]
    assert config.rewrite[0].place == Place("/conf", 11)
    assert [line.text for line in config.acls["a"]] == ["accept"]
    assert [r.name for r in config.routers] == ["r"]


def test_generic_options_may_stand_before_the_driver() -> None:
    config = read("begin routers\nr:\n no_more\n transport = t\n driver = accept\n")
    router = config.routers[0]
    assert router.options.more is False and router.options.transport == "t"
    assert router.set_places["transport"] == Place("/conf", 4)
    assert message("begin routers\nr:\n more = x\n driver = accept\n").startswith(
        "Exim configuration error in line 3 of /conf:")


def test_accumulating_options() -> None:
    config = read("begin routers\nr:\n driver = accept\n headers_add = A: b\n headers_add = C: d\n"
                  " headers_remove = x : y\n headers_remove = <; z ; a:b\n set = r_a = 1\n"
                  " set = <, r_b = 2;3 , r_c = 4\n")
    o = config.routers[0].options
    assert o.headers_add == "A: b\nC: d"
    assert o.headers_remove == "x:y:z:a::b"
    assert o.set == "r_a = 1;r_b = 2;;3;r_c = 4"


def test_switches_for_both_senders_and_recipients() -> None:
    o = read("begin routers\nr:\n driver = accept\n no_verify\n fail_verify\n").routers[0].options
    assert (o.verify_sender, o.verify_recipient) == (False, False)
    assert (o.fail_verify_sender, o.fail_verify_recipient) == (True, True)


def test_typed_options_that_are_expanded() -> None:
    main = read("queue_run_max = ${if eq{a}{b}{1}{2}}\nrecipients_max = 5K\nsmtp_receive_timeout = $x\n").main
    assert (main.queue_run_max, main.recipients_max, main.smtp_receive_timeout) == (
        "${if eq{a}{b}{1}{2}}", 5120, "$x")


def test_defaults_from_build_and_machine() -> None:
    main = read("primary_hostname = p.example\n").main
    assert (main.qualify_domain, main.qualify_recipient) == ("p.example", "p.example")
    assert (main.spool_directory, main.exim_user) == ("/var/spool/exim4", "Debian-exim")
    assert main.process_log_path == "/var/spool/exim4/exim-process.info"


def test_all_faults_are_collected() -> None:
    faults: list[ConfigError] = []
    config = read("foo\nqueue_only = x\n.include /no/such\nqualify_domain = ok\n.endif\nX 1\nbegin nonsense\n"
                  "begin acl\naccept\nbegin routers\nr:\ndriver = none\ndata = x\ns:\ndriver = accept\nbar\nt:\n"
                  "begin retry\n* *\n",
                  faults=faults)
    assert [f.place.line for f in faults if f.place] == [1, 2, 3, 5, 6, 7, 9, 12, 16, 17]
    assert config.main.qualify_domain == "ok"
    assert [r.name for r in config.routers] == ["s"]
    assert len(config.retry) == 1


FRAGMENTS = st.sampled_from([
    "qualify_domain = x", "queue_only", "no_queue_only", "X = 1", "X == 2", "XY = 3", ".ifdef X", ".else", ".endif",
    ".elifdef Q", "begin acl", "begin routers", "begin transports", "begin retry", "begin", "a:", "driver = accept",
    "driver = smtp", "transport = X", "domainlist a = b", "hide", "hide a", "hostlist", ".include", ".include /no",
    "\\", "\"", "= ", "#", "", "  ", "auto_thaw = 1", "no_", "accept hosts = :", ":", "_HAVE_IPV6", "queue_only =",
    "user = root", "set = x", "headers_add = <", "qualify_domain = \"a", "never_users = <", "\xff\xa0",
    "delay_warning = :",
])


@settings(max_examples=300)
@given(st.lists(st.one_of(FRAGMENTS, st.text(st.characters(max_codepoint=255), max_size=20)), max_size=25),
       st.sampled_from(["\n", "\\\n", " "]))
def test_no_text_crashes_the_reader(lines: list[str], joint: str) -> None:
    text = joint.join(lines)
    faults: list[ConfigError] = []
    read(text, faults=faults)
    try:
        read(text)
    except ConfigError as e:
        assert faults and str(faults[0]) == str(e)
    else:
        assert not faults
