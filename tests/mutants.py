"""Wrong versions of the code, and a runner that sees whether the tests notice each of them.

``python -m tests.mutants [-k WORD]`` applies them one by one in a copy of the working tree, runs the tests that are
named beside each, and ends with a table; its exit status is 1 where one survives. The wrong versions themselves are
data, ``tests/wrong/*.toml``: file, old text (which occurs once in it), new text, what it breaks, and the tests.
"""

import argparse
import compileall
import contextlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    "semtalk", "configs", "tests", "benchmarks", "scripts", "examples", "docs", "train.py", "eval.py", "generate.py",
    "pyproject.toml", "README.md",
)  # fmt: skip
PRELOADED = ["torch", "pytorch_lightning", "torchmetrics", "hydra", "scipy.signal", "hypothesis", "mannequin", "pytest"]
"""What tests import besides this code: once, in the process that those of the mutants are forked from."""
UNTRAINED = (
    "semtalk/avatar/",
    "semtalk/evaluation/",
    "semtalk/face/",
    "semtalk/generation/",
    "semtalk/metrics/",
    "semtalk/viz/",
    "semtalk/release/",
    "semtalk/studio/",
    "benchmarks/",
)
"""Begins the files that trained networks do not depend on: their mutants are tried on networks of the right code."""
LONGEST = 600
"""Seconds after which tests that hang count as red."""
PROMISE = "promise: "
"""Begins what a mutant breaks where that is no row of docs/fidelity.md."""


@dataclass(frozen=True)
class Mutant:
    """A wrong version of one line.

    Attributes:
        name: Of the mutant.
        file: Of the code, from the root.
        old: Text that occurs in it once.
        new: What stands there instead.
        breaks: Beginning of the first cell of a row of docs/fidelity.md; or ``promise: `` and what is promised.
        tests: Files or node ids, of which one has to turn red.
    """

    name: str
    file: str
    old: str
    new: str
    breaks: str
    tests: list[str]

    def apply(self, root: Path) -> None:
        """Put the new text in the place of the old one."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise SystemExit(f"{self.name}: its old text occurs {text.count(self.old)} times in {self.file}.")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


def all_mutants() -> list[Mutant]:
    """Those of all files, in order."""
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(ROOT.glob("tests/wrong/*.toml"))]
    return [Mutant(name, **row) for table in tables for name, row in table.items()]


MUTANTS = all_mutants()


def run_tests(root: str, tests: list[str], log: str, trained: str | None) -> None:
    """In a process of its own: run tests of a copy with pytest, and end with its exit status."""
    import pytest

    os.chdir(root)
    sys.path.insert(0, root)
    os.environ["PYTHONPATH"] = root
    if trained:
        os.environ["SEMTALK_TRAINED"] = trained
    sys.dont_write_bytecode = True  # two versions of a file may be of one size and one second
    with Path(log).open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
        status = pytest.main([*tests, "-x", "-q", "-p", "no:cacheprovider"])
        import semtalk

        if not Path(semtalk.__file__).is_relative_to(root):
            status = f"tests ran {semtalk.__file__}, not the copy"
    sys.exit(status)


class Runner:
    """Runs tests in a copy of the working tree."""

    def __init__(self, folder: Path):
        self.root, self.log, self.trained = folder / "copy", folder / "log.txt", folder / "shared"
        self.trained.mkdir()
        for name in COPIED:
            source, target = ROOT / name, self.root / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        compileall.compile_dir(self.root / "semtalk", quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
        if (compiled := ROOT / ".pytest_cache" / "numba").is_dir():  # half a minute less
            shutil.copytree(compiled, self.root / ".pytest_cache" / "numba")
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(PRELOADED)

    def status(self, tests: list[str], share: bool) -> int | None:
        """Exit status of pytest; none where it does not come to an end. Networks are trained anew without ``share``."""
        trained = str(self.trained) if share else None
        process = self.context.Process(target=run_tests, args=(str(self.root), tests, str(self.log), trained))
        process.start()
        process.join(LONGEST)
        if process.is_alive():
            process.kill()
            process.join()
            return None
        return process.exitcode

    def judge(self, mutant: Mutant) -> tuple[str, str]:
        """``killed``, ``survived`` or ``broken``, and by which test."""
        path = self.root / mutant.file
        right = path.read_bytes()
        mutant.apply(self.root)
        status = self.status(mutant.tests, mutant.file.startswith(UNTRAINED))
        path.write_bytes(right)
        words = {0: "survived", 1: "killed", None: "killed"}
        return words.get(status, "broken"), "it hangs" if status is None else self.red() if status else ""

    def red(self) -> str:
        """The test that failed, by the log."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        named = [line.split(" - ")[0] for line in lines if line.startswith(("FAILED ", "ERROR "))]
        return named[0] if named else " / ".join(lines[-3:])


def judged(mutants: list[Mutant]) -> Iterator[tuple[Mutant, str, str]]:
    """Every mutant with what became of it and by which test; first the tests must pass on what is right."""
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(Path(folder))
        tests = list(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
        if runner.status(tests, share=True):
            raise SystemExit(f"The tests fail without any mutant: {runner.red()}")
        for mutant in mutants:
            yield mutant, *runner.judge(mutant)


def main() -> None:
    """Run the mutants whose name or file holds a word."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("-k", default="", metavar="WORD", help="only mutants with this word in their name or file")
    word = parser.parse_args().k
    chosen = [mutant for mutant in MUTANTS if word in f"{mutant.name} {mutant.file}"]
    began, table = time.monotonic(), []
    for mutant, said, by in judged(chosen):
        table.append((mutant, said))
        print(f"{said:9} {mutant.name:45} {by}", flush=True)
    left = [(mutant, said) for mutant, said in table if said != "killed"]
    print(f"\n{len(table) - len(left)} of {len(table)} mutants killed in {time.monotonic() - began:.0f} s")
    for mutant, said in left:
        print(f"{said}: {mutant.name} ({mutant.file}: {mutant.breaks})")
    sys.exit(1 if left or not table else 0)


if __name__ == "__main__":
    main()
