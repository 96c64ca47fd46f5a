"""docs/metrics.md says of its formulas what the code has."""

from conftest import ROOT

from semtalk.metrics import bodies, hearing
from semtalk.metrics import functional as F
from semtalk.motion.skeleton import FPS, WINDOW
from semtalk.settings import compose

PAGE = " ".join((ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").split())


def test_numbers_of_the_page_are_those_of_the_code():
    windows = compose("eval").segment_windows
    for said in (
        f"to the nearest motion beat, sigma {F.BEAT_SIGMA} s; a beat is a frame",
        f"lower than in the {F.BEAT_ORDER} frames on either side",
        f"{F.BEAT_SKIP} frames are cut at either end; takes weigh T - {2 * F.BEAT_SKIP}",
        f"soles that are less than {100 * bodies.CONTACT_HEIGHT:.0f} cm above the ground",
        f"a cubic fitted to the {bodies.SMOOTHED_FRAMES} frames around each",
        f"frames within +-{hearing.LAG_REACH} by which the jaw must be moved back",
        f"`segment_windows` ({windows}) windows of {WINDOW} frames ({windows * WINDOW / FPS:.1f} s)",
    ):
        assert said in PAGE
    assert bodies.SMOOTHED_ORDER == 3
