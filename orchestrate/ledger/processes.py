"""Whether the process of a run that has not ended is still there."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import psutil

# A process that began later than the run, by more than clocks differ, has taken over the number.
_CLOCKS_DIFFER_S = 60
# Silence after which a process counts as gone that can't be looked up: one whose number is not
# known, and one of another host, such as a container that no longer is.
_SILENCE_S, _SILENCE_ELSEWHERE_S = 3600, 86_400

# Host, number, start and last word of a process -> whether it can't be running any more.
Gone = Callable[[str | None, int | None, int, int], bool]


def is_gone(
    host: str | None,
    pid: int | None,
    started_us: int,
    heard_us: int,
    *,
    now_s: Callable[[], float] = time.time,
) -> bool:
    """Whether what began then on that host can't be running any more.

    Args:
        host: Its name, None if it is not known.
        pid: The number of its process there, None if it is not known.
        started_us: When it began.
        heard_us: When it was heard of last: it decides where the process can't be looked up.
        now_s: Epoch seconds.
    """
    silence_s = now_s() - heard_us / 1e6
    if pid is None:
        return silence_s > _SILENCE_S
    if host != socket.gethostname():
        return silence_s > _SILENCE_ELSEWHERE_S
    try:
        process = psutil.Process(pid)
        born_s = process.create_time()
        return process.status() == psutil.STATUS_ZOMBIE or (
            born_s > started_us / 1e6 + _CLOCKS_DIFFER_S
        )
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
