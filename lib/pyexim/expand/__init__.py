"""Floor 3: string expansion.  Spec: chapter "String expansions".

Use:  ``expand(source, scope)`` from :mod:`pyexim.expand.engine`.
"""
