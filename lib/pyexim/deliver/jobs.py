"""What travels between a delivery process and the child that runs a local transport: addresses and results.

Plain JSON values, made and read here and nowhere else.  Every text keeps its mark of taint ("t" or "u"
before it), so that a transport refuses in the child what it would have refused in the parent.
"""

from __future__ import annotations

import json
from typing import Any, Final

from pyexim.base.plain import pack, unpack
from pyexim.config.configuration import Configuration
from pyexim.model.address import Address
from pyexim.model.host import Host
from pyexim.transports.base import Result

_PLAIN: Final = (
    "address", "local_part", "domain", "unique", "prefix", "prefix_v", "suffix", "suffix_v", "domain_data",
    "local_part_data", "recipient_data", "sender_data", "address_data", "self_hostname", "errors_address",
    "headers_add", "headers_remove", "uid", "gid", "initgroups", "user_name", "home_dir", "current_dir",
    "home_expanded", "vars", "mode", "localpart_caseful", "kind", "pipe_expandn", "pipe_allow_expansion",
    "dsn_orcpt", "dsn_flags", "unseen", "known", "lookup_facts", "retry_use_local_part")
"""The fields of an address that a local transport may need."""

_RESULT: Final = (
    "status", "text", "errno", "more_errno", "freeze", "host_name", "host_address", "host_port", "confirmation",
    "tls", "output", "return_output", "log_output", "file_name", "seconds", "size", "log_extra", "journal_error",
    "panic", "told", "once_more")


def pack_address(address: Address) -> dict[str, Any]:
    """Return an address, with its ancestors, hosts and reply, as plain values."""
    out: dict[str, Any] = {}
    for name in _PLAIN:
        value = getattr(address, name)
        if value is not None and value != "" and value != [] and value != {}:
            out[name] = pack(value)
    out["router"] = address.router.name if address.router is not None else None
    if address.host_list:
        out["hosts"] = [[pack(h.name), h.address, h.port, h.mx] for h in address.host_list]
    if address.reply is not None:
        out["reply"] = pack_reply(address.reply)
    if address.parent is not None:
        out["parent"] = pack_address(address.parent)
    return out


def pack_reply(reply: Any) -> dict[str, Any]:
    """Return what an autoreply is to say as plain values (an object with plain fields, or a dict)."""
    if isinstance(reply, dict):
        return {"": "dict", **{k: pack(v) for k, v in reply.items()}}
    names = getattr(type(reply), "__dataclass_fields__", None) or vars(reply)
    return {"": "object", **{n: pack(getattr(reply, n)) for n in names}}


class PlainReply:
    """A reply as the child sees it: the same attributes, none of the behaviour."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)


def unpack_address(data: dict[str, Any], config: Configuration) -> Address:
    """Return the address that :func:`pack_address` was given."""
    address = Address(unpack(data["address"]), unpack(data.get("local_part", "u")),
                      unpack(data.get("domain", "u")), unpack(data.get("unique", "u")))
    for name in _PLAIN:
        if name in data:
            setattr(address, name, unpack(data[name]))
    router = data.get("router")
    if router is not None:
        address.router = next((r for r in config.routers if r.name == router), None)
    address.host_list = [Host(unpack(h[0]), h[1], h[2], h[3]) for h in data.get("hosts", ())]
    if "reply" in data:
        values = {k: unpack(v) for k, v in data["reply"].items() if k}
        address.reply = values if data["reply"].get("") == "dict" else PlainReply(values)
    if "parent" in data:
        address.parent = unpack_address(data["parent"], config)
    return address


def encode_job(transport: str, batch: list[Address], **values: Any) -> str:
    """Return the description of a local delivery as one text."""
    return json.dumps({"transport": transport, "batch": [pack_address(a) for a in batch],
                       **{k: pack(v) for k, v in values.items()}}, separators=(",", ":"))


def decode_job(text: str) -> dict[str, Any]:
    """Return the description of a local delivery; ValueError where it is none."""
    job = json.loads(text)
    if not isinstance(job, dict) or not isinstance(job.get("batch"), list):
        raise ValueError("not a local delivery job")
    return job


def encode_results(results: list[Result], batch: list[Address]) -> bytes:
    """Return the results of a batch as one record; each names its address by its place in the batch."""
    place = {id(a): i for i, a in enumerate(batch)}
    out = []
    for r in results:
        values: dict[str, Any] = {"n": place[id(r.address)], "flags": list(r.flags), "status": r.status}
        for name in _RESULT:
            value = getattr(r, name)
            # An empty line of output is to be logged; no output is not.
            if value not in (None, "", 0, False, {}, 0.0) or (name == "log_output" and value is not None):
                values[name] = pack(value) if isinstance(value, (str, dict)) else value
        values["status"] = r.status
        if r.submissions:
            values["submissions"] = [[arguments, text] for arguments, text in r.submissions]
        if r.auth:
            values["auth"] = list(r.auth)
        if r.retries:
            values["retries"] = [[i.key, i.errno, i.more_errno, i.text, i.delete, i.pattern, i.kind, i.domain]
                                 for i in r.retries]
        out.append(values)
    return json.dumps(out, separators=(",", ":")).encode("ascii")


def decode_results(data: bytes, batch: list[Address]) -> list[Result] | None:
    """Return the results of a batch; None where the record is cut off or lacks an address (the child died)."""
    from pyexim.retry.api import RetryItem

    try:
        records = json.loads(data)
        results = []
        for record in records:
            result = Result(batch[record["n"]], record["status"])
            for name in _RESULT[1:]:
                if name in record:
                    setattr(result, name, unpack(record[name]))
            result.flags = tuple(record.get("flags", ()))
            result.submissions = [(list(arguments), text) for arguments, text in record.get("submissions", ())]
            if "auth" in record:
                result.auth = tuple(str(x) for x in record["auth"])
            result.retries = [RetryItem(*fields) for fields in record.get("retries", ())]
            results.append(result)
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    if {id(r.address) for r in results} != {id(a) for a in batch}:
        return None
    return results
