"""Room tools: the utilities beside the program (exiqgrep, exigrep, exim_dumpdb, ...)."""
