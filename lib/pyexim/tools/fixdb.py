"""exim_fixdb: look at single records of a hints database, change their fields or delete them, in a dialogue.

A line is the key of a record, or "d" (delete the last one), or the number of one of its fields and a new value.
"""

from __future__ import annotations

import json
import re
import sys
import time
from typing import Any, Final

from pyexim.base.record import replace
from pyexim.retry.api import RetryRecord, format_record, parse_record
from pyexim.tools.common import Usage, complain
from pyexim.tools.hintsdb import RESULTS, Request, request

_FIELD: Final = re.compile(r"(\d)(?:\s+(.*))?\Z")


def main(arguments: list[str]) -> int:
    """Run it; the exit code."""
    try:
        asked = request("exim_fixdb", arguments)
    except Usage as e:
        complain(str(e))
        return 1
    sys.stdout.write(f"Modifying Exim hints database {asked.spool}/db/{asked.name}\n> ")
    sys.stdout.flush()
    dialogue = _Dialogue(asked)
    for line in sys.stdin:
        dialogue.line(line.strip())
        sys.stdout.write("> ")
        sys.stdout.flush()
    sys.stdout.write("\n")
    return 0


class _Dialogue:
    def __init__(self, asked: Request) -> None:
        self.asked = asked
        self.key = ""

    def line(self, text: str) -> None:
        """Obey one line."""
        field = _FIELD.match(text)
        if text == "d" or field is not None:
            if not self.key:
                sys.stdout.write("No previous record name is set\n")
            elif text == "d":
                self._delete()
            elif field is not None:
                self._change(int(field[1]), field[2] or "")
            return
        self.key = text
        self._show()

    def _delete(self) -> None:
        hints, name = self.asked.hints, self.asked.name
        if self.asked.waiting:
            ids = self.asked.waiting_for().get(self.key)
            if ids:
                hints.remove_waiting(name.removeprefix("wait-"), self.key, ids)
            there = ids is not None
        else:
            there = hints.get(name, self.key) is not None
            hints.delete(name, self.key)
        sys.stdout.write("deleted\n" if there else "not found\n")
        self.key = self.key if there else ""

    def _change(self, field: int, value: str) -> None:
        """Change a field and show the record as it is now."""
        asked = self.asked
        have = None if asked.waiting else asked.hints.get(asked.name, self.key)
        if asked.waiting or asked.name in ("seen", "misc", "tls"):
            sys.stdout.write(f"Can't change contents of {asked.name.partition('-')[0]} database record\n")
        elif have is None:
            sys.stdout.write("not found\n")
        elif not value:
            sys.stdout.write("value missing\n")
            return
        else:
            try:
                new = _CHANGE[asked.name](have, field, value)
            except ValueError as e:
                sys.stdout.write(f"{e}\n")
                return
            asked.hints.put(asked.name, self.key, new, time.time())
        self._show()

    def _show(self) -> None:
        asked = self.asked
        if asked.waiting:
            ids = asked.waiting_for().get(self.key)
            text = f"Sequence: 0\n{' '.join(ids)} \n" if ids is not None else ""
        else:
            found = asked.hints.get_written(asked.name, self.key)
            text = f"{asked.stamp(found[1])}\n" + _SHOW.get(asked.name, _nothing)(asked, found[0]) if found else ""
        sys.stdout.write(text or f"record {self.key} not found\n")


def _nothing(asked: Request, value: str) -> str:
    return ""


def _record(value: str) -> RetryRecord:
    record = parse_record(value)
    if record is None:
        raise ValueError("record is damaged")
    return record


def _show_retry(asked: Request, value: str) -> str:
    r = _record(value)
    return (f"0 error number: {r.errno} {r.text}\n1 extra data:   {r.more_errno}\n"
            f"2 first failed: {asked.stamp(r.first_failed)}\n3 last try:     {asked.stamp(r.last_try)}\n"
            f"4 next try:     {asked.stamp(r.next_try)}\n5 expired:      {'yes' if r.expired else 'no'}\n")


def _change_retry(value: str, field: int, text: str) -> str:
    r = _record(value)
    if field < 2:
        new = replace(r, **{("errno", "more_errno")[field]: _number(text)})
    elif field < 5:
        new = replace(r, **{("first_failed", "last_try", "next_try")[field - 2]: _moment(text)})
    elif field == 5 and text in ("yes", "no"):
        new = replace(r, expired=text == "yes")
    else:
        raise ValueError(f"unknown field number {field}" if field > 5 else f"\"yes\" or \"no\" expected: not {text}")
    return format_record(new)


def _show_callout(asked: Request, value: str) -> str:
    record = json.loads(value)
    fields = ["callout", "postmaster", "random"] if "postmaster" in record else ["callout"]
    out = ""
    for number, name in enumerate(fields):
        result = record["result" if name == "callout" else name]
        out += f"{number} {name + ':':<11} {result} ({RESULTS.get(result, 0)})\n"
    return out


def _change_callout(value: str, field: int, text: str) -> str:
    record = json.loads(value)
    names = ("result", "postmaster", "random") if "postmaster" in record else ("result",)
    by_number = {str(number): name for name, number in RESULTS.items()}
    if field >= len(names) or text not in by_number:
        raise ValueError(f"unknown field number {field}" if field >= len(names) else f"unknown result {text}")
    record[names[field]] = by_number[text]
    return json.dumps(record, separators=(",", ":"))


def _show_ratelimit(asked: Request, value: str) -> str:
    record = json.loads(value)
    return (f"0 time stamp:  {asked.stamp(record['time'])}\n1 fract. time: .{int(record['time'] % 1 * 1e6):06d}\n"
            f"2 sender rate:  {record['rate']:.3f}\n")


def _change_ratelimit(value: str, field: int, text: str) -> str:
    record: dict[str, Any] = json.loads(value)
    if field == 0:
        record["time"] = _moment(text)
    elif field == 1:
        record["time"] = int(record["time"]) + _number(text) / 1e6
    elif field == 2:
        record["rate"] = float(text)
    else:
        raise ValueError(f"unknown field number {field}")
    return json.dumps(record, separators=(",", ":"))


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"number expected: not {text}") from None


def _moment(text: str) -> float:
    """Read pairs of digits for year, month, day, hour and minute, with or without colons."""
    digits = text.replace(":", "")
    try:
        return time.mktime(time.strptime(digits, "%y%m%d%H%M"))
    except ValueError:
        raise ValueError(f"bad time value {text}: year, month, day, hour and minute are expected") from None


_SHOW: Final = {"retry": _show_retry, "callout": _show_callout, "ratelimit": _show_ratelimit}
_CHANGE: Final = {"retry": _change_retry, "callout": _change_callout, "ratelimit": _change_ratelimit}
