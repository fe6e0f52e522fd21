"""Bases: pretrained models that an encoder or a decoder starts from.

Where a base is and why it is refused, which roles it can take, the memory it needs, and how a
sentence encoder pools its states.
"""
