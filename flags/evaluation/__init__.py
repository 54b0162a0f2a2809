"""The pure evaluator: a snapshot of an environment in, resolutions out. No Django, no clock, no I/O."""

from .bucketing import Generation
from .compile import CompiledSnapshot, compile_snapshot
from .resolution import ErrorCode, Reason, Resolution
from .sources import FlagSource, Snapshot

__all__ = [
    "CompiledSnapshot",
    "ErrorCode",
    "FlagSource",
    "Generation",
    "Reason",
    "Resolution",
    "Snapshot",
    "compile_snapshot",
]
