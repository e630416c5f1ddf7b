"""Routers as they are run: drivers made and checked, options turned into checks and flags, once per configuration."""

from __future__ import annotations

from collections.abc import Callable

from pyexim.base.errors import ConfigError, ExpansionError, ForcedFail
from pyexim.config.configuration import Configuration, Instance
from pyexim.expand.engine import expand
from pyexim.match.lists import split_list
from pyexim.model.address import Address
from pyexim.routers.affixes import Affixes
from pyexim.routers.base import Declined, Deferred, RouteOutcome, Router, RouteRun
from pyexim.routers.generic import Generic, VerifyErrorsAddress, require_transport
from pyexim.routers.preconditions import Check, compile_checks
from pyexim.routers.table import find_driver

SELF_WORDS = frozenset({"freeze", "defer", "pass", "fail", "send"})


class Prepared:
    """One router, ready to run."""

    __slots__ = ("affixes", "cannot_route_message", "caseful", "checks", "driver", "fail_verify_recipient",
                 "fail_verify_sender", "instance", "leaves_traces", "more", "name", "pass_to", "prelude",
                 "redirect_router", "repeat_use", "retry_use_local_part", "unseen")

    def __init__(self, driver: Router) -> None:
        self.driver = driver
        self.instance = driver.instance
        self.name = driver.name
        options = driver.options
        self.checks: tuple[Check, ...] = compile_checks(driver.instance)
        affixed = options.local_part_prefix is not None or options.local_part_suffix is not None
        self.affixes = Affixes(driver.instance) if affixed else None
        self.caseful: bool = options.caseful_local_part
        self.more: bool | str = options.more
        self.unseen: bool | str = options.unseen
        self.repeat_use: bool = getattr(options, "repeat_use", True)
        self.fail_verify_sender: bool = options.fail_verify_sender
        self.fail_verify_recipient: bool = options.fail_verify_recipient
        self.cannot_route_message: str | None = options.cannot_route_message
        self.redirect_router: str | None = options.redirect_router
        self.leaves_traces = (affixed or options.check_local_user or options.router_home_directory is not None
                              or options.user is not None or options.group is not None)
        if options.retry_use_local_part is None:
            options.retry_use_local_part = affixed or options.check_local_user or any(
                getattr(options, name) is not None for name in ("local_parts", "condition", "senders", "require_files"))
        self.retry_use_local_part: bool = options.retry_use_local_part
        self.pass_to: int | None = None
        settings = _settings(driver.instance)
        self.prelude = _prelude(driver.instance, settings) if settings or options.address_data is not None else None


class Routers:
    """All routers of a configuration, in order."""

    __slots__ = ("ordered", "positions")

    def __init__(self, ordered: list[Prepared]) -> None:
        self.ordered = ordered
        self.positions = {router.name: i for i, router in enumerate(ordered)}


def prepare(config: Configuration, verify_errors_address: VerifyErrorsAddress) -> Routers:
    """Make and check the drivers of a configuration; ConfigError for what makes no sense."""
    for instance in config.routers:
        found = find_driver(instance.driver_name)
        if found is None:
            raise ConfigError(f'router {instance.name}: cannot find router driver "{instance.driver_name}"',
                              instance.place, "driver")
        instance.driver = found(instance)
    routers = []
    for instance in config.routers:
        driver = instance.driver
        driver.generic = Generic(instance, config, verify_errors_address)
        require_transport(driver, config)
        if instance.options.log_as_local is None:
            instance.options.log_as_local = driver.log_as_local
        check_self(instance)
        driver.check()
        routers.append(Prepared(driver))
    found_routers = Routers(routers)
    _link(found_routers)
    return found_routers


def check_self(instance: Instance) -> None:
    """Refuse a value of ``self`` that means nothing."""
    text = instance.options.self
    if text in SELF_WORDS:
        return
    word, colon, rest = text.partition(":")
    if word.strip(" ") != "reroute" or not colon or not rest.strip(" "):
        raise ConfigError(f"{instance.name} router:\n  {text} is not valid for the self option",
                          instance.set_places.get("self", instance.place), "self")


def _link(routers: Routers) -> None:
    """Find the routers that others name."""
    for position, router in enumerate(routers.ordered):
        options = router.instance.options
        for option, below in (("pass_router", True), ("redirect_router", False)):
            name = getattr(options, option)
            if name is None:
                continue
            place = router.instance.set_places.get(option, router.instance.place)
            target = routers.positions.get(name)
            if target is None:
                raise ConfigError(f'new_router "{name}" not found for "{router.name}" router', place, option)
            if below:
                if target <= position:
                    raise ConfigError(f'new_router "{name}" does not follow "{router.name}" router', place, option)
                router.pass_to = target


def _settings(instance: Instance) -> list[tuple[str, str]]:
    """Read the option ``set``: (name, source) in order."""
    text = instance.options.set
    found = []
    if text is not None:
        items = split_list(text) if text.lstrip(" \t").startswith("<") else split_list(text, ";")
        for item in items:
            name, equals, value = item.partition("=")
            name = name.strip(" \t")
            if not item:
                continue
            if not equals or not name.startswith("r_"):
                raise ConfigError(f'{instance.name} router:\n  "{item}" is not valid for the set option: '
                                  "a setting of a variable r_... is expected",
                                  instance.set_places.get("set", instance.place), "set")
            found.append((name, value.lstrip(" \t")))
    return found


def _prelude(instance: Instance, settings: list[tuple[str, str]]) -> Callable[[Address, RouteRun], RouteOutcome | None]:
    """What is evaluated between the preconditions and the driver: ``set``, then address_data."""
    name = instance.name
    address_data: str | None = instance.options.address_data

    def evaluate(address: Address, run: RouteRun) -> RouteOutcome | None:
        source = ""
        try:
            for variable, source in settings:
                address.vars[variable] = expand(source, run.scope)
            if address_data is not None:
                source = address_data
                address.address_data = expand(source, run.scope)
        except ForcedFail:
            return Declined()
        except ExpansionError as e:
            return Deferred(f'expansion of "{source}" failed in {name} router: {e.text}')
        return None
    return evaluate
