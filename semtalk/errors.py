"""The exceptions that a user is meant to read."""


class SemTalkError(Exception):
    """Bad input or a missing part: the message names the file or key, what is wrong, and what to do."""


class MissingModelError(SemTalkError):
    """A pretrained model is not on this machine: no recording is to blame, and none can be prepared."""
