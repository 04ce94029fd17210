"""The steps of a fit: paths in, paths out. Workflows and the command line call these."""
