"""Processes that rehearse side by side."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import IO

from attrs import frozen

from callboard.simulation.trial import Finding, Stage, Trial
from callboard.simulation.worker import Answer, Broken

_COMMAND = (sys.executable, "-P", "-c", "from callboard.simulation.worker import main; main()")


class RehearsalBroke(Exception):
    """A rehearsal came to no end, which is a fault of callboard or of this machine.

    Attributes:
        seed: Its seed.
        details: Where it happened, as far as known.
    """

    def __init__(self, seed: int, text: str, details: str = "") -> None:
        super().__init__(f"the rehearsal with seed {seed} broke: {text}")
        self.seed = seed
        self.details = details


@frozen
class _Lost:
    """A worker has gone while it rehearsed with a seed."""

    seed: int
    code: int


@frozen
class _Idle:
    """A worker has nothing left to do."""


_Report = tuple[int, Finding] | Broken | _Lost | Exception | _Idle


def processors() -> int:
    """How many processes can run at once here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Crew:
    """Some workers, for as long as the context is open; then none of them is left.

    They don't hear Ctrl-C: it is for the process that has them.

    Args:
        stage: What all trials have in common.
        size: How many workers, None for one a processor.
        hash_seeds: `PYTHONHASHSEED` of the workers, one worker each; for those who check that
            it makes no difference.
    """

    def __init__(
        self, stage: Stage, size: int | None = None, hash_seeds: Sequence[int] = ()
    ) -> None:
        self._stage = pickle.dumps(stage)
        self._seeds: Sequence[int | None] = hash_seeds or [None] * (size or processors())
        self._workers: list[_Worker] = []

    def __enter__(self) -> "Crew":
        """The workers start when there is something to do."""
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.kill()

    def each(self, trials: Iterable[Trial]) -> Iterator[tuple[int, Finding]]:
        """Make trials, as many at once as there are workers.

        Leave the iterator before its end and the rest is not begun.

        Args:
            trials: What to try; each is taken when somebody has time for it.

        Yields:
            The number of a trial, from 0, and what came of it, in the order in which they end.

        Raises:
            RehearsalBroke: One came to no end.
            Exception: What `trials` raised.
        """
        yield from _Errand(trials, self._hired()).reports()

    def compare(self, trials: Iterable[Iterable[Trial]]) -> Iterator[tuple[int, int, Finding]]:
        """Make the trials of each worker, in their order.

        Yields:
            The number of a worker, that of its trial, and what came of it.

        Raises:
            RehearsalBroke: One came to no end.
        """
        errands = [
            _Errand(own, [worker]) for own, worker in zip(trials, self._hired(), strict=True)
        ]
        reports = [errand.reports() for errand in errands]
        left = dict(enumerate(reports))
        while left:
            for number, own in list(left.items()):
                report = next(own, None)
                if report is None:
                    del left[number]
                else:
                    yield number, *report

    def _hired(self) -> Sequence["_Worker"]:
        while len(self._workers) < len(self._seeds):
            self._workers.append(_Worker(self._stage, self._seeds[len(self._workers)]))
        return self._workers


class _Errand:
    """Some trials, and the workers that share them."""

    def __init__(self, trials: Iterable[Trial], workers: Sequence["_Worker"]) -> None:
        self._trials = enumerate(trials)
        self._lock = Lock()
        self._over = False
        self._told: SimpleQueue[_Report] = SimpleQueue()
        self._busy = len(workers)
        for worker in workers:
            Thread(target=self._serve, args=(worker,), daemon=True).start()

    def reports(self) -> Iterator[tuple[int, Finding]]:
        try:
            while self._busy:
                match self._told.get():
                    case _Idle():
                        self._busy -= 1
                    case Broken(seed, text, details):
                        raise RehearsalBroke(seed, text, details)
                    case _Lost(seed, code):
                        raise RehearsalBroke(seed, _ending(code))
                    case Exception() as error:
                        raise error
                    case report:
                        yield report
        finally:
            self._over = True

    def _next(self) -> tuple[int, Trial] | None:
        with self._lock:
            return None if self._over else next(self._trials, None)

    def _serve(self, worker: "_Worker") -> None:
        try:
            while (found := self._next()) is not None:
                number, trial = found
                answer = worker.perform(trial)
                if not isinstance(answer, Finding):
                    self._told.put(answer)
                    return
                self._told.put((number, answer))
        except Exception as error:  # raised where the reports are awaited, for ever otherwise
            self._told.put(error)
        else:
            self._told.put(_Idle())


class _Worker:
    """One process."""

    def __init__(self, stage: bytes, hash_seed: int | None) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        if hash_seed is not None:
            environment["PYTHONHASHSEED"] = str(hash_seed)
        self._lock = Lock()
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            process_group=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout
        with suppress(OSError):  # if it has gone already, the first trial finds out
            self._orders.write(stage)

    def perform(self, trial: Trial) -> Answer | _Lost:
        """Make a trial, after those that others may have begun."""
        try:
            with self._lock:
                pickle.dump(trial, self._orders)
                self._orders.flush()
                answer = pickle.load(self._answers)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            return _Lost(trial.seed, self._process.wait())
        assert isinstance(answer, Finding | Broken)
        return answer

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._orders, self._answers):
            with suppress(OSError):
                stream.close()


def _ending(code: int) -> str:
    return f"its process was killed by signal {-code}" if code < 0 else f"its process exited {code}"
