"""The rules of those who lead and who host a group of a cluster, each broken by hand."""

REIGN = [
    (
        "of a job that has ended nobody is told that it is lost",
        "if job in self._envoys and job not in self._done:",
        "if job in self._envoys:",
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
        "        if not await self._staff.engage():\n            return False\n",
        "",
    ),
    (
        "an interruption before the group begins counts",
        "if self._interruption is not None:\n                    live",
        "if False:\n                    live",
    ),
]
"""Of `cluster/reign.py`."""

STAFF = [
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
        "a worker that says nothing is given up when the group is interrupted",
        'self._give_up(host, Failure("Canceled", self._interruption))',
        "pass",
    ),
    (
        "a worker that can't make its nodes fails its jobs",
        'host.failure = Failure("InfrastructureError", employed.problem)',
        "pass",
    ),
    (
        "an interruption waits for no promises",
        "self._engaging.cancel()",
        "pass",
    ),
]
"""Of `cluster/staff.py`."""

HOSTING = [
    (
        "a worker that drains promises nothing any more",
        "self._engaged = self.engaged or not self._worker.draining.is_set()",
        "self._engaged = True",
    ),
    (
        "what was promised before a worker drained is kept",
        "self._engaged = self.engaged or not self._worker.draining.is_set()",
        "self._engaged = not self._worker.draining.is_set()",
    ),
    (
        "a worker that drains waits for those it has promised to stay for",
        "while any(each.engaged for each in self._groups.values()):",
        "while False:",
    ),
    (
        "a promise outlasts a change of leaders",
        "self._patience.deadline = self._heard_s + idle_s",
        "pass",
    ),
    (
        "a promise to a group that never comes lapses",
        "with self._patience:",
        "if True:",
    ),
    (
        "the next leader is told what the one before was",
        "case Employ() if self._employed is not None:\n                reply.send(self._employed)",
        "case Employ() if self._employed is not None:\n                pass",
    ),
    (
        "whoever dismisses is answered when nothing is left",
        "self._dismissals.append(reply)",
        "reply.send(None)",
    ),
    (
        "a dismissal waits for no nodes",
        "self._opening.cancel()",
        "pass",
    ),
    (
        "a dismissal ends jobs in order",
        "await crew.ask(Wind(self._reason))",
        "pass",
    ),
    (
        "nodes are there until all their jobs have ended",
        "            await self._all_ended.wait()\n",
        "            pass\n",
    ),
    (
        "a leader is told why there are no nodes",
        'self._answer(Employed(f"worker {self._worker.name}: {text}"))',
        "pass",
    ),
    (
        "a worker finds out that a group is over whose leader is gone",
        "if answer == subjects.OVER:",
        "if False:",
    ),
    (
        "a leader that is heard of isn't doubted",
        "if anyio.current_time() - self._heard_s < 2 * lease_s:",
        "if False:",
    ),
    (
        "what a job says comes after the events that led to it",
        "reporter.behind(self._exchange.ref(LEADER, job_address(each.job.id)))",
        "self._exchange.ref(LEADER, job_address(each.job.id))",
    ),
    (
        "events are numbered apart from those of other workers",
        "seq=base_of(each.job.id for each in contract.jobs)",
        "seq=0",
    ),
    (
        "times count from when the leader's do",
        "begun_s = anyio.current_time() - employ.time_s",
        "begun_s = anyio.current_time()",
    ),
    (
        "no event of a worker holds a secret",
        "mask=Mask(contract.masked)",
        "mask=Mask(())",
    ),
    (
        "a worker runs without a sandbox only if its owner says so",
        "if self._worker.sandbox and not contract.settings.sandbox:",
        "if False:",
    ),
    (
        "a fault in one group leaves the others alone",
        "except* Exception as errors:  # other",
        "except* ZeroDivisionError as errors:  # other",
    ),
]
"""Of `cluster/hosting.py`."""
