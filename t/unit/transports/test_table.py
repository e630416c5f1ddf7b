"""The table of transports: drivers that are made when they are needed, and not when the configuration is read."""

from typing import Any

import pytest

from pyexim.base.errors import ConfigError
from pyexim.config.load import load
from pyexim.transports.table import CHECKED, OPTIONS, find_driver

HEAD = "exim_user = root\nbegin transports\nt:\n  driver = smtp\n"


@pytest.mark.parametrize("driver", CHECKED)
def test_checked_names_all_options_that_a_check_reads(driver: str) -> None:
    cls = find_driver(driver)
    assert cls is not None
    read: set[str] = set()

    class Recording(cls.Options):  # type: ignore[name-defined, misc]
        def __getattribute__(self, name: str) -> Any:
            if name in cls.Options.__options__:
                read.add(name)
            return super().__getattribute__(name)

    instance = load(["c"], data=HEAD.encode()).transports["t"]
    made = cls(instance)
    made.options = Recording()
    made.options.dscp = "no-such"
    with pytest.raises(ConfigError):
        made.check()
    made.options.dscp = None
    made.check()
    assert read
    assert read <= CHECKED[driver]


@pytest.mark.parametrize("driver", OPTIONS)
def test_options_are_those_of_the_driver(driver: str) -> None:
    cls = find_driver(driver)
    assert cls is not None
    assert OPTIONS[driver] == f"{cls.Options.__module__}:{cls.Options.__name__}"


def test_made_when_needed() -> None:
    instance = load(["c"], data=HEAD.encode()).transports["t"]
    assert instance.made is None
    driver = instance.driver
    assert type(driver).__name__ == "Smtp"
    assert instance.driver is driver
    assert not driver.is_local


def test_checked_at_once_where_an_option_may_be_wrong() -> None:
    assert load(["c"], data=(HEAD + "  dscp = ef\n").encode()).transports["t"].made is not None
    with pytest.raises(ConfigError, match="dscp"):
        load(["c"], data=(HEAD + "  dscp = no-such\n").encode())
