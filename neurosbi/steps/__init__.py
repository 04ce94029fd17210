"""The steps of an analysis: paths and simulators in, stores and results out."""
