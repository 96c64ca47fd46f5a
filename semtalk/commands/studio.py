"""``studio.py``: the studio, a page in a browser on this machine."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from semtalk.errors import MissingModelError
from semtalk.places import CHECKOUT
from semtalk.run import refuse_untrained, run_dir

if TYPE_CHECKING:
    from semtalk.settings.commands import StudioSettings


def studio(settings: StudioSettings) -> None:
    """Serve the studio until Ctrl-C."""
    if find_spec("gradio") is None:
        command = "pip install -e .[studio]" if CHECKOUT else "pip install gradio"
        raise MissingModelError(f"the studio needs the extra studio, which is not here: run `{command}`.")
    refuse_untrained(settings)
    from semtalk.studio.server import serve

    serve(settings, settings.ckpt or run_dir(settings))
