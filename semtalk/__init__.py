"""SemTalk: holistic co-speech motion generation with frame-level semantic emphasis (ICCV 2025).

``from semtalk import SemTalk; SemTalk.from_pretrained("runs/NAME")("voice.wav").save("out.npz")``
"""

__version__ = "0.1.0"
__all__ = ["SemTalk", "SemTalkError"]


def __getattr__(name: str):
    """Load what the package offers when it is first asked for: importing torch takes seconds."""
    if name == "SemTalk":
        from semtalk.generation.speech import SemTalk

        return SemTalk
    if name == "SemTalkError":
        from semtalk.errors import SemTalkError

        return SemTalkError
    raise AttributeError(f"module 'semtalk' has no attribute '{name}'")
