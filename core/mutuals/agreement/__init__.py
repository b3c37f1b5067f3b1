"""The agreement: drafted as TOML, signed by both peers, checked from the stored bytes each time it is used.

``template`` and ``draft`` turn what a person writes into the model; ``document`` gives its bytes and digest;
``statements`` are what each side signs; ``lifecycle`` moves it from proposal to active on both sides; ``active``
loads one that is in force, or refuses; ``describe`` and ``render`` say it in plain language.
"""
