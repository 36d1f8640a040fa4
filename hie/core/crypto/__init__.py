"""Digests, ciphers and signatures of two suites, and the keys of encryption at rest."""
