"""Simulators shipped with neurosbi, one folder per model family."""
