"""Log selectors one by one: scenarios that leave many kinds of lines, and what a real Exim logs under each setting.

A scenario is a case as ``compare`` has them, ``t/cases/log/NAME.case``, with ``@SELECTORS@`` in its configuration.
Beside it, ``NAME.txt`` is a family whose strings are settings of log_selector, and whose answers are the logs.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

from compare import Case, Mask, Runner, mask, read_case

DIRECTORY: Final = Path(__file__).resolve().parents[1] / "cases" / "log"
LOGS: Final = ("mainlog", "rejectlog", "paniclog")
MASKS: Final[tuple[Mask, ...]] = (
    (r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.)?(?:\d{3})?", lambda m: "TIME" + (".mmm" if m[1] else "")),
    (r"\[\d+\]", "[PID]"), (r"pid=\d+", "pid=N"), (r"\b\d+\.\d{3}s\b", "N.NNNs"), (r"(?<=[QDRT]T=)\d+s", "Ns"),
    (r"(\[127\.0\.0\.1\]):\d{4,5}", r"\1:PORT"), (r"4\.9[69]", "VERSION"), (r"127\.0\.0\.1\.\d{4,5}", "127.0.0.1.PORT"),
    (r"\[127\.0\.0\.1\]:(?!PORT)\d+", "[127.0.0.1]:PORT"), (r" for \d+\.\d+s", " for Ns"),
    (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "DATE"), (r"cwd=(?!TOP)\S+", "cwd=HERE"),
    (r"(<= <> .*) S=\d+", r"\1 S=N"))


def scenarios() -> list[str]:
    """Return the names of all scenarios."""
    return sorted(path.stem for path in DIRECTORY.glob("*.case"))


def scenario(name: str, selectors: str) -> Case:
    """Return a scenario with a setting of log_selector."""
    case = read_case(DIRECTORY / f"{name}.case")
    return replace(case, sections=[replace(s, body=s.body.replace("@SELECTORS@", selectors)) for s in case.sections])


def run(name: str, selectors: str, program: str, top: Path, *, real: bool) -> str:
    """Run a scenario with a program; what the logs say then, masked."""
    case = scenario(name, selectors)
    where = top / "it"
    where.mkdir(parents=True)
    try:
        texts = Runner(program, where, real=real).run(case).texts
    finally:
        shutil.rmtree(where, ignore_errors=True)
    out = "".join(f"{log}:\n{texts[log]}" for log in LOGS if texts[log])
    return mask(out.replace(Runner(program, where, real=real).user(), "USER"), where, case, program, MASKS)
