"""Documentation made of the option declarations: docs/options-without-effect.md.

``python -m pyexim.config.document > docs/options-without-effect.md`` writes it anew; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from pyexim.config.main_options import MainOptions
from pyexim.config.option import OptionInfo, declared
from pyexim.config.table import DRIVER_TABLES, GENERIC_OPTIONS, driver_names, driver_options, resolve

HEAD = """\
# Options without effect

These options are known by name and type and accepted in a configuration, but nothing acts on them in this
version. `pyexim --check-config` names those that a configuration sets. The page is made from the
declarations (`python -m pyexim.config.document`).
"""


def option_groups() -> Iterator[tuple[str, dict[str, OptionInfo]]]:
    """Yield (where the options stand, {name: declaration}): the main section, then kind by kind."""
    yield "Main section", {name: info for name, (_, info) in declared(MainOptions).items()}
    for kind in DRIVER_TABLES:
        generic = declared(resolve(GENERIC_OPTIONS[kind]))
        yield f"All {kind}s", {name: info for name, (_, info) in generic.items()}
        for driver in driver_names(kind):
            private = declared(driver_options(kind, driver))
            yield (f"The {driver} {kind}",
                   {name: info for name, (_, info) in private.items() if name not in generic})


def options_without_effect() -> str:
    """Return the page."""
    out = [HEAD]
    for title, infos in option_groups():
        rows = [(name, info.no_effect) for name, info in sorted(infos.items()) if info.no_effect]
        if rows:
            out.append(f"\n## {title}\n\n| option | reason |\n|---|---|\n")
            out += [f"| `{name}` | {reason} |\n" for name, reason in rows]
    return "".join(out)


if __name__ == "__main__":
    sys.stdout.write(options_without_effect())
