"""
Inputs that nobody would send, in great numbers: ``make fuzz INPUTS=1000000``.

The contract: whatever comes is accepted, or answered with a documented code. The server does not die, no turn of its
event loop takes 50 ms, and what it needed for a client it gives back. What broke it is printed with the seed that made
it.
"""
