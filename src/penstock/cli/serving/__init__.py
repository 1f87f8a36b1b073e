"""Commands that decide: a service, a worker behind a broker, Spark, the demo, the lab."""
