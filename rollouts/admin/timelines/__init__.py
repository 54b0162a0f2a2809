"""The pages about the end of flags: all endings over months, one timeline, and its editor."""

from rollouts.admin.timelines.pages import DeprecationTimelineAdmin

__all__ = ["DeprecationTimelineAdmin"]
