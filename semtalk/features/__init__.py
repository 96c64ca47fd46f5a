"""What the networks hear and read: encoders of speech and words."""

from semtalk.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "semtalk.features.utterance": "Utterance to_frames window_starts fit_wave",
        "semtalk.features.audio": "load_audio sound_seconds",
        "semtalk.features.transcript": "Word read_transcript",
        "semtalk.features.recognise": "Recogniser",
    },
)
