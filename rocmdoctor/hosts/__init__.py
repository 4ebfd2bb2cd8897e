"""Where questions are asked: this machine, a folder that holds one, or a saved snapshot."""
