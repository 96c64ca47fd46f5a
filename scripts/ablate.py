"""Run ablations and write one table: ``python scripts/ablate.py no_rhythm_loss random_psi [key=value ...]``.

Names are those of ``configs/experiment/ablation``; without names all are run. The plain run must be trained. What
changes the networks trains base and sparse anew (as a Hydra multirun, so that ``hydra/launcher=...`` can spread them)
on the RVQ-VAEs of the plain run; what changes the gate or its threshold is only evaluated.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OWN_CODES = ("vq",)
"""Ablations that change the codes, and so train RVQ-VAEs of their own."""
KNOWN = {"gate F1": "gate_f1", "inside": "inside_ratio", "own audio": "own_audio_ratio"}
"""Column -> known answer."""


def call(script: str, *arguments: str) -> None:
    """Run one of the commands; stop where it stops."""
    result = subprocess.run([sys.executable, script, *arguments], cwd=ROOT, check=False)
    if result.returncode:
        sys.exit(result.returncode)


def composed(name: str, overrides: list[str]):
    """Evaluation settings of an ablation, or of the plain run for an empty name."""
    from semtalk.settings import compose

    return compose("eval", *([f"experiment=ablation/{name}"] if name else []), *overrides)


def folder(settings) -> Path:
    """Run folder of settings."""
    return ROOT / settings.runs_dir / settings.run_name


def read_row(settings) -> dict[str, float | None]:
    """Numbers of a finished evaluation."""
    from semtalk.evaluation.metrics import MAIN, METRICS
    from semtalk.evaluation.result import Result

    result = Result.read(folder(settings) / "eval" / settings.folder / "metrics.json")
    row = {METRICS[name].title: result.metrics["fused"][name] for name in MAIN}
    return row | {column: result.known_answers.get(name) for column, name in KNOWN.items()}


def main() -> None:
    """Train what must be trained, evaluate all, write the table."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return
    known = sorted(path.stem for path in (ROOT / "configs" / "experiment" / "ablation").glob("*.yaml"))
    names = [argument for argument in sys.argv[1:] if "=" not in argument] or known
    overrides = [argument for argument in sys.argv[1:] if "=" in argument]
    unknown = set(names) - set(known)
    if unknown:
        sys.exit(f"error: no such ablation: {', '.join(sorted(unknown))}; choose among {', '.join(known)}.")
    evaluation = [item for item in overrides if not item.startswith(("recipe", "hydra/launcher"))]
    plain = composed("", evaluation)
    configs = {name: composed(name, evaluation) for name in names}
    trained = [name for name in names if folder(configs[name]) != folder(plain)]
    for name in trained:
        if name in OWN_CODES:
            call("train.py", "stage=rvqvae", f"experiment=ablation/{name}", *overrides)
    shared = [f"tokenizer={folder(plain)}", f"embedder={folder(plain)}"]
    if trained:
        chosen = ",".join(f"ablation/{name}" for name in trained)
        call("train.py", "--multirun", "stage=semtalk", f"experiment={chosen}", *shared, *overrides)
    call("eval.py", "video=false", *evaluation)
    chosen = ",".join(f"ablation/{name}" for name in names)
    call("eval.py", "--multirun", "video=false", f"experiment={chosen}", *evaluation)
    from semtalk.evaluation.report import Lines

    rows = {"plain": read_row(plain)} | {name: read_row(configs[name]) for name in names}
    cells = [[name, *("" if value is None else f"{value:.4g}" for value in row.values())] for name, row in rows.items()]
    lines = Lines("Ablations", ["", *next(iter(rows.values()))], cells).markdown()[1:]
    path = folder(plain) / "ablations.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps(rows, indent=2), encoding="utf-8")
    print("\n".join(lines))
    print(path)


if __name__ == "__main__":
    main()
