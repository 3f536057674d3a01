"""The rules of who leads a group whose jobs are elsewhere, each broken by hand."""

REIGN = [
    (
        "that a worker is given up is on record before it can hear of it",
        "self._writer.append(entries.encode(entries.GivenUp(host.worker, failure)))",
        "pass",
    ),
    (
        "who was given up stays so under the next leader",
        "if (failure := self._rebuilt.given_up.get(host.worker)) is not None:",
        "if (failure := None) is not None:",
    ),
    (
        "the jobs of a worker that is lost end",
        "for job in host.jobs:\n            self._lose(job.id, failure)",
        "",
    ),
    (
        "what a worker that was given up says doesn't count",
        "entries.GivenUp(host.worker, failure)))\n        self._exchange.lose(host.worker)",
        "entries.GivenUp(host.worker, failure)))",
    ),
    (
        "of a job that has ended nobody is told that it is lost",
        "if job in self._envoys and job not in self._done:",
        "if job in self._envoys:",
    ),
    (
        "a worker that is lost is told to end its jobs",
        "await self._send_home(host, text)",
        "pass",
    ),
    (
        "nobody waits at the end for a worker that is lost",
        "if not host.lost:  # it is told all along",
        "if True:",
    ),
    (
        "who leaves when the group has ended isn't lost",
        "if self._over:",
        "if False:",
    ),
    (
        "nothing leaves before what led to it is stored",
        "self._writer.when_stored(lambda: self._send(subject, data))",
        "self._send(subject, data)",
    ),
    (
        "what is said to an actor that isn't there yet is kept",
        "self._expected[address] = expected = ExpectedRef(address)\n        self._exchange.export(",
        "expected = ExpectedRef(address)\n        print(",
    ),
    (
        "how a job has ended by its own word counts",
        "return self._ended.get(job)",
        "return None",
    ),
    (
        "how a job ended under the leader before counts",
        "self._ended = dict(self._rebuilt.jobs_ended)",
        "self._ended = {}",
    ),
    (
        "workers promise to stay before anything begins",
        "            if not await self._engage():\n                return False",
        "            pass",
    ),
    (
        "a worker that is known to leave isn't waited for",
        "waiting.start_soon(self._see_leaving, waiting.cancel_scope)",
        "pass",
    ),
    (
        "an interruption waits for no nodes",
        "self._employing.cancel()",
        "pass",
    ),
    (
        "an interruption before the group begins counts",
        "if self._interruption is not None:\n                    live",
        "if False:\n                    live",
    ),
    (
        "a worker that says nothing is given up when the group is interrupted",
        'self._give_up(host, Failure("Canceled", self._interruption or ""))',
        "pass",
    ),
    (
        "a worker that can't make its nodes fails its jobs",
        'host.failure = Failure("InfrastructureError", employed.problem)',
        "pass",
    ),
]
"""Of `cluster/reign.py`."""
