"""Floor 3: domain, host, address and local part lists.

Spec: chapter "Domain, host, address, and local part lists".  Use the functions of
:mod:`pyexim.match.lists`.
"""
