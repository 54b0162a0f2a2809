"""What scans of code let one say of a flag: nothing where they were not lately, not everywhere or of nothing."""

import pytest

from flags.lifecycle.facts import References
from flags.lifecycle.readiness import removal_of
from flags.lifecycle.reasons import Reason
from flags.lifecycle.staleness import judge
from tests.flags.lifecycle.situations import NOW, ago, codes, flag, place, share, use

OLD = ("The newest scan is more than 30 days old: shop (02 March 2026).",)


@pytest.mark.parametrize(
    ("references", "caution", "is_only_in_config"),
    [
        (References(True, 0, None, ago(100)), None, True),
        (References(False, 0, None, ago(100), OLD), "scan_doubtful", False),
        (References(False, 0, ago(100), ago(150), OLD), "scan_doubtful", False),
        (
            References(False, 0, None, None, ("Nothing was scanned yet of branch “main” of shop.",)),
            "not_scanned",
            False,
        ),
        (References(False, 2, None, ago(100), OLD), "code_references", False),
    ],
)
def test_flag_no_code_names__as_far_as_scans_know(references, caution, is_only_in_config):
    facts = flag(place((100, share(100)), use=use(60)), references=references)

    removal, found = removal_of(facts, NOW), judge(facts, NOW).findings

    assert codes(removal.cautions) & {"code_references", "not_scanned", "scan_doubtful"} == ({caution} - {None})
    assert (Reason.ONLY_IN_CONFIG in {each.reason for each in found}) is is_only_in_config
    if caution in {"not_scanned", "scan_doubtful"}:
        (told,) = [each.sentence for each in removal.cautions if each.code == caution]
        assert told == f"{references.doubts[0]} So nobody knows from here where it is named."
