"""Convert the authors' released weights: ``python scripts/convert_release.py DIR OUT``.

DIR is a release folder, of which any subset may be there, or one of its files. OUT becomes a run folder. With
``--extractor`` DIR holds TalkSHOW's feature_extractor.pth, or DiffSHEG's gesture.pth.tar, expression.pth.tar,
gesture_expression.pth.tar and talkshow_mean_std.npy, and OUT becomes what ``embedder=OUT`` takes for SHOW's protocols.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path


def main() -> None:
    """Convert, and list what the files hold beside the networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="DIR", help="release folder, or one file of it")
    parser.add_argument("target", type=Path, metavar="OUT", help="run folder to write")
    parser.add_argument("--vocab", type=Path, help="the release's vocab.pkl, where it is not in DIR")
    parser.add_argument("--extractor", action="store_true", help="DIR holds a feature extractor of SHOW's protocols")
    arguments = parser.parse_args()

    from semtalk.errors import SemTalkError
    from semtalk.release.convert import convert_folder, release_settings
    from semtalk.release.extractors import convert_extractor

    try:
        if arguments.extractor:
            print(convert_extractor(arguments.source, arguments.target))
            return
        unused = convert_folder(arguments.source, arguments.target, release_settings(), arguments.vocab)
    except SemTalkError as error:
        sys.exit(f"error: {error}")
    for phase, names in unused.items():
        print(f"{phase}: {arguments.target / phase / 'best.ckpt'}")
        for group, count in Counter(name.split(".")[0] for name in names).items():
            print(f"  never used: {group} ({count} tensors)")
    if not (arguments.target / "vocab.json").is_file():
        print("There is no vocab.pkl: give it with --vocab before generating; the networks read word ids.")


if __name__ == "__main__":
    main()
