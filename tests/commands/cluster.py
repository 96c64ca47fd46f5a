"""A cluster of one machine: `sbatch`, `srun`, `scontrol` and the rest as far as jobs here use them."""

import os
import signal
import stat
import sys
import time
from pathlib import Path

PROGRAMS = {
    "sbatch": """
        script, *words = [word for word in sys.argv[1:] if not word.startswith("-")]
        job = str(len(list(HOME.glob("*.job"))) + 1)
        (HOME / f"{job}.job").mkdir()
        with open(HOME / f"{job}.job" / "out.txt", "w") as out:
            subprocess.Popen([sys.executable, str(HOME / "bin" / "controller"), job, script, *words],
                             stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
        print(f"Submitted batch job {job}")
    """,
    "controller": """
        job, *script = sys.argv[1:]
        folder = HOME / f"{job}.job"
        names = {"JOB_ID": job, "NTASKS": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0",
                 "JOB_NODELIST": "localhost", "JOB_NUM_NODES": "1", "JOB_NAME": "train"}
        for count in range(100):
            (folder / "again").unlink(missing_ok=True)
            own = {f"SLURM_{name}": value for name, value in names.items()}
            own |= {"SLURM_RESTART_COUNT": str(count)} if count else {}
            process = subprocess.Popen(["bash", *script], env=os.environ | own, start_new_session=True)
            (folder / "group").write_text(str(process.pid))
            while process.poll() is None and not (folder / "again").exists():
                time.sleep(0.05)
            if process.poll() is None:
                for number in (signal.SIGCONT, signal.SIGTERM):
                    os.killpg(process.pid, number)
                time.sleep(0.3)
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
            if not (folder / "again").exists():
                break
        (folder / "code").write_text(str(code))
    """,
    "srun": """
        words = sys.argv[1:]
        while words and words[0].startswith("-"):
            option = words.pop(0)
            if option in ("--output", "--error"):
                words.pop(0)
        os.execvp(words[0], words)
    """,
    "scontrol": """
        if sys.argv[1] == "requeue":
            (HOME / f"{sys.argv[2]}.job" / "again").touch()
        else:
            print("localhost")
    """,
    "sacct": """
        print("JobID|State|NodeList")
        for folder in HOME.glob("*.job"):
            done = (folder / "code").exists()
            print(f"{folder.stem}|{'COMPLETED' if done else 'RUNNING'}|localhost")
    """,
    "scancel": "",
}


class Cluster:
    """Programs of SLURM in a folder, for the front of PATH."""

    def __init__(self, home: Path):
        self.home = home
        (home / "bin").mkdir(parents=True)
        for name, text in PROGRAMS.items():
            lines = "\n".join(line[8:] for line in text.splitlines())
            head = "import os, signal, subprocess, sys, time\nfrom pathlib import Path\n"
            path = home / "bin" / name
            path.write_text(f"#!{sys.executable}\n{head}HOME = Path({str(home)!r})\n{lines}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        self.path = f"{home / 'bin'}:{os.environ['PATH']}"

    def job(self, number: int = 1) -> Path:
        """Folder of a job."""
        return self.home / f"{number}.job"

    def wait(self, done, seconds: float = 180.0) -> None:
        """Until something is so, unless all jobs end before."""
        for _ in range(int(seconds * 10)):
            if done():
                return
            jobs = list(self.home.glob("*.job"))
            if jobs and all((job / "code").exists() for job in jobs):
                break
            time.sleep(0.1)
        raise AssertionError("".join(path.read_text() for path in self.home.glob("*.job/out.txt")))

    def warn(self, number: signal.Signals, job: int = 1) -> None:
        """Send a signal to the processes of a job's steps, as SLURM does before it preempts or at the limit."""
        group = int((self.job(job) / "group").read_text())
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                words = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[2]) == group and b"bash" not in words.split(b"\0")[0]:
                os.kill(int(folder.name), number)
