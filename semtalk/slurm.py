"""A job of SLURM that is preempted, or reaches its time limit, goes back into the queue and goes on where it was."""

import os
import signal
import subprocess
import sys
import threading

from semtalk.log import LOG

WARNINGS = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name))
"""What a job is warned by: USR1 in an ``sbatch`` script with ``--signal=USR1@180``, USR2 by submitit."""


def in_slurm() -> bool:
    """Whether this process is of a job of SLURM."""
    return "SLURM_JOB_ID" in os.environ


def is_restarted() -> bool:
    """Whether SLURM started the job again."""
    return int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0


def go_back_when_warned() -> None:
    """Have SLURM put the job in the queue again when it warns this process; submitit's own handlers stay."""
    if not in_slurm() or threading.current_thread() is not threading.main_thread():
        return
    for number in WARNINGS:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _requeue)


def _requeue(number: int, frame) -> None:
    """Put the job in the queue again, which is for its first process; SLURM ends all of them then."""
    if int(os.environ.get("SLURM_PROCID", "0")):
        return
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]
    try:
        subprocess.run(
            ["scontrol", "requeue", job], check=True, capture_output=True, text=True, start_new_session=True
        )  # what ends this job does not end it
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or error
        print(f"SLURM does not take job {job} back ({str(said).strip()}); it goes on to its end.", file=sys.stderr)
    else:
        LOG.info(f"SLURM has job {job} in its queue again; it goes on from its last checkpoint when it starts.")
