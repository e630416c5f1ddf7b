"""exiqgrep: select messages of the queue by sender, recipient, size, age or state.

Spec: chapter "Exim utilities", selective queue listing.
"""

from __future__ import annotations

import re
import sys
import time
from typing import Final

from pyexim.base.messageid import received_second
from pyexim.tools.common import Queued, Usage, call_program, complain, options, pattern, read_listing

HELP: Final = """\
exiqgrep: show the messages on the queue that meet all of the conditions given.

	-h		This text.
	-C <file>	Configuration file of the program.
	-E <program>	The program that lists the queue.

Conditions:
	-f <regexp>	The sender, which stands in angle brackets.
	-r <regexp>	A recipient.
	-s <regexp>	The size as the listing shows it.
	-y <seconds>	Younger than so long.
	-o <seconds>	Older than so long.
	-z		Frozen.
	-x		Not frozen.
	-G <queue>	Look in this queue instead of the default one.

Output:
	-c		Only the count.
	-l		As the listing has it (the default).
	-i		Only the message ids.
	-b		One line a message.
	-R		The other way round.
	-a		Look at delivered recipients too, and show them.
"""


def main(arguments: list[str]) -> int:
    """Run it; the exit code."""
    try:
        found, rest = options(arguments, "hzxlibRca", "fryosCGE")
        if "h" in found:
            sys.stdout.write(HELP)
            return 0
        if rest or not set("fryoszxc") & found.keys():
            raise Usage
        selected = _select(found)
    except Usage as e:
        complain(str(e))
        sys.stdout.write(HELP)
        return 1
    except ValueError as e:
        complain(f"Line mismatch: {e}\n")
        return 1
    except OSError as e:
        complain(f"Error opening pipe: {e.strerror}\n")
        return 1
    _show(selected[0], selected[1], found)
    return 0


def _select(found: dict[str, str]) -> tuple[list[Queued], int]:
    """Return the messages that meet the conditions, and how many there are in all."""
    tests = {letter: pattern(found[letter], caseless=True) for letter in "fr" if letter in found}
    if "s" in found:
        tests["s"] = pattern(found["s"], caseless=False)
    for letter in "yo":
        if letter in found and not re.fullmatch(r"\d+", found[letter]):
            raise Usage(f"Please specify a number of seconds for -{letter}\n")
    listing = [*(["-C", found["C"]] if "C" in found else []), "-bp" if "a" in found else "-bpu",
               *([f"-qG{found['G']}"] if "G" in found else [])]
    done = call_program(listing, program=found.get("E", ""))
    if done.returncode:
        complain(done.stderr)
        raise Usage
    messages = sorted(read_listing(done.stdout.splitlines(), strict=True), key=lambda m: m.message_id)
    return [m for m in messages if _matches(m, found, tests)], len(messages)


def _matches(message: Queued, found: dict[str, str], tests: dict[str, re.Pattern[str]]) -> bool:
    if ("z" in found and not message.frozen) or ("x" in found and message.frozen):
        return False
    if "f" in tests and not tests["f"].search(message.sender):
        return False
    if "s" in tests and not tests["s"].search(message.size):
        return False
    age = time.time() - received_second(message.message_id)
    if ("y" in found and age >= int(found["y"])) or ("o" in found and age <= int(found["o"])):
        return False
    return "r" not in tests or any(tests["r"].search(r) for r in message.shown)


def _show(messages: list[Queued], total: int, found: dict[str, str]) -> None:
    if "c" in found:
        sys.stdout.write(f"{len(messages)} matches out of {total} messages\n")
        return
    for message in reversed(messages) if "R" in found else messages:
        if "i" in found:
            text = message.message_id
        elif "b" in found:
            text = f"{message.message_id} From: {message.sender} To: {';'.join(message.shown)}"
        else:
            text = message.head + "\n" + "".join(f"\t  {r}\n" for r in message.shown)
        sys.stdout.write(text + "\n")
