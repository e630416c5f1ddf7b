"""-bP: its arguments, hiding, -n."""

from pyexim.config.show import DENIED, MASK, print_value, show

from .read import read

TEXT = """\
X = 1
hide qualify_domain = secret
hide queue_only
trusted_users = root : daemon
exim_user = 0
bounce_message_text = "a\\nb\\x01\\xff'\\"\\\\"
domainlist d = x : y
hide hostlist d = 10.0.0.1
begin acl
a:
  accept  hosts  =  :
begin routers
r1:
  driver = redirect
  hide data = b
r2:
  driver = redirect
  data = c
r3:
  driver = accept
  user = root
  hide address_data = z
begin transports
t:
  driver = smtp
begin retry
*  *  F,1h,1m
"""
CONFIG = read(TEXT)


def lines(*args: str, admin: bool = True, no_labels: bool = False) -> list[str]:
    return show(CONFIG, list(args), admin=admin, no_labels=no_labels)[0]


def test_single_options() -> None:
    assert lines("qualify_domain", "queue_only", "prdr_enable") == ["qualify_domain = secret", "queue_only",
                                                                    "no_prdr_enable"]
    assert lines("trusted_users", "exim_user", "never_users", "queue_only_load", "bi_command") == [
        "trusted_users = root:daemon", "exim_user = root", "never_users =", "queue_only_load =", "bi_command = "]
    assert lines("bounce_message_text") == ["bounce_message_text = a\\nb\\001\\377'\"\\"]
    assert lines("callout_domain_positive_expire", "check_spool_space", "bounce_return_size_limit") == [
        "callout_domain_positive_expire = 1w", "check_spool_space = 10M", "bounce_return_size_limit = 100K"]


def test_configuration_without_layout_or_admin() -> None:
    terse = lines("config", no_labels=True)
    assert terse[2:5] == ["X = 1", "hide qualify_domain = secret", "hide queue_only"]
    assert "" not in terse and not any(line.startswith(" ") for line in terse)
    shown = lines("config", admin=False)
    assert f"X = {MASK}" in shown and f"hide qualify_domain = {MASK}" in shown and f"    hide data = {MASK}" in shown


def test_exit_code_is_that_of_the_last_argument() -> None:
    assert show(CONFIG, ["nonsense", "queue_only"], admin=True) == (["nonsense is not a known option", "queue_only"], 0)
    assert show(CONFIG, ["queue_only", "nonsense"], admin=True)[1] == 1
    assert show(CONFIG, ["router", "no"], admin=True) == (["router no not found"], 1)
    assert show(CONFIG, ["router"], admin=True) == (["router is not a known option"], 1)
    assert show(CONFIG, ["+no"], admin=True) == (
        ['no address, domain, host, or local part list called "no" exists'], 1)
    assert show(CONFIG, ["macro", "no"], admin=True) == (["macro no not found"], 1)
    assert show(CONFIG, ["local_scan"], admin=True) == (["local_scan() options are not supported"], 1)


def test_hidden_from_others() -> None:
    assert lines("qualify_domain", "queue_only", "+d", admin=False) == [
        f"qualify_domain = {MASK}", f"queue_only = {MASK}", "domainlist d = x : y", f"hostlist d = {MASK}"]
    assert lines("+d") == ["domainlist d = x : y", "hostlist d = 10.0.0.1"]
    assert f"data = {MASK}" in lines("router", "r2", admin=False)
    assert f"address_data = {MASK}" in lines("router", "r1", admin=False)
    assert "data = c" in lines("router", "r2")
    for arg in ("macros", "macro_list"):
        assert show(CONFIG, [arg], admin=False) == ([DENIED], 1)
    assert show(CONFIG, ["macro", "X"], admin=False) == ([DENIED], 1)
    config = lines("config", admin=False)
    assert f"hide qualify_domain = {MASK}" in config and MASK in config


def test_without_labels() -> None:
    assert lines("qualify_domain", "+d", "trusted_users", "no_such", no_labels=True) == [
        "secret", "x : y", "10.0.0.1", "root:daemon", "no_such is not a known option"]
    assert lines("macro", "X", no_labels=True) == ["1"]
    assert show(CONFIG, ["environment"], admin=True, environment={"A": "b"})[0] == ["A=b"]
    assert show(CONFIG, ["environment"], admin=True, environment={"A": "b"}, no_labels=True)[0] == ["A"]


def test_names() -> None:
    assert lines("router_list", "transport_list", "authenticator_list") == ["r1", "r2", "r3", "t"]
    assert lines("configure_file", "config_file") == ["/conf", "/conf"]
    assert lines("macro", "X") == ["X=1"]
    assert lines("macro_list")[-1] == "X"
    assert "_OPT_MAIN_QUEUE_ONLY" in lines("macro_list")
    assert lines("macro", "_LOG_PID") == ["_LOG_PID=y"]


def test_all_instances() -> None:
    shown = lines("routers")
    assert shown[:2] == ["", "r1 router:"]
    assert [x for x in shown if x.endswith(" router:")] == ["r1 router:", "r2 router:", "r3 router:"]
    assert lines("router", "r1", "transport", "t") == lines("router", "r1") + lines("transport", "t")
    assert lines() == lines("all")


def test_defaults_that_follow_from_other_options() -> None:
    assert "group = root" in lines("router", "r3")
    assert "group = " in lines("router", "r2")
    assert "log_as_local" in lines("router", "r3") and "no_log_as_local" in lines("router", "r2")
    assert "no_retry_use_local_part" in lines("transport", "t")


def test_the_configuration_as_parsed() -> None:
    assert lines("config")[2:] == [
        "X = 1", "hide qualify_domain = secret", "hide queue_only", "trusted_users = root : daemon", "exim_user = 0",
        "bounce_message_text = \"a\\nb\\x01\\xff'\\\"\\\\\"", "domainlist d = x : y", "hide hostlist d = 10.0.0.1", "",
        "begin acl", "", "  a:", "    accept hosts = :", "", "begin routers", "", "  r1:", "    driver = redirect",
        "    hide data = b", "", "  r2:", "    driver = redirect", "    data = c", "", "  r3:", "    driver = accept",
        "    user = root", "    hide address_data = z", "", "begin transports", "", "  t:", "    driver = smtp", "",
        "begin retry", "  * * F,1h,1m"]


def test_printing_octets() -> None:
    assert print_value("a\tb\rc\x00\x7f\xe9\\") == "a\\tb\\rc\\000\\177\\351\\"
