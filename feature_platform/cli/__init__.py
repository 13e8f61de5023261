"""The ``fp`` command: a thin skin over the SDK, the project and the orchestration. Start at :mod:`main`."""
