"""The company's own data-ownership policy: reading it, deciding by it, approving it.

Below the agreement: an agreement is what two companies permit each other, the policy what each permits its own people.
"""
