"""The public interface: what packages offer is listed here, so that a name cannot vanish unnoticed."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from conftest import ROOT

INTERFACE = {
    "semtalk": "SemTalk SemTalkError compose",
    "semtalk.avatar": "Avatar read_avatar write_avatar",
    "semtalk.body": "BodyModel forward_kinematics load_body",
    "semtalk.data": "BEAT2DataModule Corpus CorpusDataModule Entry MotionDataModule Recording SHOWDataModule "
    "SampleDataModule SemanticInterval Store file_stamp prepare read_semantics",
    "semtalk.evaluation": "METRICS Metric Result Take TakeMaker TakeRow chosen_metrics compare evaluate_rows",
    "semtalk.face": "ARKIT FaceMap FaceMesh face_map face_mesh find_face",
    "semtalk.features": "Recogniser Utterance Word fit_wave load_audio read_transcript sound_seconds to_frames "
    "window_starts",
    "semtalk.generation": "Generated MotionGenerator Rollout SemTalk SpeechStream load_generator lock_feet",
    "semtalk.metrics": "BeatConsistency FrechetGestureDistance WeightedMean audio_onsets beat_consistency "
    "face_l1_position face_mse face_velocity_difference foot_skating frechet_distance "
    "l1_diversity mean_jerk motion_beats precision_recall_f1 sample_diversity semantic_recall",
    "semtalk.models": "AlignmentScorer BaseMotionNetwork BaseMotionPrediction CodePredictor Decoding MotionEmbedder "
    "MotionNetwork Passes Prediction RVQVAE Readout Sizes SparseMotionNetwork "
    "SparseMotionPrediction SpeechFeatures Standardise Tokenizer TranslationNetwork step_mean "
    "step_repeat",
    "semtalk.motion": "BODY_PARTS FPS Frames Motion PARTS SAMPLE_RATE batch_frames in_place load_motion "
    "merge_parts part_channels poses_from_rotation rotation_from_poses save_motion split_parts",
    "semtalk.tasks": "AlignmentTask BaseMotionTask EmbedderTask Facts PHASES RVQVAETask SparseMotionTask StageTask "
    "Stamp TranslationTask build_network fit_phase latent_statistics load_network load_tokenizer "
    "make_task new_stamp new_task",
}


@pytest.mark.parametrize("package", INTERFACE)
def test_packages_offer_what_they_say(package):
    module = import_module(package)
    assert sorted(INTERFACE[package].split()) == sorted(module.__all__)
    assert set(module.__all__) <= set(dir(module)) and all(getattr(module, name) for name in module.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_no_module_hides_what_its_package_offers():
    for package in INTERFACE:
        beside = {path.stem for path in Path(import_module(package).__file__).parent.iterdir()}
        assert not beside & set(import_module(package).__all__), "importing it would take the name's place"


def test_the_page_of_the_interface_shows_every_name_of_it():
    shown = re.findall(r"(?m)^::: ([\w.]+)$", (ROOT / "docs" / "interface.md").read_text(encoding="utf-8"))
    assert len(set(shown)) == len(shown)
    places = {place: getattr(import_module(place.rpartition(".")[0]), place.rpartition(".")[2]) for place in shown}
    for package, names in INTERFACE.items():
        for name in names.split():
            own = getattr(import_module(package), name)
            assert any(place.endswith(f".{name}") and value is own for place, value in places.items()), name
