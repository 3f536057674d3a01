"""A process that rehearses for another one: trials come in, findings go out.

It reads pickles from its standard input, the stage and then trials, and answers each trial with
one on its standard output. Its parent's end is its own: it sees the end of its input at once, also
in the middle of a rehearsal.
"""

import os
import pickle
import sys
import traceback
from queue import SimpleQueue
from threading import Thread
from typing import BinaryIO

from attrs import frozen

from callboard.simulation.trial import Finding, Stage, Trial


@frozen
class Broken:
    """A rehearsal came to no end; `text` says how, `details` where."""

    seed: int
    text: str
    details: str


Answer = Finding | Broken


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anything prints must not get among the answers
    orders: SimpleQueue[Stage | Trial] = SimpleQueue()
    Thread(target=_read, args=(sys.stdin.buffer, orders), daemon=True).start()
    stage = orders.get()
    assert isinstance(stage, Stage)
    while True:
        trial = orders.get()
        assert isinstance(trial, Trial)
        answer = _answer(stage, trial)
        try:
            pickle.dump(answer, answers)
            answers.flush()
        except BrokenPipeError:
            os._exit(0)  # an orderly exit would wait for the thread that reads


def _read(stream: BinaryIO, orders: "SimpleQueue[Stage | Trial]") -> None:
    while True:
        try:
            orders.put(pickle.load(stream))
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)


def _answer(stage: Stage, trial: Trial) -> Answer:
    try:
        return stage.perform(trial)
    except Exception as error:
        return Broken(trial.seed, f"{type(error).__name__}: {error}", traceback.format_exc())
