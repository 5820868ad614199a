"""What an offer at the counter is: the verdict's shape, prefilter, prompt, quotes, rules and costs. Pure."""
