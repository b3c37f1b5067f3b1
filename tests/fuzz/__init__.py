"""Every parser, given what nobody would write: it answers with a value or with one of our typed errors, soon and small.

    make fuzz                                         the table: a million wire messages, 100,000 for each other parser
    make fuzz COUNT=2000 ARGS="--target wire"         fewer, and only the targets whose names begin so
    python -m fuzz --target card --seed 4711          one input again, with its traceback; PYTHONPATH=tests
    make fuzz-atheris SECONDS=60                      the same targets, guided by what of the code was reached

``target`` says what a target is: seeds made by the product, a function that parses, and the errors that it may raise.
They stand in ``targets_*``. ``mutate_*`` make an input of a seed and a number, always the same one. ``work`` is a
process that tries inputs, each bounded in processor time and memory; ``watch`` starts such processes, sees them die and
keeps the input that they died of. What was ever found lies in ``found/`` and is tried by every ``make test``.
"""
