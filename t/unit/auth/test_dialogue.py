"""The server's side of the mechanisms: base64, cancelling, strings and prompts, digests."""

from __future__ import annotations

import binascii
import hmac
import re
from typing import Any

from expand_scopes import make_scope
from hypothesis import given
from hypothesis import strategies as st

from pyexim.auth.base import (
    BAD_BASE64,
    CANCELLED,
    DEFER,
    ERROR,
    FAIL,
    OK,
    SKIPPED,
    UNEXPECTED,
    UNEXPECTED_CHALLENGE,
    AuthRun,
    GaveUp,
    Verdict,
)
from pyexim.auth.client import CONTENT, NONE, REFUSED, Authenticated, authenticate, fingerprint
from pyexim.auth.dialogue import ClientDialogue, Line, ServerDialogue, decode, encode
from pyexim.auth.plaintext import circumflexes
from pyexim.auth.table import find_driver
from pyexim.base.errors import Place
from pyexim.config.configuration import Instance
from pyexim.smtp.client import Answer


def start(driver: str, **options: Any) -> ServerDialogue:
    cls = find_driver(driver)
    assert cls is not None
    instance = Instance("a", "authenticator", driver, cls.Options(**options), Place("", 0))
    return ServerDialogue(cls(instance), AuthRun(make_scope(), "a"))


@given(st.binary())
def test_base64_goes_round(data: bytes) -> None:
    assert decode(encode(data)) == data
    assert decode(" ".join(encode(data))) == data


@given(st.text(alphabet="dQ=+/*! \t\xa0", max_size=9))
def test_base64_is_strict(text: str) -> None:
    packed = text.replace(" ", "").replace("\t", "")
    right = re.fullmatch(r"(?:[dQ+/]{4})*(?:[dQ+/]{2}==|[dQ+/]{3}=)?", packed)
    assert (decode(text) is not None) is (right is not None)


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=6), st.booleans(), st.integers(1, 4))
def test_plaintext_takes_any_octets(pieces: list[bytes], initial: bool, prompts: int) -> None:
    """What was sent arrives in order, however it is cut; no more is asked for than there are prompts."""
    dialogue = start("plaintext", server_prompts=":".join("p" * prompts) + ":", server_condition="${if eq{$auth1}{x}}")
    step = dialogue.begin((encode(pieces[0]) or "=") if initial else "")
    sent = pieces[:1] if initial else []
    waiting = pieces[1:] if initial else list(pieces)
    while isinstance(step, str):
        assert decode(step) == b"p"
        sent.append(waiting.pop(0) if waiting else b"")
        step = dialogue.answer(encode(sent[-1]))
    strings = [s.decode("latin-1") for piece in sent for s in piece.split(b"\0")]
    assert dialogue.run.values == strings[:20]
    assert step.status == (OK if strings[:1] == ["x"] else FAIL)


def test_ends_without_the_driver() -> None:
    def login() -> ServerDialogue:
        dialogue = start("plaintext", server_prompts="User : Pass", server_condition="yes")
        assert dialogue.begin("") == encode(b"User")
        return dialogue

    assert login().answer("*") == Verdict(CANCELLED)
    assert login().answer("x") == Verdict(BAD_BASE64)
    assert start("plaintext", server_condition="yes").begin("x") == Verdict(BAD_BASE64)
    assert start("cram_md5", server_secret="x").begin("=") == Verdict(UNEXPECTED)


def test_conditions() -> None:
    for condition, verdict in (("1", Verdict(OK)), ("True", Verdict(OK)), ("", Verdict(FAIL)), ("No", Verdict(FAIL)),
                               ("later", Verdict(DEFER, "later", "later")),
                               ("${if eq{a}{b}{yes}fail}", Verdict(FAIL))):
        assert start("plaintext", server_condition=condition).begin("=") == verdict
    broken = start("plaintext", server_condition="${if bad{a}}").begin("=")
    assert isinstance(broken, Verdict)
    assert broken.status == DEFER and not broken.user_text and broken.log_text


@given(st.binary(min_size=1, max_size=20).filter(lambda n: b"\0" not in n), st.booleans())
def test_cram_md5(name: bytes, right: bool) -> None:
    dialogue = start("cram_md5", server_secret="secret")
    challenge = dialogue.begin("")
    assert isinstance(challenge, str)
    digest = hmac.new(b"secret" if right else b"other", binascii.a2b_base64(challenge), "md5").hexdigest()
    verdict = dialogue.answer(encode(name + b" " + digest.encode("ascii")))
    assert verdict == Verdict(OK if right else FAIL)
    assert dialogue.run.values == [name.decode("latin-1")]


def test_circumflexes() -> None:
    assert circumflexes(b"^user^pass") == b"\0user\0pass"
    assert circumflexes(b"a^^b^^^c") == b"a^b^\0c"


# -- the client's side


def make(driver: str, name: str = "a", **options: Any) -> Any:
    cls = find_driver(driver)
    assert cls is not None
    return cls(Instance(name, "authenticator", driver, cls.Options(**options), Place("", 0)))


def client(driver: str, **options: Any) -> ClientDialogue:
    return ClientDialogue(make(driver, **options), AuthRun(make_scope(), "a"))


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=5), st.booleans())
def test_both_sides_understand_each_other(strings: list[bytes], initial: bool) -> None:
    """What our client says our server takes, also through prompts."""
    texts = [encode(x) for x in strings]  # (any octets, without what expansion and lists would see in them)
    asks = client("plaintext", public_name="X", client_send=":".join(texts if initial else ["", *texts]))
    server = start("plaintext", server_prompts=" : ".join("p" * len(texts)), server_condition="yes")
    line = asks.begin()
    assert isinstance(line, Line)
    step = server.begin(line.text.partition(" ")[2].partition(" ")[2])
    while isinstance(step, str):
        answer = asks.answer(" " + step)
        assert isinstance(answer, Line)
        assert set(answer.shown) <= {"*"}
        assert len(answer.shown) == len(answer.text)
        step = server.answer(answer.text)
    assert step == Verdict(OK)
    assert server.run.values == texts


def test_cram_md5_agrees_with_itself() -> None:
    server = start("cram_md5", public_name="CRAM-MD5", server_secret="${if eq{$auth1}{me}{s3cret}fail}")
    for name, secret, status in (("me", "s3cret", OK), ("me", "other", FAIL), ("you", "s3cret", FAIL)):
        asks = client("cram_md5", public_name="CRAM-MD5", client_name=name, client_secret=secret)
        server = start("cram_md5", public_name="CRAM-MD5", server_secret="${if eq{$auth1}{me}{s3cret}fail}")
        assert asks.begin() == Line("AUTH CRAM-MD5", "AUTH CRAM-MD5")
        challenge = server.begin("")
        assert isinstance(challenge, str)
        answer = asks.answer(" " + challenge)
        assert isinstance(answer, Line)
        verdict = server.answer(answer.text)
        assert isinstance(verdict, Verdict)
        assert verdict.status == status
        assert asks.answer(" " + challenge) == GaveUp(UNEXPECTED_CHALLENGE)


def test_an_empty_identity_is_said() -> None:
    assert client("external", public_name="EXTERNAL", client_send="").begin() == Line("AUTH EXTERNAL =",
                                                                                     "AUTH EXTERNAL *")


def talk(drivers: list[Any], *answers: str, offered: str = "ONE TWO CRAM-MD5") -> tuple[list[str], Authenticated]:
    """Return what a client says to a server that says this, and what comes of it."""
    scope, said, left = make_scope(), [], list(answers)
    conversation = authenticate(drivers, offered, scope, "H=h [1.1.1.1]", None)
    try:
        line = next(conversation)
        while True:
            said.append(line.text)
            text = left.pop(0)
            line = conversation.send(Answer(int(text[:3]), text))
    except StopIteration as end:
        assert not left
        return said, end.value


def test_a_bad_challenge_defers_after_a_cancel() -> None:
    cram = make("cram_md5", public_name="CRAM-MD5", client_secret="x")
    said, outcome = talk([cram], "334 <no base64>", "501 cancelled")
    assert said == ["AUTH CRAM-MD5", "*"]
    assert outcome.status == ERROR
    assert "bad base 64" in outcome.text


def test_consent_without_proof_is_refused() -> None:
    """A server that is content before it has seen a digest is not the one we share a secret with."""
    cram = make("cram_md5", public_name="CRAM-MD5", client_secret="x")
    said, outcome = talk([cram], "235 fine")
    assert said == ["AUTH CRAM-MD5"]
    assert (outcome.status, outcome.shown) == (REFUSED, "AUTH CRAM-MD5")


def test_the_next_one_is_tried_after_a_permanent_refusal() -> None:
    one = make("plaintext", "one", public_name="ONE", client_send="a")
    skipped = make("plaintext", "skipped", public_name="TWO", client_send="${if eq{a}{b}{x}fail}")
    two = make("plaintext", "two", public_name="two", client_send="b", client_set_id="me")
    said, outcome = talk([one, skipped, two], "535 no", "235 yes")
    assert said == ["AUTH ONE YQ==", "AUTH two Yg=="]
    assert (outcome.status, outcome.name, outcome.set_id) == (CONTENT, "two", "me")
    said, outcome = talk([one, two], "535 no", "535 no")
    assert (outcome.status, outcome.text) == (NONE, "authentication attempt(s) failed")
    said, outcome = talk([one, skipped], offered="TWO")
    assert (said, outcome.text) == ([], "no common mechanisms were found")


def test_fingerprints_tell_users_apart() -> None:
    drivers = [make("plaintext", client_send=": $local_part : ${if eq{$local_part}{force}{${if eq{a}{b}{x}fail}}}"),
               make("external", client_send="fixed", client_set_id="$local_part")]
    prints = set()
    for user in ("ann", "bob", "ann", "force"):
        scope = make_scope()
        scope.vars["local_part"] = user
        prints.add(fingerprint(drivers, scope))
    assert len(prints) == 3
    assert fingerprint(drivers[1:], make_scope()) == fingerprint([], make_scope())
    assert client("plaintext", public_name="X", client_send="${if eq{a}{b}{x}fail}").begin() == GaveUp(SKIPPED)
