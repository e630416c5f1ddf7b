"""What the real program was observed to say of wrong configurations, whole families of them."""

import re
import sys
from pathlib import Path

import pytest

from pyexim.base.errors import ConfigError
from pyexim.config.load import compile_for
from pyexim.config.reader import read_configuration
from pyexim.config.table import COMPILE_HOOKS

from .read import CASES, DEBIAN

sys.path.insert(0, str(Path(__file__).parents[2] / "compare"))
from config_cases import FAMILIES, INCLUDED, Case, mask, read_family

_PLACE = re.compile(r" in line \d+ of @DIR@/\w+(?=:$)")


def said(case: Case, directory: Path) -> list[str]:
    """Return what pyexim says of a configuration, as lines, and its exit code."""
    (directory / "conf").write_bytes(case.contents(str(directory)))
    try:
        config = read_configuration([f"{directory}/conf"], settings=DEBIAN)
        compile_for(config, COMPILE_HOOKS)
    except ConfigError as e:
        e.note = ""
        return [*mask(str(e), str(directory)), "exit 1"]
    return ["ok", "exit 0"]


@pytest.mark.parametrize("path", sorted(FAMILIES.glob("*.txt")), ids=lambda p: p.stem)
def test_faults(path: Path, tmp_path: Path) -> None:
    for name in INCLUDED:
        (tmp_path / name).write_bytes((CASES / name).read_bytes())
    wrong = []
    for case in read_family(path):
        answer = said(case, tmp_path)
        if case.ours:
            pass
        elif not case.of_exim[0].startswith("Exim configuration error"):
            # what Exim logs without any frame has the usual one here
            answer = [line.lstrip(" ") for line in answer if not line.startswith("Exim configuration error")]
        elif " in line " not in case.of_exim[0]:
            answer[0] = _PLACE.sub("", answer[0])       # we name the line where Exim names none
        if answer != (case.ours or case.of_exim):
            wrong.append(f"{case.source}  wanted {case.ours or case.of_exim}\n  said   {answer}")
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)
