"""Reading what editors post."""

import time

import pytest

from flags.admin.posted import parse_document


def test_parse_document__many_fields_and_one_twice__is_told_in_linear_time() -> None:
    text = "{" + ",".join(f'"k{number}":0' for number in range(60_000)) + ',"k59999":0}'
    begun = time.process_time()
    with pytest.raises(ValueError, match="'k59999' is there twice"):
        parse_document(text)
    # Comparing every name with every other one took minutes.
    assert time.process_time() - begun < 5
