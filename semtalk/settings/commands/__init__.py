"""What the commands take: one frozen tree for each file in ``configs/``."""

from semtalk.settings.commands.base import Command, run_name
from semtalk.settings.commands.evaluate import EvalSettings, Evaluation
from semtalk.settings.commands.genea import GeneaSettings
from semtalk.settings.commands.generate import GenerateSettings
from semtalk.settings.commands.live import LiveSettings, no_room
from semtalk.settings.commands.phases import CHAIN, JUDGES, MOTION_PHASES, PHASE_NAMES, PhaseName
from semtalk.settings.commands.prepare import PrepareSettings
from semtalk.settings.commands.studio import StudioSettings
from semtalk.settings.commands.study import StudySettings
from semtalk.settings.commands.train import Stage, TrainSettings
from semtalk.settings.commands.trainer import OF_THE_STRATEGY, SET_ELSEWHERE, Speed, Trainer

COMMANDS: dict[str, type[Command]] = {
    "train": TrainSettings, "eval": EvalSettings, "generate": GenerateSettings, "prepare": PrepareSettings,
    "genea": GeneaSettings, "live": LiveSettings, "study": StudySettings, "studio": StudioSettings,
}  # fmt: skip
"""Name of the configuration in ``configs/`` -> what it takes."""

__all__ = [
    "COMMANDS", "CHAIN", "JUDGES", "MOTION_PHASES", "PHASE_NAMES", "PhaseName", "Trainer", "OF_THE_STRATEGY",
    "SET_ELSEWHERE", "Speed", "Stage", "Command", "run_name", "Evaluation", "TrainSettings", "EvalSettings",
    "GenerateSettings", "PrepareSettings", "GeneaSettings", "StudySettings", "LiveSettings", "StudioSettings",
    "no_room",
]  # fmt: skip
