"""Pure: deprecation timelines. What a timeline says, which document each milestone means, what is next, and why."""
