"""The books: proof that every Kafka record is accounted for up to a cut, in counts and in money."""
