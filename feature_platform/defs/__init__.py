"""Instances of components for ``dg``: each folder below holds one ``defs.yaml``."""
