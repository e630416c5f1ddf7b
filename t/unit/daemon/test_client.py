"""What the client of the command socket writes by hand is what the daemon reads."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyexim.daemon import client


@given(st.lists(st.text(st.characters(max_codepoint=0xff))), st.text(st.characters(exclude_characters="\0")))
def test_request_is_json(argv: list[str], name: str) -> None:
    record = json.loads(client._request(argv, f"/etc/{name}".replace(":", ";")))
    assert record["type"] == "command"
    assert record["argv"] == argv
    assert record["files"] == [f"/etc/{name}".replace(":", ";")]
    assert record["cwd"] == os.getcwd()
    mask = os.umask(record["umask"])
    assert mask == record["umask"]


def test_environment_and_octets_that_are_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environb, b"HOME", b'/h\xff"\\\xf0\x9f\x90\x8d')
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setenv("SECRET", "x")
    record = json.loads(client._request([], ""))
    assert record["env"]["HOME"].encode("latin-1") == os.environb[b"HOME"]
    assert "TZ" not in record["env"] and "SECRET" not in record["env"]
    assert record["files"] == []


def test_little_is_imported() -> None:
    code = ("import sys; sys.path.insert(0, sys.argv[1]); from pyexim.daemon.client import ask_daemon; "
            "assert ask_daemon('sendmail', ['-C', '/nonexistent/x', '-t']) is None; print(*sys.modules)")
    top = client.__file__.rpartition("/pyexim/")[0]
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, top], capture_output=True, text=True, check=True)
    assert not {"re", "json", "typing", "enum", "functools", "array"} & set(done.stdout.split())
