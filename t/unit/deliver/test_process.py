"""One attempt at one message: routing and transports are stand-ins, spool and results are real."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from delivery_lab import World, make_address, make_router, make_transport

from pyexim.deliver import plan, process
from pyexim.deliver.api import DeliverRun
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.routers.base import Deferred, Failed, Rerouted, Routed, RouteRun
from pyexim.spool.api import read
from pyexim.transports.base import Result

LOCAL = make_router("local")
ALIAS = make_router("alias", log_as_local=False)
REMOTE = make_router("remote", log_as_local=False)


class Routing:
    """A stand-in for the routers: what becomes of an address by its local part."""

    def __init__(self) -> None:
        self.local = make_transport("tlocal")
        self.remote = make_transport("smtp", is_local=False, max_rcpt=100, multi_domain=True,
                                     connection_max_messages=500)
        self.aliases: dict[str, list[str]] = {}
        self.hosts = [Host("127.0.0.1", "127.0.0.1", 25)]
        self.routed: list[str] = []

    def __call__(self, address: Address, run: RouteRun) -> object:
        self.routed.append(str(address.address))
        name = address.local_part
        address.router = LOCAL
        if name in self.aliases:
            address.router = ALIAS
            children = [make_address(t, parent=address) for t in self.aliases[name]]
            run.new_children += children
            return Rerouted(children)
        if name.startswith("nosuch"):
            address.router = None
            return Failed("Unrouteable address", "Unrouteable address")
        if name.startswith("defer"):
            address.router = ALIAS
            return Deferred("come back")
        if address.domain == "r.example":
            address.router, address.transport = REMOTE, self.remote
            address.host_list = list(self.hosts)
        else:
            address.transport, address.uid, address.gid = self.local, os.geteuid(), os.getegid()
        return Routed()


class Starter:
    """A stand-in for the starter: runs the transport in this process, journalling as the child does."""

    def __init__(self, world: World, routing: Routing) -> None:
        self.world = world
        self.routing = routing
        self.jobs = 0

    def open_file(self, path: str, uid: int, gid: int, user_name: str | None = None) -> tuple[int, int]:
        return -1, errno.ENOENT

    def run_local(self, job) -> list[Result]:
        self.jobs += 1
        answers = self.routing.local.driver.answers
        results = []
        for address in job.batch:
            values = dict(answers.get(str(address.address), {}))
            status = values.pop("status", "ok")
            if status == "ok":
                os.write(job.journal_fd, str(address.unique).encode() + b"\n")
            results.append(Result(address, status, **values))
        return results


@pytest.fixture
def routing(monkeypatch: pytest.MonkeyPatch) -> Routing:
    made = Routing()
    monkeypatch.setattr(plan, "route_address", made)
    return made


@pytest.fixture
def attempt(world: World, routing: Routing) -> Callable[..., str]:
    world.services.privileged = Starter(world, routing)
    world.config.compiled["deliver.never_users"] = frozenset()

    def go(message_id: str, **flags: bool) -> str:
        return process.deliver(message_id, DeliverRun(world.config, world.services, world.spool, **flags)).status

    return go


def files(world: World) -> list[str]:
    return sorted(os.listdir(Path(world.spool.directory) / "input"))


def test_everything_delivered_leaves_nothing(world: World, routing: Routing, attempt) -> None:
    message_id = world.queue_message(["a@lab.example", "x@r.example", "y@r.example"])
    assert attempt(message_id) == "completed"
    assert world.log.lines == ["=> a <a@lab.example> R=local T=tlocal", "=> x@r.example R=remote T=smtp",
                               "-> y@r.example R=remote T=smtp", "Completed"]
    assert files(world) == []
    assert routing.remote.driver.batches == [["x@r.example", "y@r.example"]]
    assert not world.submitted and not world.log.panics


def test_deferral_keeps_the_message_and_what_was_delivered(world: World, routing: Routing, attempt) -> None:
    message_id = world.queue_message(["a@lab.example", "defer@lab.example"])
    assert attempt(message_id) == "kept"
    assert world.log.lines == ["== defer@lab.example R=alias defer (-1): come back",
                               "=> a <a@lab.example> R=local T=tlocal"]
    message = read(world.spool, message_id)
    assert message.nonrecipients == {"a@lab.example"}
    assert not message.deliver_firsttime
    assert files(world) == [f"{message_id}-D", f"{message_id}-H"]
    routing.routed.clear()
    assert attempt(message_id) == "kept"
    assert routing.routed == ["defer@lab.example"]


def test_message_log_has_the_lines_of_a_message_that_stays(world: World, attempt) -> None:
    message_id = world.queue_message(["a@lab.example", "defer@lab.example"])
    attempt(message_id)
    text = (Path(world.spool.directory) / "msglog" / message_id).read_text()
    assert "defer@lab.example R=alias defer (-1): come back\n" in text
    assert "a@lab.example: tlocal transport succeeded\n" in text


def test_aliases_are_done_when_all_their_children_are(world: World, routing: Routing, attempt) -> None:
    routing.aliases["list"] = ["a@lab.example", "defer@lab.example"]
    message_id = world.queue_message(["list@lab.example"])
    assert attempt(message_id) == "kept"
    assert read(world.spool, message_id).nonrecipients == {"a@lab.example"}
    routing.aliases["list"] = ["a@lab.example", "b@lab.example"]
    world.log.lines.clear()
    assert attempt(message_id) == "completed"
    assert world.log.lines == ["=> b <list@lab.example> R=local T=tlocal", "Completed"]


def test_duplicates_are_delivered_once_and_all_their_parents_are_done(world: World, routing: Routing, attempt) -> None:
    routing.aliases["list"] = ["a@lab.example"]
    message_id = world.queue_message(["a@lab.example", "list@lab.example", "defer@lab.example"])
    attempt(message_id)
    assert [x for x in world.log.lines if x.startswith("=>")] == ["=> a <list@lab.example> R=local T=tlocal"]
    assert read(world.spool, message_id).nonrecipients == {"a@lab.example", "list@lab.example"}


def test_one_time_puts_the_rest_among_the_recipients(world: World, routing: Routing, attempt,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ALIAS.options, "one_time", True)
    routing.aliases["foo"] = ["a@lab.example", "defer@lab.example"]
    message_id = world.queue_message(["foo@one.example"])
    attempt(message_id)
    message = read(world.spool, message_id)
    assert [(r.address, r.parent) for r in message.recipients] == [("foo@one.example", -1), ("defer@lab.example", 0)]
    assert message.nonrecipients == {"a@lab.example", "foo@one.example"}


def test_bounce(world: World, attempt) -> None:
    message_id = world.queue_message(["nosuch@lab.example", "a@lab.example"])
    assert attempt(message_id) == "completed"
    assert world.log.lines == ["** nosuch@lab.example: Unrouteable address", "=> a <a@lab.example> R=local T=tlocal",
                               "Completed"]
    arguments, data = world.submitted[0]
    assert arguments == ["-odi", "-t", "-oem", "-oi", "-f", "<>", f"-E{message_id}"]
    text = data.decode()
    assert text.startswith("X-Failed-Recipients: nosuch@lab.example\nAuto-Submitted: auto-replied\n"
                           "From: Mail Delivery System <Mailer-Daemon@lab.example>\nTo: s@r.example\n"
                           f"References: <E{message_id}@lab.example>\nContent-Type: multipart/report;")
    assert "\n  nosuch@lab.example\n    Unrouteable address\n" in text
    assert text.endswith("--\n") and "\nSubject: t\n" in text and "\n\nbody\n\n--" in text


def test_bounce_that_cannot_be_submitted_is_tried_again(world: World, attempt) -> None:
    world.submit_code = 1
    message_id = world.queue_message(["nosuch@lab.example"])
    assert attempt(message_id) == "kept"
    assert read(world.spool, message_id).nonrecipients == set()
    world.submit_code = 0
    assert attempt(message_id) == "completed"
    assert len(world.submitted) == 2


def test_bounce_that_fails_is_frozen(world: World, attempt) -> None:
    message_id = world.queue_message(["nosuch@lab.example"], sender="")
    assert attempt(message_id) == "kept"
    assert world.log.lines == ["** nosuch@lab.example: Unrouteable address", "Frozen (delivery error message)"]
    assert read(world.spool, message_id).frozen_since == world.clock.now
    world.log.lines.clear()
    assert attempt(message_id, queue_run=True) == "skipped"
    assert world.log.lines == ["Message is frozen"]
    world.log.lines.clear()
    assert attempt(message_id, force=True, force_frozen=True) == "kept"
    assert world.log.lines == ["Unfrozen by forced delivery", "** nosuch@lab.example: Unrouteable address",
                               "Frozen (delivery error message)"]


def test_freeze_tell(world: World, attempt) -> None:
    world.config.main.freeze_tell = "a@lab.example"
    attempt(message_id := world.queue_message(["nosuch@lab.example"], sender=""))
    text = world.submitted[0][1].decode()
    assert text.endswith(f"Subject: Message frozen\n\nMessage {message_id} has been frozen (delivery error message).\n"
                         "The sender is <>.\n\nThe following address(es) have yet to be delivered:\n"
                         "  nosuch@lab.example: Unrouteable address\n")


def test_old_bounces_are_dropped(world: World, attempt) -> None:
    world.config.main.ignore_bounce_errors_after = 100
    message_id = world.queue_message(["nosuch@lab.example"], sender="")
    attempt(message_id)
    world.clock.now += 200
    world.log.lines.clear()
    assert attempt(message_id, queue_run=True) == "completed"
    assert world.log.lines == ["Unfrozen by errmsg timer", "** nosuch@lab.example: Unrouteable address",
                               "nosuch@lab.example: error ignored", "Completed"]


def test_auto_thaw_and_timeout_frozen_after(world: World, attempt) -> None:
    world.config.main.auto_thaw = 50
    message_id = world.queue_message(["defer@lab.example"], frozen_since=world.clock.now)
    assert attempt(message_id, queue_run=True) == "skipped"
    world.clock.now += 60
    assert attempt(message_id, queue_run=True) == "kept"
    assert "Unfrozen by auto-thaw" in world.log.lines
    world.config.main.timeout_frozen_after = 10
    other = world.queue_message(["defer@lab.example"], message_id="1vABCD-000000000Ac-0000",
                                frozen_since=world.clock.now)
    world.clock.now += 20
    world.log.lines.clear()
    assert attempt(other, queue_run=True) == "completed"
    assert world.log.lines == ["cancelled by timeout_frozen_after", "Completed"]
    assert len(world.submitted) == 1


def test_giving_up_bounces_without_failure_lines(world: World, routing: Routing, attempt) -> None:
    message_id = world.queue_message(["a@lab.example", "defer@lab.example"])
    run = DeliverRun(world.config, world.services, world.spool, give_up=True, facts={"caller_login": "root"})
    assert process.deliver(message_id, run).status == "completed"
    assert world.log.lines == ["cancelled by root", "Completed"]
    assert b"\n  defer@lab.example\n" in world.submitted[0][1]
    assert not routing.routed


def test_locked_gone_and_broken(world: World, attempt) -> None:
    assert attempt("1vABCD-000000000Zz-0000") == "gone"
    assert world.log.lines == ["Spool file 1vABCD-000000000Zz-0000-D not found"]
    world.log.lines.clear()
    message_id = world.queue_message(["a@lab.example"])
    (Path(world.spool.directory) / "input" / f"{message_id}-H").write_text("nonsense")
    assert attempt(message_id) == "broken"
    assert files(world) == [f"{message_id}-D", f"{message_id}-H"]


def test_initial_runs_take_only_new_messages(world: World, attempt) -> None:
    message_id = world.queue_message(["defer@lab.example"])
    assert attempt(message_id, queue_run=True, first_only=True) == "kept"
    assert attempt(message_id, queue_run=True, first_only=True) == "skipped"


def test_held_and_queued_domains(world: World, routing: Routing, attempt) -> None:
    world.config.main.hold_domains = "hold.example"
    world.config.main.queue_domains = "qd.example"
    message_id = world.queue_message(["x@hold.example", "y@qd.example"])
    assert attempt(message_id) == "kept"
    assert world.log.lines == ["== x@hold.example defer (-23): domain is held",
                               "== y@qd.example routing defer (-56): domain is in queue_domains"]
    assert attempt(message_id, queue_run=True) == "kept"
    assert routing.routed == ["y@qd.example"]
    assert attempt(message_id, force=True) == "completed"


def test_remote_deliveries_kept_back(world: World, routing: Routing, attempt) -> None:
    message_id = world.queue_message(["x@r.example"])
    attempt(message_id, queue_run=True, local_only=True)
    world.config.main.queue_smtp_domains = "r.example"
    attempt(message_id)
    assert world.log.lines == [
        "== x@r.example R=remote T=smtp defer (-55): remote deliveries suppressed",
        "== x@r.example R=remote T=smtp defer (-1): first-pass only routing due to -odqs, queue_smtp_domains or "
        "control=queue"]
    assert attempt(message_id, queue_run=True) == "completed"


def test_fallback_hosts(world: World, routing: Routing, attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[list[str]] = []
    original = routing.remote.driver.deliver

    def deliver(batch, run):
        tried.append([h.name for h in batch[0].host_list])
        if len(tried) == 1:
            for a in batch:
                assert a.fallback_hosts
            return [Result(a, "pending", errno=111) for a in batch]
        return original(batch, run)

    monkeypatch.setattr(routing.remote.driver, "deliver", deliver)
    real = plan.route_address

    def route(address, run):
        outcome = real(address, run)
        address.fallback_hosts = [Host("fallback.example", "127.0.0.2", 25)]
        return outcome

    monkeypatch.setattr(plan, "route_address", route)
    assert attempt(world.queue_message(["x@r.example"])) == "completed"
    assert tried == [["127.0.0.1"], ["fallback.example"]]


def test_parallel_remote_deliveries(world: World, routing: Routing, attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    routing.remote.options.max_rcpt = 1
    world.config.main.remote_max_parallel = 2
    routing.remote.driver.answers["y@r.example"] = {"status": "fail", "text": "550 no", "errno": 0}
    message_id = world.queue_message(["x@r.example", "y@r.example", "z@r.example", "defer@lab.example"])
    assert attempt(message_id) == "kept"
    assert sorted(x for x in world.log.lines if not x.startswith("==")) == [
        "** y@r.example R=remote T=smtp: 550 no", "=> x@r.example R=remote T=smtp", "=> z@r.example R=remote T=smtp"]
    assert read(world.spool, message_id).nonrecipients == {"x@r.example", "y@r.example", "z@r.example"}


def test_suppressed_delivery(world: World, routing: Routing, attempt) -> None:
    message_id = world.queue_message(["a@lab.example", "x@r.example"], dont_deliver=True)
    assert attempt(message_id) == "completed"
    assert world.log.lines == [
        "*> a <a@lab.example> R=local T=tlocal",
        '*> x@r.example R=remote T=smtp H=127.0.0.1 [127.0.0.1] C="delivery bypassed by -N option"', "Completed"]
    assert not routing.remote.driver.batches


def test_pipe_output_is_returned_as_a_failure_that_was_delivered(world: World, routing: Routing, attempt) -> None:
    routing.local.driver.answers["a@lab.example"] = {"return_output": True, "output": "hello\n"}
    assert attempt(world.queue_message(["a@lab.example"])) == "completed"
    assert world.log.lines == ["** a@lab.example R=local T=tlocal: return message generated", "Completed"]
    assert b"\nThe following text was generated during the delivery attempt:\n" in world.submitted[0][1]
    assert b"hello\n" in world.submitted[0][1]


def test_without_its_system_filter_nothing_is_delivered(world: World, routing: Routing, attempt) -> None:
    world.config.main.system_filter = "/nonexistent/filter"
    assert attempt(world.queue_message(["a@lab.example"])) == "kept"
    assert world.log.panics == ["Error in system filter: /nonexistent/filter does not exist"]


def test_a_bug_defers(world: World, routing: Routing, attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "route_address", lambda a, r: 1 / 0)
    message_id = world.queue_message(["a@lab.example"])
    assert attempt(message_id) == "kept"
    assert "ZeroDivisionError" in world.log.panics[0]
    assert files(world) == [f"{message_id}-D", f"{message_id}-H"]


def test_journal_of_a_crashed_attempt_counts(world: World, routing: Routing, attempt) -> None:
    message_id = world.queue_message(["a@lab.example", "b@lab.example"])
    (Path(world.spool.directory) / "input" / f"{message_id}-J").write_text("a@lab.example\n")
    assert attempt(message_id) == "completed"
    assert world.log.lines == ["=> b <b@lab.example> R=local T=tlocal", "Completed"]
