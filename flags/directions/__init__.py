"""Pure: whether a change widens or narrows what people are exposed to.

A key is exposed to a flag while it is served anything else than what the flag serves switched off. A change narrows
when every context gets, whatever it holds and whenever it asks, what it got before, or what the flag serves switched
off, or an error, which serves nothing; it is neutral when nobody's answer can differ. What a flag serves switched off
stays what it is. Everything that cannot be shown to narrow widens.
"""

from .kinds import PREPARES, Direction, Document, FlagMovement, Movement
from .moving import movement_of

__all__ = ["PREPARES", "Direction", "Document", "FlagMovement", "Movement", "movement_of"]
