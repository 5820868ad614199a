"""`python run.py`, as seed 004 starts its API from the checkout: everything, without sample devices."""

from ops.run import main

if __name__ == "__main__":
    main()
