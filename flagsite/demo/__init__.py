"""Demo mode: a believable organisation, the process runner and a sample service."""
