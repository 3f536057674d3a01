"""Forbids real time: whoever reads a clock of the machine in a virtual run fails."""

import datetime as dt
import sys
import time
from asyncio.events import _get_running_loop
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from callboard.runtime.virtual import VirtualLoop

_CLOCKS = (
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "perf_counter_ns",
    "process_time",
    "sleep",
    "time",
    "time_ns",
)


class RealTime(AssertionError):
    """A clock of the machine has been read in a virtual run."""


def _check(name: str) -> None:
    if isinstance(_get_running_loop(), VirtualLoop):
        raise RealTime(name)


def _forbidden(name: str, clock: Callable[..., Any]) -> Callable[..., Any]:
    def read(*arguments: Any) -> Any:
        _check(f"time.{name}")
        return clock(*arguments)

    return read


class _Datetime(dt.datetime):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        _check("datetime.now")
        return super().now(tz)

    @classmethod
    def utcnow(cls) -> Any:
        _check("datetime.utcnow")
        return super().now(dt.UTC).replace(tzinfo=None)


@contextmanager
def no_real_time() -> Generator[None, None, None]:
    """While this is entered, no virtual run of any thread reads a clock of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        replaced: dict[Any, Any] = {dt.datetime: _Datetime}
        for name in _CLOCKS:
            replaced[getattr(time, name)] = _forbidden(name, getattr(time, name))
        ours = [each for name, each in sys.modules.items() if name.partition(".")[0] in _WATCHED]
        for module in (time, dt, *ours):
            for name, value in list(vars(module).items()):
                if callable(value) and getattr(value, "__hash__", None) and value in replaced:
                    patch.setattr(module, name, replaced[value])
        yield


_WATCHED = ("anyio", "asyncio", "callboard")
