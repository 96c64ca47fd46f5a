"""The exceptions that a user is meant to read."""


class SemTalkError(Exception):
    """Bad input or a missing part: the message names the file or key, what is wrong, and what to do."""


class MissingModelError(SemTalkError):
    """An encoder cannot be built, most often for want of its model: no recording is to blame, and none is prepared."""


class DivergedError(SemTalkError):
    """A training came to numbers that are not finite: these settings are bad, and in a search others may be better."""
