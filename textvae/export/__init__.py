"""Export: files that encode and decode without torch, in Python and in a browser.

Nothing is imported here, so that `textvae.export.runner` needs neither torch nor textvae.
"""
