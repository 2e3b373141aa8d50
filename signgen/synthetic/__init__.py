"""Drawn signers: bodies, clothes, motion and a data set of them that ships, in the place of one that cannot."""
