"""Motion from speech: whole recordings, streams and the files that are written."""

from semtalk.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "semtalk.generation.feet": "lock_feet",
        "semtalk.generation.generated": "Generated",
        "semtalk.generation.speech": "SemTalk",
        "semtalk.generation.rollout": "MotionGenerator Rollout",
        "semtalk.generation.stream": "SpeechStream",
        "semtalk.generation.load": "load_generator",
    },
)
