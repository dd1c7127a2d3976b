"""Facts that follow from a case by arithmetic and joins: pool, impact, refusals, ipamd's life, the kernel's state.

Pure, and without judgement: what a fact means is the rules' business.
"""
