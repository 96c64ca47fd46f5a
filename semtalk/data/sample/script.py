"""What is said in the embedded corpus, and when: phrases, words, syllables, stress and keyword gestures.

Six *keywords* are each a homophone of an ordinary word (``bye`` and ``buy``): both sound the same, only the keyword is
gestured. So a network that hears cannot know what a network that reads can, which is what the sparse branch is for.
"""

from dataclasses import dataclass

import numpy as np

VOWELS = "aeiouy"
CONSONANTS = "bdgmsnkl"

HOMOPHONES = {"bye": "buy", "no": "know", "two": "too", "here": "hear", "whole": "hole", "eye": "i"}
"""Keyword -> the ordinary word that sounds the same."""
KEYWORD_LABELS = {
    "bye": ("08_iconic_h", 0.8), "no": ("09_metaphoric_m", 0.9), "two": ("06_iconic_m", 0.6),
    "here": ("02_deictic_l", 0.5), "whole": ("07_iconic_h", 0.7), "eye": ("03_deictic_m", 1.0),
}  # fmt: skip
"""Keyword -> label and score of its semantic interval."""
ORDINARY_WORDS = (
    "the", "and", "morning", "people", "really", "because", "started", "city", "always", "garden", "window", "little",
    "about", "music", "never", "coffee", "table", "river", "maybe", "yellow", "simple", "number", "story", "mountain",
)  # fmt: skip

PREPARATION = 0.2
"""Seconds by which a gesture begins before its keyword."""
RETRACTION = 0.3
"""Seconds by which a gesture ends after its keyword."""
MIN_GESTURE_GAP = 0.6
HOMOPHONE_RATE = 0.3
KEYWORD_SHARE = 0.42


@dataclass(frozen=True)
class Syllable:
    """A consonant and a vowel; seconds; stress is 0 or 1."""

    start: float
    end: float
    consonant: str
    vowel: str
    stress: int

    @property
    def center(self) -> float:
        """Time of the vowel's middle."""
        return 0.4 * self.start + 0.6 * self.end


@dataclass(frozen=True)
class SpokenWord:
    """A word with its syllables; ``sound`` names its pronunciation, which homophones share."""

    text: str
    sound: str
    syllables: tuple[Syllable, ...]

    @property
    def start(self) -> float:
        """Start in seconds."""
        return self.syllables[0].start

    @property
    def end(self) -> float:
        """End in seconds."""
        return self.syllables[-1].end

    @property
    def is_keyword(self) -> bool:
        """Whether the word is gestured."""
        return self.text in HOMOPHONES

    @property
    def gesture_interval(self) -> tuple[float, float]:
        """Start and end in seconds of a keyword's gesture."""
        return self.start - PREPARATION, self.end + RETRACTION


@dataclass(frozen=True)
class Phrase:
    """Words between two pauses."""

    words: tuple[SpokenWord, ...]

    @property
    def start(self) -> float:
        """Start in seconds."""
        return self.words[0].start

    @property
    def end(self) -> float:
        """End in seconds."""
        return self.words[-1].end


def pronunciation(sound: str) -> list[tuple[str, str]]:
    """Syllables (consonant, vowel) of a word; fixed by its spelling, one for the keywords, else one to three."""
    rng = np.random.default_rng([ord(letter) for letter in sound])
    count = 1 if sound in HOMOPHONES else 1 + min(2, len(sound) // 4)
    if sound in HOMOPHONES:
        return [("bndkgl"[list(HOMOPHONES).index(sound)], VOWELS[list(HOMOPHONES).index(sound)])]
    return [(str(rng.choice(list(CONSONANTS))), str(rng.choice(list(VOWELS)))) for _ in range(count)]


def _speak(text: str, start: float, rng: np.random.Generator) -> SpokenWord:
    sound = next((keyword for keyword, other in HOMOPHONES.items() if text in (keyword, other)), text)
    syllables = []
    stressed = 0 if sound in HOMOPHONES else len(text) % len(pronunciation(sound))
    for index, (consonant, vowel) in enumerate(pronunciation(sound)):
        stress = int(index == stressed and len(text) > 3 or sound in HOMOPHONES)
        length = (0.36 if sound in HOMOPHONES else 0.24 if stress else 0.16) * rng.uniform(0.9, 1.1)
        syllables.append(Syllable(start, start + length, consonant, vowel, stress))
        start += length
    return SpokenWord(text, sound, tuple(syllables))


def write_script(seconds: float, rng: np.random.Generator) -> list[Phrase]:
    """Make up what is said in a take of the given length."""
    phrases = []
    time, free_from = 0.5, 0.8
    while time < seconds - 2.0:
        words = []
        for _ in range(rng.integers(4, 9)):
            text = str(rng.choice(ORDINARY_WORDS))
            if rng.random() < HOMOPHONE_RATE:
                keyword = str(rng.choice(list(HOMOPHONES)))
                gestured = rng.random() < KEYWORD_SHARE and time - PREPARATION > free_from
                text = keyword if gestured else HOMOPHONES[keyword]
            word = _speak(text, time, rng)
            if word.end > seconds - 0.8:
                break
            words.append(word)
            time = word.end + 0.02
            if word.is_keyword:
                free_from = word.gesture_interval[1] + MIN_GESTURE_GAP
        if not words:
            break
        phrases.append(Phrase(tuple(words)))
        time += rng.uniform(0.4, 0.8)
    return phrases
