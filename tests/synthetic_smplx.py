"""A file of SMPL-X's schema, made up: the real one needs a licence."""

from pathlib import Path

import numpy as np
import torch

from semtalk.motion.skeleton import PARENTS

VERTICES = 10475


def write_smplx(folder: Path, body, **changes) -> Path:
    """Write the file: its joints are the stand-in's, each is one vertex, shape moves it, weights are rigid.

    Args:
        folder: Takes it.
        body: The stand-in.
        changes: Name of an array -> what makes another of it.

    Returns:
        The folder.
    """
    rng = np.random.default_rng(0)
    template = np.zeros((VERTICES, 3), np.float32)
    template[:55] = body.rest_joints(torch.zeros(300)).numpy()
    regressor = np.zeros((55, VERTICES), np.float32)
    regressor[np.arange(55), np.arange(55)] = 1
    weights = np.zeros((VERTICES, 55), np.float32)
    weights[:, 15] = 1
    weights[np.arange(55), 15] = 0
    weights[np.arange(55), np.arange(55)] = 1
    shapedirs = np.zeros((VERTICES, 3, 400), np.float32)
    shapedirs[:200] = 0.01 * rng.normal(size=(200, 3, 400))
    kintree = np.stack([np.array(PARENTS), np.arange(55)])
    kintree[0, 0] = 2**32 - 1
    arrays = {f"hands_mean{side}": 0.1 * rng.normal(size=45).astype(np.float32) for side in "lr"}
    arrays |= {f"hands_components{side}": np.eye(45, dtype=np.float32) for side in "lr"}
    arrays |= {
        "v_template": template, "J_regressor": regressor, "weights": weights, "shapedirs": shapedirs,
        "f": np.arange(30).reshape(10, 3), "posedirs": np.zeros((VERTICES, 3, 486), np.float32),
        "kintree_table": kintree, "lmk_faces_idx": np.repeat([0, 7], [31, 20]),
        "lmk_bary_coords": np.full((51, 3), 1 / 3), "dynamic_lmk_faces_idx": np.zeros((79, 17), int),
        "dynamic_lmk_bary_coords": np.full((79, 17, 3), 1 / 3),
    }  # fmt: skip
    arrays |= {name: change(arrays[name]) for name, change in changes.items()}
    (folder / "smplx").mkdir()
    np.savez_compressed(folder / "smplx" / "SMPLX_NEUTRAL_2020.npz", **arrays)
    return folder
