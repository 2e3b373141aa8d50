"""One file per command of ``signgen``; each exposes a click command named ``command``."""
