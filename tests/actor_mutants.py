"""The rules of the coordinator's answers and times, in `actors/coordinator.py`.

Each entry is a rule, the text that keeps it, and what breaks it; see `tests.mutants`.
"""

ANSWERS = [
    ("a grant brings the data", "Granted(data)", "Granted()"),
    ("a refusal is passed on", "self._answer([ticket], [slot], Refused(why, overlooked))", "pass"),
    (
        "a withdrawal reaches the state",
        "missing = self._coordination.withdraw(message.ticket)",
        "missing = ()",
    ),
    (
        "a hopeless wait is reported",
        "self._journal.emit(self.context.address, self._body(found), request.cause)",
        "pass",
    ),
    (
        "the call is the cause of a report",
        "self._body(found), request.cause)",
        "self._body(found), None)",
    ),
    (
        "a wait is reported once",
        "if known is not None and known >= found.certain:",
        "if False:",
    ),
    ("fail_fast fails what is certain", "if self._patience.fail_fast:", "if False:"),
    ("without fail_fast what is certain waits on", "if self._patience.fail_fast:", "if True:"),
    (
        "without fail_fast what is presumed waits on",
        "if due and self._patience.fail_fast:",
        "if due:",
    ),
    (
        "what follows from giving up is blamed on the culprits",
        "self._coordination.withdraw(found.ticket, found.culprits)",
        "self._coordination.withdraw(found.ticket)",
    ),
    ("a disbanded group misses nobody", "self._disbanded = True", "pass"),
    (
        "a disbanded group reports nothing that is certain",
        "case Hopeless() if self._disbanded:",
        "case Hopeless() if False:",
    ),
    (
        "a disbanded group reports nothing that is presumed",
        "if self._disbanded:\n            return {}",
        "if False:\n            return {}",
    ),
]

LEDGER = [
    (
        "a request is written down",
        "self._ledger.append(message)",
        "pass",
    ),
    (
        "a wait that was failed as presumably hopeless is written down",
        "self._ledger.append(found)",
        "pass",
    ),
    (
        "a restarted coordinator takes up what the ledger has",
        "for entry in self._ledger or ():",
        "for entry in ():",
    ),
    (
        "what was reported isn't reported again by a restarted coordinator",
        "not self._ledger.reports(request, found.certain)",
        "False",
    ),
    (
        "what comes again and was answered is answered again",
        "if known in self._answers:",
        "if False:",
    ),
    (
        "who asks again while its request waits is answered in the end",
        "self._coordination.answer_to(message.ticket, self.context.defer(message))",
        "pass",
    ),
    (
        "what is answered at once is known when it comes again",
        "self._answers[known] = answer",
        "pass",
    ),
    (
        "what was replayed is known when it comes again",
        "self._note(entry, self._requests[type(entry)](entry))",
        "self._requests[type(entry)](entry)",
    ),
    (
        "a suspicious group is looked after by a restarted coordinator",
        (
            "self._slot = self.context.defer\n"
            "        if self._coordination.suspicious:\n"
            "            self._suspect()"
        ),
        "self._slot = self.context.defer",
    ),
]

TIMES = [
    (
        "who waits is asked before it is failed",
        "self._ask(due)\n            return",
        (
            "for each in self._coordination.judge(due):\n"
            "                self._report(each)\n"
            "                self._fail(each)\n"
            "            return"
        ),
    ),
    ("who works aside ends nothing yet", "survey.busy.add(answer.member)", "pass"),
    (
        "one that works aside is enough where all wait",
        "if ticket in abandoned else survey.busy)",
        "if True else survey.busy)",
    ),
    (
        "another's work doesn't help a wait for ended senders",
        "if ticket in abandoned else survey.busy)",
        "if False else survey.busy)",
    ),
    ("all that were asked have to answer", "if survey.left:\n            return\n", "\n"),
    (
        "a request begins the time anew",
        "self._asked_s = anyio.current_time()",
        "self._asked_s = self._asked_s or anyio.current_time()",
    ),
    (
        "the time begins anew where all wait",
        "if ticket in abandoned\n            else self._asked_s",
        "if True\n            else self._asked_s",
    ),
    (
        "what others do doesn't help a wait for ended senders",
        "if ticket in abandoned\n            else self._asked_s",
        "if False\n            else self._asked_s",
    ),
    (
        "a request while it is asked begins the time anew",
        "if ages_s.get(t, -1.0) >= self._patience.grace_s",
        "if t in ages_s",
    ),
    ("nothing is reported early", "if age_s >= self._report_s]", "if True]"),
    (
        "what is presumed is reported before it is failed",
        "if age_s >= self._report_s]",
        "if age_s >= self._patience.grace_s]",
    ),
    (
        "who works aside is asked again",
        "if self._coordination.suspicious:\n            self._look_in(self._report_s if idle",
        "if False:\n            self._look_in(self._report_s if idle",
    ),
    ("who is idle is asked twice", "if idle and not survey.again:", "if False:"),
    ("who doesn't say may be busy", "outcome.value is not False", "outcome.value is True"),
    (
        "what has become certain is reported again",
        "if known is not None and known >= found.certain:",
        "if known is not None:",
    ),
    (
        "who works aside is left alone for a while",
        "self._report_s if idle else max(REPORT_S, self._patience.grace_s)",
        "self._report_s",
    ),
    (
        "those fail first that wait for nobody who lives",
        "return for_the_ended or in_a_circle or found",
        "return found",
    ),
    (
        "a circle fails before those that wait for it",
        "return for_the_ended or in_a_circle or found",
        "return for_the_ended or found",
    ),
]
