"""What can be set: one tree of frozen models for each command, built from Hydra's composed configuration.

``configs/`` holds the values, this package what they mean: type, range, unit, one line of meaning, and what excludes
what. A configuration that does not fit is told in one sentence before anything heavy is imported.
"""

from semtalk.settings.check import choose, settings_of, validated
from semtalk.settings.compose import compose
from semtalk.settings.trained import Trained, refuse_untrusted, trained

__all__ = ["Trained", "choose", "compose", "refuse_untrusted", "settings_of", "trained", "validated"]
