"""SemTalk: holistic co-speech motion generation with frame-level semantic emphasis (ICCV 2025)."""

__version__ = "0.1.0"
