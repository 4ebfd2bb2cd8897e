"""The command line: one file per verb, thin, importing what it needs when it runs."""
