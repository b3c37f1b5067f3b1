"""A partner that cheats, against the product over real ports: what each attack ends in, and what it got.

    make hostile                          the table
    make hostile ARGS=--json              the same for a program
    make hostile ARGS="-k reflected"      some rows
    make hostile ARGS=--mutations         take checks out of the product; their rows must fail

``world`` sets three companies up: an honest one that serves, a cheat with a proper card and agreements, and an honest
friend of both. ``wire`` are the cheat's two ends of a call, which send anything. ``attack`` carries a row out and
compares what happened with what the row says. The rows are in ``rows_*``.
"""
