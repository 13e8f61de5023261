"""The closed function catalogue: what authors may call, with types, NULL rules and a rendering per engine.

Start at :mod:`model` (what an entry is), then :mod:`catalogue` (finding one); the entries lie in a module per family.
"""
