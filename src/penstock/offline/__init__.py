"""What happens away from live traffic: recorded data, simulation, replay, training and evaluation."""
