"""Convert the authors' released weights: ``python scripts/convert_release.py DIR OUT``.

DIR is a release folder, of which any subset may be there, or one of its files. OUT becomes a run folder.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import yaml

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "model" / "release.yaml"


def main() -> None:
    """Convert, and list what the files hold beside the networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="DIR", help="release folder, or one file of it")
    parser.add_argument("target", type=Path, metavar="OUT", help="run folder to write")
    arguments = parser.parse_args()

    from semtalk.errors import SemTalkError
    from semtalk.release.convert import convert_folder, release_config

    try:
        unused = convert_folder(arguments.source, arguments.target, release_config(yaml.safe_load(CONFIG.read_text())))
    except SemTalkError as error:
        sys.exit(f"error: {error}")
    for phase, names in unused.items():
        print(f"{phase}: {arguments.target / phase / 'best.ckpt'}")
        for group, count in Counter(name.split(".")[0] for name in names).items():
            print(f"  never used: {group} ({count} tensors)")


if __name__ == "__main__":
    main()
