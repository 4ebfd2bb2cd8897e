"""From recipes and facts to a plan: which steps, in which order, what they cost. Pure."""
