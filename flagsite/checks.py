"""System checks for settings that are unsafe in production (`flagsite.E0xx`)."""
