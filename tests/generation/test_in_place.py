"""Motion without travel."""

import numpy as np
import soundfile
from conftest import run_command
from tiny import voice

from semtalk.motion import Motion, in_place, load_motion


def test_a_figure_in_place_stays_over_where_it_begins_and_keeps_its_height(smoke, tmp_path):
    rng = np.random.default_rng(0)
    motion = Motion(rng.normal(size=(9, 55, 3)), np.zeros((9, 100)), rng.normal(size=(9, 3)), np.zeros(300))
    before = motion.trans.copy()
    still = in_place(motion)
    assert np.ptp(still.trans[:, [0, 2]], axis=0).max() == 0 and np.array_equal(still.trans[0], before[0])
    assert np.array_equal(still.trans[:, 1], before[:, 1]) and still.poses is motion.poses
    assert np.array_equal(motion.trans, before), "the motion itself is left alone"
    soundfile.write(tmp_path / "a.wav", voice(1.0), 16000)
    words = [*smoke[1], f"audio={tmp_path}/a.wav", "transcript=none", "video=false", "foot_lock=false"]
    run_command("generate.py", *words, f"out={tmp_path}/moving")
    run_command("generate.py", *words, f"out={tmp_path}/still", "in_place=true")
    moving, still = (load_motion(tmp_path / name / "a.npz") for name in ("moving", "still"))
    assert np.ptp(moving.trans[:, [0, 2]], axis=0).max() > 0 == np.ptp(still.trans[:, [0, 2]], axis=0).max()
    assert np.array_equal(moving.poses, still.poses)
