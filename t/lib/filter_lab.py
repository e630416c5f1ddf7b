"""The scope of a filter that is tested, without a program around it."""

from __future__ import annotations

from pathlib import Path

from expand_scopes import make_message, make_scope

from pyexim.base.taint import taint
from pyexim.expand.scope import Scope
from pyexim.mailfmt.header import kind_of
from pyexim.model.address import Address
from pyexim.model.message import Recipient

CASES = Path(__file__).resolve().parent.parent / "cases" / "filters"


def make_filter_scope() -> Scope:
    """Return the scope that the comparison's Exim has."""
    scope = make_scope()
    make_message(scope, CASES / "data" / "message")
    assert scope.message is not None
    for header in scope.message.headers:
        header.type = kind_of(header.text)
    scope.config.main.qualify_domain = "mx.example.com"
    scope.address = Address("root@mx.example.com", taint("root"), taint("mx.example.com"))
    scope.address.home_dir = "/root"
    scope.message.recipients = [Recipient(taint("root@mx.example.com"))]
    scope.message.sender_address = taint("root@mx.example.com")
    scope.message.message_size = (CASES / "data" / "message").stat().st_size
    scope.message.first_delivery = True
    scope.is_delivery = True
    return scope
