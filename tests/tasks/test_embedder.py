"""The FGD embedder that published numbers are of: training takes it over, and never writes over it."""

import pytest
import torch
from conftest import run_command

from semtalk.errors import SemTalkError
from semtalk.files import checkpoint_facts
from semtalk.places import checkpoint_path
from semtalk.release.names import RELEASE_SPEAKERS
from semtalk.settings import compose
from semtalk.tasks.checkpoint import phases_to_train
from semtalk.tasks.phases import build_network
from semtalk.tasks.stamp import Facts, digest, new_stamp

RVQVAE_STAGE = ["rvqvae_hands", "translation", "fgd"]


def released(run):
    """A run with an embedder as ``convert_release.py`` makes it."""
    settings = compose("train", "model=release", "features=release")
    weights = build_network("fgd", settings, 25).state_dict()
    facts = Facts(RELEASE_SPEAKERS, generation="release", released=digest(weights))
    checkpoint = {"state_dict": {f"network.{name}": value for name, value in weights.items()}}
    config = {"model": settings.model.plain(), "features": settings.features.plain()}
    new_stamp("fgd", config, facts).write(checkpoint)
    path = checkpoint_path(run, "fgd")
    path.parent.mkdir(parents=True)
    torch.save(checkpoint, path)
    return path


@pytest.mark.parametrize("given", [["embedder=RUN"], []], ids=["taken over", "in the run's own folder"])
def test_training_leaves_the_released_embedder_as_it_is(tmp_path, given):
    own = tmp_path / "runs" / "mine"
    path = released(tmp_path / "released" if given else own)
    before = path.read_bytes()
    arguments = [
        "experiment=smoke", "stage=rvqvae", "parts=[hands]", "recipe.rvqvae.steps=1", "name=mine",
        f"runs_dir={tmp_path}/runs", f"data_dir={tmp_path}/data", "trainer.precision=32-true",
        *(word.replace("RUN", str(tmp_path / "released")) for word in given),
    ]  # fmt: skip
    said = run_command("train.py", *arguments).stdout
    assert "no embedder is trained" in said and checkpoint_path(own, "rvqvae_hands").is_file()
    assert path.read_bytes() == before == checkpoint_path(own, "fgd").read_bytes()
    assert checkpoint_facts(checkpoint_path(own, "fgd"))["semtalk"]["meta"]["released"]
    alone = run_command("train.py", *arguments, "stage=fgd", check=False)
    assert alone.returncode == 1 and "stage=fgd would write over it" in alone.stderr
    assert path.read_bytes() == before == checkpoint_path(own, "fgd").read_bytes()


def test_an_embedder_of_ones_own_is_trained_again(tmp_path):
    path = released(tmp_path / "run")
    assert phases_to_train(RVQVAE_STAGE, tmp_path / "run", None) == RVQVAE_STAGE[:2]
    assert phases_to_train(["base"], tmp_path / "run", None) == ["base"]
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["semtalk"]["meta"]["released"] = None
    torch.save(checkpoint, path)
    assert phases_to_train(RVQVAE_STAGE, tmp_path / "run", None) == RVQVAE_STAGE
    path.write_bytes(b"damaged")
    assert phases_to_train(RVQVAE_STAGE, tmp_path / "run", None) == RVQVAE_STAGE
    assert phases_to_train(RVQVAE_STAGE, tmp_path / "run", "other") == RVQVAE_STAGE[:2]
    with pytest.raises(SemTalkError, match="embedder=other is taken over, and stage=fgd would write over it"):
        phases_to_train(["fgd"], tmp_path / "run", "other")
