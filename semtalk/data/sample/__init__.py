"""The embedded corpus: synthetic speech and motion whose truth is known, written in BEAT2's layout.

What a voice says is in ``script``, how it sounds in ``voice``, how it moves in ``gesture``, the files in ``corpus``.
"""

from semtalk.data.sample.corpus import SampleCorpus

__all__ = ["SampleCorpus"]
