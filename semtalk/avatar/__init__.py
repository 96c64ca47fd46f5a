"""A rigged character of the user's own, which moves as a motion does: read, retargeted, and written again."""

from semtalk.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "semtalk.avatar.character": "Avatar read_avatar",
        "semtalk.avatar.write": "write_avatar",
    },
)
