"""Work of several programs that a step does as the user. Standard library only.

Each chore runs in a process of its own, started by the executor with the interpreter and the code that carry the plan
out: where that is root's side, neither can be changed by the user. What a chore cannot do it says in one last line.
"""
