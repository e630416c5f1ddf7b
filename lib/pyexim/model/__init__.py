"""Floor 1: the values everybody speaks of: connection, message, address, host.

Plain data without behaviour of their own and without I/O.  A field behind an expansion variable
bears the variable's name.
"""
