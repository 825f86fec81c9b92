"""Alembic's view of the tables: the environment, and one revision per version of them.

Loaded by path and never imported; `tables.py` lists the same revisions for every other command.
"""
