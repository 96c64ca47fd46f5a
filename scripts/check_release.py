"""Run one released network on given inputs, to see that its file was understood.

``python scripts/check_release.py --kind base --weights FILE.bin --inputs FILE.npz --out FILE.npz``
"""

import argparse
import sys
from pathlib import Path

KINDS = ("rvq_face", "rvq_upper", "rvq_hands", "rvq_lower", "global", "fgd", "base", "sparse")


def main() -> None:
    """Convert, run in evaluation mode, write the outputs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", required=True, choices=KINDS)
    parser.add_argument("--weights", required=True, type=Path, help="released .bin")
    parser.add_argument("--inputs", required=True, type=Path, help="npz of hubert, beat, word, clip, motion, ...")
    parser.add_argument("--out", required=True, type=Path, help="npz to write")
    parser.add_argument("--no-audio", action="store_true", help="leave out the body's attention to speech")
    parser.add_argument("--mask", default="mask", help="which input is the mask (default: mask)")
    arguments = parser.parse_args()

    import numpy as np
    import torch

    from semtalk.errors import SemTalkError
    from semtalk.files import atomic_write
    from semtalk.release.check import KINDS as PHASES
    from semtalk.release.check import run_network
    from semtalk.release.convert import convert, read_weights, release_settings

    try:
        weights = read_weights(arguments.weights)
        network = convert(PHASES[arguments.kind], weights, release_settings(), str(arguments.weights)).network
        with np.load(arguments.inputs, allow_pickle=False) as file:
            inputs = {name: torch.from_numpy(file[name]) for name in file.files}
        outputs = run_network(arguments.kind, network, inputs, not arguments.no_audio, arguments.mask)
    except KeyError as error:
        sys.exit(f"error: {arguments.inputs}: the input {error} is missing.")
    except (SemTalkError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    arrays = {name: value.numpy() for name, value in outputs.items()}
    atomic_write(arguments.out, lambda temporary: np.savez(temporary, **arrays))
    for name, array in arrays.items():
        print(f"{name} {array.shape}")


if __name__ == "__main__":
    main()
