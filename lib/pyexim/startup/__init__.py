"""Floor 8: from a command line to a configured process; what daemon, master and cli begin with."""
