"""A first day with mutuals: two people with a CRM export each go from the README to a campaign list, reading only what
they are shown. The transcript is docs/first-day.md, written by ``python -m first_day``.
"""
