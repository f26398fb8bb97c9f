"""Sealed records on disk, behind one small interface."""
