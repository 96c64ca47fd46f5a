"""What each command does with its settings. Heavy imports wait until these are known to be sound."""
