"""The agreement: drafted as TOML, signed by both peers, checked from the stored bytes each time it is used.

``template``, ``draft`` and ``redraft`` turn what a person writes into the model; ``document`` is its bytes and digest;
``statements`` are what each side signs, ``signing`` who signs for this one, ``assessed`` on which risk assessment.
``lifecycle`` is what operators do with a proposal and ``answers`` what the partner sends about one; ``chain`` knows the
versions, ``amendment`` lets a later one bind, ``suspension`` and ``ending`` stop it. ``active`` loads what may be used,
or refuses; ``diff``, ``describe`` and ``render`` say it in plain language.
"""
