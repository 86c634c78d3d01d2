"""`python -m infirmary`."""
from infirmary.run.cli import main

main()
