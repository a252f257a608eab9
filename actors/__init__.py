"""Actors: thin Ray shells over `worldloom`."""
