"""SemTalk: holistic co-speech motion generation with frame-level semantic emphasis (ICCV 2025).

``from semtalk import SemTalk; SemTalk.from_pretrained("runs/NAME")("voice.wav").save("out.npz")``; docs/extending.md
shows what else can be done from Python.
"""

from semtalk.lazy import exports

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "semtalk.generation.speech": "SemTalk",
        "semtalk.errors": "SemTalkError",
        "semtalk.settings.compose": "compose",
    },
)
