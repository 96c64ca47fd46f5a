"""The console command: ``semtalk train ...`` does in any folder what ``python train.py ...`` does in a checkout."""

import sys
from importlib import import_module

COMMANDS = {
    "train": ("train:train", "train a stage, or all of them"),
    "eval": ("evaluate:evaluate", "measure a run, or any method's motion files; compare runs"),
    "generate": ("generate:generate", "turn voice recordings into motion"),
    "prepare": ("prepare:prepare_corpus", "prepare a large corpus, or a share of it"),
    "genea": ("genea:export_genea", "write what the GENEA leaderboard takes, look it through, cut stimuli for a study"),
    "live": ("live:send_live", "send the motion of a voice to an engine or an avatar program while it is made"),
    "study": ("study:study", "have people compare methods in a browser, and report what they found"),
    "studio": ("studio:studio", "turn a voice into motion in a browser on this machine, and say which words matter"),
    "fetch": ("train:fetch", "bring the models and the corpus that a training lacks, from the hub"),
}
"""Command -> its function in :mod:`semtalk.commands`, and what it does."""
CONFIGURATIONS = {"fetch": "train"}
"""Command -> its configuration, where that has not its name."""
RUNS = "list what was trained, and what is at work"


def usage() -> str:
    """What there is."""
    lines = ["SemTalk: speech to holistic SMPL-X motion (face, hands, upper and lower body).", ""]
    lines += [f"  semtalk {name:<10} {said}" for name, (_, said) in (COMMANDS | {"runs": ("", RUNS)}).items()]
    example = "semtalk train stage=all name=first"
    return "\n".join([*lines, "", f"Keys are given as in `{example}`; `semtalk train --help` has those that matter."])


def main() -> None:
    """Run the command that the first argument names."""
    given = list(sys.argv)
    name = given[1] if len(given) > 1 else "--help"
    if name in ("-h", "--help"):
        print(usage())
    elif name == "--version":
        from semtalk import __version__

        print(__version__)
    elif name in COMMANDS:
        composed(name, given)
    elif name == "runs":
        runs(given[2:])
    else:
        sys.exit(f"error: {name}: there is no such command; choose one of {', '.join(COMMANDS)}, runs.")


def runs(arguments: list[str]) -> None:
    """List runs."""
    from semtalk.errors import SemTalkError
    from semtalk.log import ended_by_its_reader, printable
    from semtalk.runs import HELP, print_runs

    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return
    try:
        with ended_by_its_reader():
            print_runs(arguments)
    except SemTalkError as error:
        sys.exit(f"error: {printable(error)}")


def composed(name: str, given: list[str]) -> None:
    """Run a command that Hydra composes the configuration of.

    Args:
        name: Of the command.
        given: ``sys.argv``.
    """
    import hydra
    from omegaconf import DictConfig

    from semtalk import run
    from semtalk.places import CONFIGS

    configuration = CONFIGURATIONS.get(name, name)

    def configured(config: DictConfig) -> float | None:
        sys.argv = given  # with which Lightning starts the processes of further devices
        module, function = COMMANDS[name][0].split(":")
        return run.command(getattr(import_module(f"semtalk.commands.{module}"), function), configuration, config)

    sys.argv = [given[0], *given[2:]]
    if {"-h", "--help"} & set(sys.argv):
        sys.argv.append(f"hydra.help.app_name='semtalk {name}'")
    main = hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=configuration)(configured)
    run.start(main, configuration, help_of=name)


if __name__ == "__main__":
    main()
