"""What the verbs do, as functions: paths in, paths out."""
