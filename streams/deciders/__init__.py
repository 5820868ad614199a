"""Pure deciders, one file each: what is asked becomes events or a refusal. They know no Kafka and not each other."""
