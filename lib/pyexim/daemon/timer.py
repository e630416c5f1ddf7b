"""When queue runs are due.  Spec: option -q<time>, queue_run_max."""

from __future__ import annotations

from pyexim.base.record import dataclass, field
from pyexim.startup.options import QueueRunOptions


@dataclass(slots=True)
class QueueTimer:
    """One periodic queue run of the daemon: what to run, when next, who is running now."""

    options: QueueRunOptions
    due: float
    runners: set[int] = field(default_factory=set)
    """Process ids of its runners."""

    def take(self, now: float, running: int, limit: int) -> bool:
        """Tell whether a run is to be started now, and set the next time.

        With ``limit`` (queue_run_max, 0 for none) runners at work already, this run is left out.
        """
        interval = self.options.interval or 0
        if now < self.due:
            return False
        self.due += interval
        if self.due <= now:
            self.due = now + interval
        return not 0 < limit <= running


def describe(timers: list[QueueTimer]) -> str:
    """Return the part of the start-up line that tells of queue runs."""
    if not timers:
        return "no queue runs"
    parts = []
    for timer in timers:
        o = timer.options
        text = "-q" + ("q" if o.two_stage else "") + ("i" if o.first_only else "")
        text += "ff" if o.force_frozen else "f" if o.force else ""
        text += "l" if o.local_only else ""
        if o.queue_name:
            text += f"G{o.queue_name}/"
        parts.append(text + format_interval(o.interval or 0))
    return " ".join(parts)


def format_interval(seconds: int) -> str:
    """Return an interval as Exim writes it: 1w2d3h4m5s without the zero parts."""
    out = ""
    for unit, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            out += f"{count}{unit}"
    return out or "0s"
