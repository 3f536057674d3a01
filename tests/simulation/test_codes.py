"""The diagnostics of a rehearsal's files and the catalogue."""

from tests.simulation import slips, test_validation

from callboard.definition.codes import CODES, REHEARSAL_CODES


def test_every_code_has_a_case_and_every_case_a_code() -> None:
    cases = [
        *(slips.MODEL + slips.FAULTS + slips.SCENARIO),
        *(test_validation.MODEL + test_validation.FAULTS + test_validation.SCENARIO),
    ]
    shown = {code for case in cases for code in case.codes.split()}
    assert shown <= CODES.keys()
    assert shown & REHEARSAL_CODES == CODES.keys() & REHEARSAL_CODES
