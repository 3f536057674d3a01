"""Diagnostics in the Static Analysis Results Interchange Format, SARIF 2.1.0."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import PurePath
from urllib.parse import quote

from callboard.definition import CODES, Diagnostic

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """One run with a result for each diagnostic, and a rule for each code among them."""
    codes = sorted({each.code for each in diagnostics})
    driver = {
        "name": "callboard",
        "version": version("callboard"),
        "rules": [_rule(code) for code in codes],
    }
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(each, codes) for each in diagnostics],
            }
        ],
    }
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _rule(code: str) -> dict[str, object]:
    known = CODES[code]
    return {
        "id": code,
        "shortDescription": {"text": known.title},
        "fullDescription": {"text": known.explanation},
    }


def _result(diagnostic: Diagnostic, codes: Sequence[str]) -> dict[str, object]:
    text = diagnostic.message + (f" ({diagnostic.hint})" if diagnostic.hint else "")
    result: dict[str, object] = {
        "ruleId": diagnostic.code,
        "ruleIndex": codes.index(diagnostic.code),
        "level": diagnostic.severity,
        "message": {"text": text},
    }
    place = diagnostic.place
    if place is not None:
        region = {"startLine": place.line, "startColumn": place.column}
        location = {"artifactLocation": {"uri": _uri(place.file)}, "region": region}
        result["locations"] = [{"physicalLocation": location}]
    return result


def _uri(file: str) -> str:
    """A path as a reference that is relative where the path is; an address stays one."""
    if "://" in file:
        return quote(file, safe=":/?#[]@!$&'()*+,;=%~")
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
