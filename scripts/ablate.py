"""Run ablations and write one table: ``python scripts/ablate.py no_rhythm_loss random_psi [key=value ...]``.

Names are those of ``configs/experiment/ablation``; without names all are run. The plain run must be trained. What
changes the networks trains base and sparse anew (as a Hydra multirun, so that ``hydra/launcher=...`` can spread them)
on the RVQ-VAEs of the plain run; what changes the gate or its threshold is only evaluated.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOTION_PHASES = ("rvqvae_face", "rvqvae_upper", "rvqvae_hands", "rvqvae_lower", "translation", "fgd")
OWN_CODES = ("vq",)
"""Ablations that change the codes, and so train RVQ-VAEs of their own."""
COLUMNS = {
    "FGD": ("metrics", "fused", "fgd"), "BC": ("metrics", "fused", "bc"), "DIV": ("metrics", "fused", "div"),
    "MSE": ("metrics", "fused", "mse"), "LVD": ("metrics", "fused", "lvd"), "gate F1": ("known_answers", "gate_f1"),
    "inside": ("known_answers", "inside_ratio"), "own audio": ("known_answers", "own_audio_ratio"),
}  # fmt: skip


def call(script: str, *arguments: str) -> None:
    """Run one of the commands; stop where it stops."""
    result = subprocess.run([sys.executable, script, *arguments], cwd=ROOT, check=False)
    if result.returncode:
        sys.exit(result.returncode)


def composed(name: str, overrides: list[str]) -> dict:
    """Evaluation configuration of an ablation, or of the plain run for an empty name."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    chosen = [f"experiment=ablation/{name}"] if name else []
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return OmegaConf.to_container(compose("eval", overrides=[*chosen, *overrides]), resolve=True)


def folder(config: dict) -> Path:
    """Run folder of a configuration."""
    return ROOT / config["runs_dir"] / config["name"]


def share_motion(plain: Path, target: Path) -> None:
    """Give a run the RVQ-VAEs, translation network and embedder of the plain one."""
    for phase in MOTION_PHASES:
        if not (plain / phase / "best.ckpt").is_file():
            sys.exit(f"error: {plain / phase}: no checkpoint; train the plain run first: python train.py stage=all")
        (target / phase).mkdir(parents=True, exist_ok=True)
        shutil.copy2(plain / phase / "best.ckpt", target / phase / "best.ckpt")


def read_row(config: dict) -> dict[str, float | None]:
    """Numbers of a finished evaluation."""
    name = "_".join(filter(None, (config["split"], config["tag"])))
    result = json.loads((folder(config) / "eval" / name / "metrics.json").read_text())
    row = {}
    for heading, path in COLUMNS.items():
        value = result
        for key in path:
            value = value.get(key, {})
        row[heading] = value if isinstance(value, float) else None
    return row


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
        else:
            share_motion(folder(plain), folder(configs[name]))
    if trained:
        chosen = ",".join(f"ablation/{name}" for name in trained)
        call("train.py", "--multirun", "stage=semtalk", f"experiment={chosen}", *overrides)
    call("eval.py", "video=false", *evaluation)
    chosen = ",".join(f"ablation/{name}" for name in names)
    call("eval.py", "--multirun", "video=false", f"experiment={chosen}", *evaluation)
    rows = {"plain": read_row(plain)} | {name: read_row(configs[name]) for name in names}
    lines = ["| | " + " | ".join(COLUMNS) + " |", "| --- " * (1 + len(COLUMNS)) + "|"]
    for name, row in rows.items():
        cells = ("" if value is None else f"{value:.4g}" for value in row.values())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    path = folder(plain) / "ablations.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps(rows, indent=2), encoding="utf-8")
    print("\n".join(lines))
    print(path)


if __name__ == "__main__":
    main()
