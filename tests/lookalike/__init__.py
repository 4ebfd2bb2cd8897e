"""Look-alikes of AMD's, NVIDIA's and Ubuntu's package repositories, and of a used Ubuntu 22.04.

Nothing here is AMD's, NVIDIA's or Canonical's: names, versions and relations are theirs, the content is ours.
"""
