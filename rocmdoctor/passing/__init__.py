"""A program that runs as if nobody stood between it and its terminal, while what it prints is kept: `rocmdoctor run`."""
