"""What people type: one sentence for whoever reads the problem alone, its end for a page with labels."""

import pytest

from flags.errors import InvalidInput
from flags.services.keys import checked_text

CASES = [
    (" ", "Fill in ticket url.", "It may not be empty."),
    ("x" * 12, "Shorten ticket url.", "It has 12 characters; 10 are the most."),
    ("a\x07", "Correct ticket url.", "Remove its control characters."),
    ("a\u202eb", "Correct ticket url.", "Remove its invisible or text-direction characters."),
]


@pytest.mark.parametrize(("text", "act", "beside"), CASES)
def test_checked_text__refused__names_the_field_in_the_message_and_not_beside_it(
    text: str, act: str, beside: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_text(text, field="ticket_url", longest=10, required=True)

    assert caught.value.message == f"{act} {beside}"
    assert caught.value.facts["problems"] == [{"path": "ticket_url", "message": beside}]
