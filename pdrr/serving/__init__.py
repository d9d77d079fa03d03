"""What the server of any engine does with the replies of a round, beside sending and receiving.

`layout` lays named arrays out as rows of a stack, `defence` judges the stack and makes the next
model, `verdict` is what is kept of it. Nothing here knows an engine.
"""
