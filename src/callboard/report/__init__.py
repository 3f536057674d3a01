"""Everything that is derived from the event log of a run; starts no actor.

`derive` reads `events.jsonl` of a run directory and writes beside it:

    results.yaml               the results of every job
    jobs/<id>/definition.yaml  the job of one node
    jobs/<id>/output.yaml      its log, in LAVA's form
    junit.xml                  for CI systems

What is printed of a run is in `text`, apart, so that what prints nothing needs no rich.
"""

from callboard.report.derivation import ReportError, derive
from callboard.report.document import document, schema
from callboard.report.record import Case, Job, Run, fold

__all__ = [
    "Case",
    "Job",
    "ReportError",
    "Run",
    "derive",
    "document",
    "fold",
    "schema",
]
