"""What a Kafka cluster needs before the services run: its topics, as `schemas/topics.yaml` declares them."""
