"""How threads wait for each other on a CPU: settled before torch, and with it OpenMP, is loaded."""

import os
from collections.abc import MutableMapping

SPINS = "GOMP_SPINCOUNT"
BRIEFLY = "1000"
"""Turns of a loop, some microseconds; GNU's OpenMP, which torch's wheels bring, spins for 300,000."""
SAYS = (SPINS, "OMP_WAIT_POLICY")
"""Variables by which a user says how threads wait."""


def wait_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have threads that wait for the rest of their team sleep soon, unless the user says how they wait.

    A training has thousands of short parallel loops a second. A thread that spins at the end of each keeps a core from
    the thread that it waits for, wherever something else runs on the machine, and slows that down too.

    Args:
        environment: Of this process and of those that it starts.
    """
    if not any(name in environment for name in SAYS):
        environment[SPINS] = BRIEFLY
