"""Swap points: what an installed package offers in the place of a built-in class."""

from importlib import import_module

from semtalk.errors import SemTalkError


def named(key: str, word: str) -> type:
    """The class that ``package.module:Name`` names.

    Args:
        key: The configuration key that names it.
        word: ``package.module:Name``.

    Raises:
        SemTalkError: There is no such module, or no such name in it.
    """
    module, name = word.split(":")
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise SemTalkError(
            f"{key}={word}: the module cannot be imported ({error}); is its package installed?"
        ) from error
    except AttributeError as error:
        raise SemTalkError(f"{key}={word}: {module} has no {name}.") from error
