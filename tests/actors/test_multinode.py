"""What the MultiNode protocol of a job takes as a message."""

import json

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.multinode import LONGEST_MESSAGE, message_size

LONG = st.builds(
    lambda piece, times: piece * times,
    st.text(max_size=4),
    st.sampled_from([1, 100, 1_360, 2_700, 5_400, 16_000, 65_500]),
)


@given(st.dictionaries(LONG, LONG, max_size=3))
def test_the_size_of_a_message_is_exact_where_it_is_too_long(data: dict[str, str]) -> None:
    characters = len(json.dumps(data))
    size = message_size(data)
    assert size >= characters
    assert (size > LONGEST_MESSAGE) == (characters > LONGEST_MESSAGE)
    if size > LONGEST_MESSAGE:
        assert size == characters
