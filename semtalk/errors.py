"""The one exception that a user is meant to read."""


class SemTalkError(Exception):
    """Bad input or a missing part: the message names the file or key, what is wrong, and what to do."""
