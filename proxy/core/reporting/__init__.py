"""What people are told.

rates       of the last ten seconds                          events      what happened, as `sentences`
health      what is wrong; `overload`, `expiry`
"""
