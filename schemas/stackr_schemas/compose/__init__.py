"""What the user writes: the Compose Specification, one model an object, one field a key.

A field's type accepts every form that the specification allows and holds the long one.
Fields with a zero default are left out of the rendered form when zero; those with None are
left out only when the file does not have them.
"""
