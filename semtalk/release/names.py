"""Names of the tensors in the authors' released files, derived from the names of this code base's networks."""

import re

from semtalk.motion.skeleton import PARTS

PARTS_PATTERN = f"({'|'.join(PARTS)})"

BODY_RULES = [
    (r"hint\.mask_embedding", "mask_embeddings"),
    (r"hint\.encoder\.(\d+)\.body\.", r"motion_encoder.main.\1.model."),
    (r"hint\.encoder\.", "motion_encoder.main."),
    (r"body\.hint\.0\.", "bodyhints_body.mlp."),
    (r"body\.hint\.1\.", "feature2motion."),
    (r"body\.speaker\.", "spearker_encoder_body."),
    (r"body\.self_attention\.", "motion_self_encoder.layers.0."),
    (r"body\.audio\.0\.", "audio_feature2motion."),
    (r"body\.audio_attention\.", "wordhints_decoder."),
    (r"body\.halve\.", "body1d."),
    (r"body\.halve_speaker\.", "spearker_encoder_body1d."),
    (rf"body\.split\.{PARTS_PATTERN}\.", r"motion2latent_\1.mlp."),
    (rf"body\.siblings\.{PARTS_PATTERN}\.", r"\1_decoder."),
    (rf"body\.narrow\.{PARTS_PATTERN}\.", r"motion_down_\1."),
    (rf"body\.halve_part\.{PARTS_PATTERN}\.", r"\g<1>1d."),
    (r"coarse_to_fine\.attention\.hands\.", "hands_face_decoder."),
    (rf"coarse_to_fine\.attention\.{PARTS_PATTERN}\.", r"\1_hands_decoder."),
    (rf"heads\.{PARTS_PATTERN}\.first\.", r"\1_classifier.mlp."),
    (rf"heads\.{PARTS_PATTERN}\.gather\.(\d)\.", lambda m: f"predict_res_{m[1]}.map_zq{int(m[2]) + 1}."),
    (rf"heads\.{PARTS_PATTERN}\.attention\.(\d)\.", lambda m: f"predict_res_{m[1]}.cross_attn_{int(m[2]) + 1}."),
    (rf"heads\.{PARTS_PATTERN}\.further\.(\d)\.", lambda m: f"predict_res_{m[1]}.classfier_{int(m[2]) + 1}.mlp."),
]
BASE_RULES = [
    (r"face_speech\.hubert\.layers\.", "hubert_encoder."),
    (r"body_speech\.hubert\.layers\.", "hubert_encoder_body."),
    (r"(face|body)_speech\.rhythm\.", r"audio_pre_encoder_\1.mlp."),
    (r"(face|body)_speech\.fusion\.attention\.", r"at_attn_\1."),
    (r"face\.hint\.", "bodyhints_face.mlp."),
    (r"face\.memory\.0\.", "feature2face."),
    (r"face\.speaker\.", "spearker_encoder_face."),
    (r"face\.attention\.", "face_decoder."),
    (r"face\.narrow\.", "face2latent."),
    (r"face\.halve\.", "face1d."),
    (r"face\.mlp\.", "face_latent_mlp.mlp."),
    (r"face\.halve_again\.", "face1d_2."),
    *BODY_RULES,
]
SPARSE_RULES = [
    (r"semantics\.table\.", "text_pre_encoder_body."),
    (r"semantics\.words\.", "text_encoder_body."),
    (r"semantics\.context\.sentence\.", "clip_embedding."),
    (r"semantics\.attention\.", "semantic_body_decoder."),
    (r"semantics\.hubert\.layers\.", "hubert_encoder_body."),
    (r"semantics\.fusion\.attention\.", "at_attn_bert."),
    (r"semantics\.gate\.", "gate."),
    (r"semantics\.emphasis\.", "body_semantic_mlp.mlp."),
    *BODY_RULES,
]


def _residual(block: str, first: int):
    """Rename the convolutions 1 and 3 of three dilated residuals, the first of which is layer ``first``."""

    def rename(match: re.Match) -> str:
        return f"{block}.model.{int(match[1]) - first}.conv{(int(match[2]) + 1) // 2}."

    return rename


RVQVAE_RULES = [
    (r"encoder\.0\.", "encoder.model.0."),
    (r"encoder\.2\.", "encoder.model.2.0."),
    (r"encoder\.([345])\.body\.(\d)\.", _residual("encoder.model.2.1", 3)),
    (r"encoder\.6\.", "encoder.model.3.0."),
    (r"encoder\.([789])\.body\.(\d)\.", _residual("encoder.model.3.1", 7)),
    (r"encoder\.10\.", "encoder.model.4."),
    (r"decoder\.0\.", "decoder.model.0."),
    (r"decoder\.([234])\.body\.(\d)\.", _residual("decoder.model.2.0", 2)),
    (r"decoder\.6\.", "decoder.model.2.2."),
    (r"decoder\.([789])\.body\.(\d)\.", _residual("decoder.model.3.0", 7)),
    (r"decoder\.11\.", "decoder.model.3.2."),
    (r"decoder\.12\.", "decoder.model.4."),
    (r"decoder\.14\.", "decoder.model.6."),
    (r"quantizer\.levels\.(\d)\.codebook", r"quantizer.layers.\1.codebook"),
]
TRANSLATION_RULES = [
    (r"(encoder|decoder)\.(\d+)\.body\.", r"\1.main.\2.model."),
    (r"(encoder|decoder)\.(\d+)\.", r"\1.main.\2."),
]
FGD_RULES = [
    (r"encoder\.(\d)\.conv\.", r"encoder.layers.\1.0.residual.0."),
    (r"encoder\.(\d)\.norm\.", r"encoder.layers.\1.0.residual.1."),
    (r"encoder\.(\d)\.shortcut\.", r"encoder.layers.\1.0.shortcut."),
    (r"encoder\.(\d)\.pool\.", r"encoder.layers.\1.0.common.0."),
    *[(rule.replace("(encoder|decoder)", "(decoder)"), new) for rule, new in TRANSLATION_RULES],
]
RULES = {
    **{f"rvqvae_{part}": RVQVAE_RULES for part in PARTS},
    "translation": TRANSLATION_RULES,
    "fgd": FGD_RULES,
    "base": BASE_RULES,
    "sparse": SPARSE_RULES,
}

OWN_STATE = re.compile(
    r"^(mean|scale|quantizer\.levels\.\d\.(sums|counts|initialised)|((semantics\.)?standard|readouts)\..+)$"
)
"""Tensors of this code base that the released files do not hold."""

UNUSED = {
    "base": r"transformer_(de|de_fu|en)_layer|predict_res_\w+\.cross_layer|\w+_cons_mlp",
    "fgd": r"fc_mu|fc_logvar",
}
UNUSED["sparse"] = (
    UNUSED["base"] + r"|audio_pre_encoder_body|emotion_embedding|at_attn_(face|body)_semantic|gate_face|gate_body"
)
"""Tensors that are present in the released files but reach no output."""
POSITIONS = r"(semantic_)?position_embeddings\.pe$"
"""Constant tables, which this code base computes."""

FILES = {
    "rvqvae_face": "pretrained_vq/rvq_face_600.bin",
    "rvqvae_hands": "pretrained_vq/rvq_hands_500.bin",
    "rvqvae_upper": "pretrained_vq/rvq_upper_500.bin",
    "rvqvae_lower": "pretrained_vq/rvq_lower_600.bin",
    "translation": "pretrained_vq/last_1700_foot.bin",
    "base": "best_semtalk_base.bin",
    "sparse": "best_semtalk_sparse.bin",
    "fgd": "AESKConv_240_100.bin",
}
"""Where a release folder keeps each network."""

RELEASE_SPEAKERS = [1, 2, 3, 4, 5, 6, 7, 30, 9, 10, 11, 12, 13, 28, 15, 16, 17, 18, 27, 20, 21, 22, 23, 24, 25]
"""BEAT2's speaker number of each index of the released embeddings."""


def release_name(phase: str, own: str) -> str:
    """Name in the released file of a tensor of this code base's network."""
    for pattern, replacement in RULES[phase]:
        name, count = re.subn(rf"^{pattern}", replacement, own)
        if count:
            return name
    raise KeyError(f"{phase}: no rule for the tensor {own}")
