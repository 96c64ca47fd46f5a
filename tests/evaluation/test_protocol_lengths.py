"""Takes that are too short are told by the length that a protocol counts from."""

from types import SimpleNamespace

import pytest

from semtalk.errors import SemTalkError
from semtalk.evaluation.protocol import PROTOCOLS
from semtalk.evaluation.takes import TakeMaker


@pytest.mark.parametrize(("protocol", "least"), [("legacy", 90), ("corrected", 64), ("talkshow", 5)])
def test_a_split_of_short_takes_is_told_how_long_they_are_to_be(protocol, least):
    maker = TakeMaker(None, [1], 30, counted=PROTOCOLS[protocol].counted)
    short, long = (SimpleNamespace(id=str(n), frames=n, info={"speaker": 1}) for n in (least - 1, least))
    with pytest.raises(SemTalkError, match=f"long enough to be evaluated: {least} frames or more"):
        maker.long_enough([short])
    assert maker.long_enough([short, long]) == ([long], [str(least - 1)])
