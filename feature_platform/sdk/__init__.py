"""The client for notebooks and services: training sets, online vectors, guarded SQL. Start at :mod:`client`."""
