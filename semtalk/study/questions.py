"""What raters are asked, the answers they can give, and the reasons, under the names that HEMVIP2 stores."""

from dataclasses import dataclass

from semtalk.evaluation.kinds import MATCHED, MISMATCHED, MUTED

ANSWERS = {
    "LeftClearlyBetter": 2, "LeftSlightlyBetter": 1, "TheyAreEqual": 0, "RightSlightlyBetter": -1,
    "RightClearlyBetter": -2,
}  # fmt: skip
"""Answer, as HEMVIP2 stores it -> how much better the left video is."""
LABELS = ("Left: clearly better", "Left: slightly better", "They are equal", "Right: slightly better",
          "Right: clearly better")  # fmt: skip
"""What the page calls the answers."""
SUFFIX = "_Mismatched"
"""Behind the name of a system whose motion is shown with another segment's speech."""
MOTION_REASONS = {
    "UnrealisticMotion": "The other one has unrealistic motion", "MotionSmoothness": "Its motion is smoother",
    "AmountIntensityOfMotion": "Its amount or intensity of motion is better",
    "RecognisableGestures": "Its gestures can be recognised", "MotionOther": "Another reason:",
}  # fmt: skip
SPEECH_REASONS = {
    "FitRhythmTiming": "It fits rhythm and timing", "EmphasizeCorrectParts": "It emphasises the right parts",
    "BetterMatchContentMeaning": "It matches the content or meaning",
    "BetterFitForEmotion": "It fits the emotion", "SpeechOther": "Another reason:",
}  # fmt: skip


@dataclass(frozen=True)
class Question:
    """A question.

    Attributes:
        kind: Type of study that HEMVIP2 calls it; where it has none, one of this package.
        text: What raters read.
        sounds: Folders of the stimuli of the two sides: silent, with their own speech, or with another segment's.
        reasons: Name -> what raters read; the last needs words of their own.
    """

    kind: str
    text: str
    sounds: tuple[str, str]
    reasons: dict[str, str]

    @property
    def mismatched(self) -> bool:
        """Whether one system is shown twice, once with another segment's speech."""
        return MISMATCHED in self.sounds

    @property
    def silent(self) -> bool:
        """Whether nothing is heard."""
        return self.sounds[0] == MUTED


QUESTIONS = {
    "realism": Question(
        "pairwise-humanlikeness", "Which character gestures more like a real person?", (MUTED, MUTED), MOTION_REASONS
    ),
    "speech": Question(
        "pairwise-speech", "In which video do the movements fit the rhythm and timing of the speech better?",
        (MATCHED, MATCHED), SPEECH_REASONS,
    ),
    "mismatch": Question(
        "mismatch-speech", "In which video do the movements fit the speech better?", (MATCHED, MISMATCHED),
        SPEECH_REASONS,
    ),
    "meaning": Question(
        "pairwise-meaning", "In which video do the movements fit the meaning of what is said better?",
        (MATCHED, MATCHED), SPEECH_REASONS,
    ),
}  # fmt: skip
"""Name -> question. ``realism`` and ``mismatch`` are the two studies of the GENEA leaderboard."""
KINDS = {question.kind: name for name, question in QUESTIONS.items()}
