"""The life of an agreement between two companies, driven at random, with an independent account of what may leave.

``people`` is the invented world, ``truth`` what the test itself knows and allows, ``watch`` looks at everything that
leaves a peer, ``world`` acts through the product's own functions, ``machine`` chooses what happens next.
"""
