"""Workers: the lane that carries folds over Kafka, and one file per role."""
