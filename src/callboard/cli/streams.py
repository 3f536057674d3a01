"""The standard streams, made fit for whatever a user's shell gives us."""

import io
import os
import signal
import sys
from types import FrameType

_ENDINGS = (signal.SIGTERM, signal.SIGHUP)
_HELD = (signal.SIGINT, *_ENDINGS)


def prepare() -> None:
    """Make sure that text can always be written, and that a signal ends callboard like Ctrl-C.

    Closed descriptors are opened on nothing: the next file that is opened would get their
    numbers, and with them what is meant for the user. A character that the terminal's encoding
    lacks is written as an escape, for it must not end a run.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    sys.stdout = sys.stdout or _writer(1)
    sys.stderr = sys.stderr or _writer(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for number in _ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # what nohup does
            signal.signal(number, _interrupt)


def hold_signals() -> None:
    """Have signals that end callboard wait: who handles them takes a moment to be loaded."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


def accept_signals() -> None:
    """Let them come; what has been sent meanwhile comes at once, as KeyboardInterrupt."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def abandon_output() -> None:
    """Write no more on standard output: nobody reads it, or it is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _writer(descriptor: int) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
