"""What can be set: one tree of frozen models for each command, built from Hydra's composed configuration.

``configs/`` holds the values, this package what they mean: type, range, unit, one line of meaning, and what excludes
what. A configuration that does not fit is told in one sentence before anything heavy is imported.
"""

from semtalk.settings.check import check_group, choose, settings_of

__all__ = ["check_group", "choose", "settings_of"]
