"""The server's side of the mechanisms: base64, cancelling, strings and prompts, digests."""

from __future__ import annotations

import binascii
import hmac
import re
from typing import Any

from expand_scopes import make_scope
from hypothesis import given
from hypothesis import strategies as st

from pyexim.auth.base import BAD_BASE64, CANCELLED, DEFER, FAIL, OK, UNEXPECTED, AuthRun, Verdict
from pyexim.auth.dialogue import ServerDialogue, decode, encode
from pyexim.auth.plaintext import circumflexes
from pyexim.auth.table import find_driver
from pyexim.base.errors import Place
from pyexim.config.configuration import Instance


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
