"""Files that went wrong, made by the thousand: every reader must say one line, or give a clip that is valid.

``python -m tests.fuzz --cases 200000`` for more than the suite has; what it finds is kept in ``finds`` and read again
in every run of the suite.
"""
