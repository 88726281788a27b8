"""Speech for calls: the operator's recordings, and texts that a program reads aloud."""
