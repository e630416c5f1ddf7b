"""Floor 3: the configuration file: reader, macros, option kinds, what the options are."""
