"""The process `cameras`: looks at the sources that cameras were configured with, and tells what was seen in each."""
